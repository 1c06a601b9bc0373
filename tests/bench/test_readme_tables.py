"""The README's section of results is what the script makes of the result files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from refine.bench.manifest import Target
from refine.bench.result import Result
from refine.bench.summary import Results, summarise
from refine.bench.tables import tidy_csv
from tests.bench.test_report import result
from tests.conftest import ROOT

SCRIPT = ROOT / "benchmarks" / "make_readme_tables.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        check=False,
    )


def test_the_readme_says_what_the_result_files_say() -> None:
    ended = run("--check")
    assert ended.returncode == 0, ended.stderr


def test_results_become_tables_and_leave_machine_facts_behind(tmp_path: Path) -> None:
    computed = [result(f"t{i}", "start", 50.0 + i) for i in range(9)] + [
        result(f"t{i}", "ours", 51.5 + i, 52.0) for i in range(9)
    ]
    computed.append(Result("t0", "peer", "command", "", "failed", error="/secret/place broke"))
    summary = summarise(Results.of(computed))
    method = {"name": "peer", "kind": "command", "command": "/secret/program {model} {out}"}
    summary |= {"bench": {"methods": [method], "targets": 9, "label": "x"}, "results": 19, "expected": 19}
    folder, results = tmp_path / "out", tmp_path / "results"
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "results.csv").write_text(tidy_csv(computed, [Target(f"t{i}", Path("m"), Path("n")) for i in range(9)]))
    assert run("--collect", str(folder), "nine", "--results", str(results)).returncode == 0
    assert sorted(p.name for p in results.iterdir()) == ["bench_nine.csv", "bench_nine.json"]
    assert not any("secret" in p.read_text() for p in results.iterdir())
    readme = tmp_path / "README.md"
    readme.write_text(
        "before\n<!-- results: begin (benchmarks/make_readme_tables.py) -->\nold\n<!-- results: end -->\nafter\n"
    )
    ended = run("--results", str(results), "--readme", str(readme))
    assert ended.returncode == 0, ended.stderr
    text = readme.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert (
        "**nine**, 9 targets" in text
        and "+1.50* [+1.50, +1.50]" in text
        and "Oracle, no result" in text
        and "0 (1 failed)" in text
    )
    assert run("--check", "--results", str(results), "--readme", str(readme)).returncode == 0
    readme.write_text(text.replace("+1.50*", "+2.50*"))
    assert run("--check", "--results", str(results), "--readme", str(readme)).returncode == 1
