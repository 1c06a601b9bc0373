"""The tables of README.md and benchmarks/README.md are what the script makes of result files and log."""

from __future__ import annotations

import json
import os
import re
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


def test_both_pages_say_what_the_result_files_say() -> None:
    ended = run("--check")
    assert ended.returncode == 0, ended.stderr


def test_every_entry_of_the_log_stands_in_its_index() -> None:
    log = (ROOT / "benchmarks" / "LOG.md").read_text(encoding="utf-8")
    entries = re.findall(r"^## (\d+)\. ", log, flags=re.MULTILINE)
    assert entries == re.findall(r"^\| (\d+) \|", log.split("\n## 1. ")[0], flags=re.MULTILINE)


def test_results_become_tables_and_leave_machine_facts_behind(tmp_path: Path) -> None:
    rows = [result(f"t{i}", "start", 50.0 + i) for i in range(9)] + [
        result(f"t{i}", "ours", 51.5 + i, 52.0) for i in range(9)
    ]
    rows.append(Result("t0", "peer", "command", "", "failed", error="/secret/place broke"))
    summary = summarise(Results.of(rows))
    method = {"name": "peer", "kind": "command", "command": "/secret/program {model} {out}"}
    summary |= {"bench": {"methods": [method], "targets": 9, "label": "x"}, "results": 19, "expected": 19}
    folder, results = tmp_path / "out", tmp_path / "results"
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "results.csv").write_text(tidy_csv(rows, [Target(f"t{i}", Path("m"), Path("n")) for i in range(9)]))
    assert run("--collect", str(folder), "nine", "--results", str(results)).returncode == 0
    assert sorted(p.name for p in results.iterdir()) == ["bench_nine.csv", "bench_nine.json"]
    assert not any("secret" in p.read_text() for p in results.iterdir())
    empty = "before\n<!-- results: begin (benchmarks/make_readme_tables.py) -->\nold\n<!-- results: end -->\nafter\n"
    readme, tables = tmp_path / "README.md", tmp_path / "tables.md"
    pages = ("--results", str(results), "--readme", str(readme), "--tables", str(tables))
    for page in (readme, tables):
        page.write_text(empty)
    ended = run(*pages)
    assert ended.returncode == 0, ended.stderr
    short, long = readme.read_text(), tables.read_text()
    for text in (short, long):
        assert text.startswith("before\n") and text.endswith("\nafter\n") and "\nold\n" not in text
        assert "+1.50* [+1.50, +1.50]" in text
    assert "| nine | **refine** | 9 |" in short and "start" not in short
    assert "**nine**, 9 targets" in long and "Oracle, no result" in long and "0 (1 failed)" in long
    assert "## Experiments" in long
    assert run("--check", *pages).returncode == 0
    for page, text in ((readme, short), (tables, long)):
        page.write_text(text.replace("+1.50*", "+2.50*"))
        assert run("--check", *pages).returncode == 1
        page.write_text(text)


def test_the_short_table_has_controls_for_the_main_set_alone(tmp_path: Path) -> None:
    methods = {"start": 50.0, "relax": 50.5, "random": 49.0, "ours": 52.0}
    rows = [result(f"t{i}", name, gdt + i) for name, gdt in methods.items() for i in range(9)]
    summary = summarise(Results.of(rows)) | {"bench": {"methods": [], "targets": 9, "label": "x"}}
    for name in ("refined150-dev", "natives-20"):
        (tmp_path / f"bench_{name}.json").write_text(json.dumps(summary))
    page = "<!-- results: begin (benchmarks/make_readme_tables.py) -->\n<!-- results: end -->\n"
    readme, tables = tmp_path / "README.md", tmp_path / "tables.md"
    for path in (readme, tables):
        path.write_text(page)
    ended = run("--results", str(tmp_path), "--readme", str(readme), "--tables", str(tables))
    assert ended.returncode == 0, ended.stderr
    lines = [line for line in readme.read_text().splitlines() if line.startswith("|")][2:]
    assert [line.split(" | ")[1] for line in lines] == [
        "input as it came",
        "side chains and minimisation alone",
        "random direction, as far as ours",
        "**refine**",
        "**refine**",
    ]
