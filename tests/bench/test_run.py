"""A whole benchmark on the example protein: outputs, resume, killed workers, our own methods."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from refine.bench.manifest import Target
from refine.bench.methods import Method, plan_methods
from refine.bench.result import read_result, result_path
from refine.bench.run import SUMMARY, TABLE, TIDY_FILE, Bench, run_bench, write_reports
from refine.bench.work import Task, run_task
from refine.errors import InputError
from refine.finishing.settings import FinishSettings
from refine.propagation.settings import PropagationSettings
from refine.settings import RunSettings
from tests.conftest import ROOT

EXAMPLES = ROOT / "examples"
COPY = Method(
    "copy", "command", command=f"{sys.executable} -c 'import shutil, sys; shutil.copy(*sys.argv[1:])' {{model}} {{out}}"
)
QUICK = RunSettings(
    networks="none",
    models=2,
    propagation=PropagationSettings(steps=3, replicas=2, noise=0.02, step_size=0.01),
    finishing=FinishSettings(relax=False, side_chains=False),
)


def example(name: str) -> Target:
    return Target(name, EXAMPLES / "1a8o_model.pdb", EXAMPLES / "1a8o_native.pdb")


def table_of(folder: Path) -> list[dict[str, str]]:
    with (folder / TIDY_FILE).open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, dict]]:
    """Every kind of method on one target, computed once."""
    folder = tmp_path_factory.mktemp("bench")
    bench = Bench((example("one"),), (*plan_methods(QUICK), COPY), folder, "test")
    yield bench, run_bench(bench, resume=True)


def test_every_method_gives_a_row_and_only_ours_gives_several(quick_run: tuple[Bench, dict]) -> None:
    bench, summary = quick_run
    assert {m: (v["n"], v["failed"]) for m, v in summary["methods"].items()} == dict.fromkeys(
        ("start", "ours", "relax", "random", "copy"), (1, 0)
    )
    rows = table_of(bench.folder)
    assert [(r["method"], r["model"]) for r in rows] == [
        ("start", "1"),
        ("ours", "1"),
        ("ours", "2"),
        ("relax", "1"),
        ("random", "1"),
        ("copy", "1"),
    ]
    assert list(summary["oracle"]) == ["ours"] and "ORACLE" in (bench.folder / TABLE).read_text()


def test_a_copy_of_the_start_changes_nothing(quick_run: tuple[Bench, dict]) -> None:
    _, summary = quick_run
    for key, values in summary["methods"]["copy"]["metrics"].items():
        assert values["delta_mean"]["value"] == 0, key
    assert summary["methods"]["ours"]["metrics"]["oligo_gdtha"]["n"] == 1


def test_the_control_moves_as_far_as_ours(quick_run: tuple[Bench, dict]) -> None:
    _, summary = quick_run
    ours, control = summary["methods"]["ours"]["move_mean"], summary["methods"]["random"]["move_mean"]
    assert ours > 0 and control == pytest.approx(ours, rel=0.25, abs=0.02)


def test_the_summary_says_what_was_run(quick_run: tuple[Bench, dict]) -> None:
    bench, _ = quick_run
    record = json.loads((bench.folder / SUMMARY).read_text())["bench"]
    assert [m["name"] for m in record["methods"]] == ["start", "ours", "relax", "random", "copy"]
    assert record["methods"][1]["settings"]["propagation"]["steps"] == 3 and "refine" in record["versions"]
    assert str(ROOT) not in (bench.folder / TIDY_FILE).read_text()


def test_a_report_alone_keeps_how_long_the_work_took(quick_run: tuple[Bench, dict]) -> None:
    bench, summary = quick_run
    again = write_reports(bench)
    assert again["bench"]["wall_seconds"] == summary["bench"]["wall_seconds"] > 0
    assert {k: v for k, v in again.items() if k != "bench"} == {k: v for k, v in summary.items() if k != "bench"}


def test_resume_computes_only_what_is_missing_or_changed(quick_run: tuple[Bench, dict]) -> None:
    bench, _ = quick_run
    path = {m.name: result_path(bench.folder, "one", m.name) for m in bench.methods}
    before = {name: p.stat().st_mtime_ns for name, p in path.items()}
    path["copy"].unlink()
    other = dataclasses.replace(bench.methods[2], settings=plan_methods(dataclasses.replace(QUICK, seed=9))[2].settings)
    assert other.kind == "relax"
    changed = dataclasses.replace(bench, methods=(*bench.methods[:2], other, *bench.methods[3:]))
    run_bench(changed, resume=True)
    after = {name: p.stat().st_mtime_ns for name, p in path.items()}
    assert {name for name in path if after[name] != before[name]} == {"copy", "relax"}


def test_a_used_folder_needs_resume(quick_run: tuple[Bench, dict]) -> None:
    bench, _ = quick_run
    with pytest.raises(InputError, match="not empty"):
        run_bench(bench)


def test_a_program_that_fails_is_told_and_spoils_nothing(tmp_path: Path) -> None:
    bad = Method("bad", "command", command=f"{sys.executable} -c 'raise SystemExit(5)' {{model}} {{out}}")
    gone = Method("gone", "command", command="no-such-program {model} {out}")
    bench = Bench((example("one"),), (Method("start", "start"), bad, gone, COPY), tmp_path, against="copy")
    summary = run_bench(bench)
    assert {m: v["failed"] for m, v in summary["methods"].items()} == {"start": 0, "bad": 1, "gone": 1, "copy": 0}
    result = read_result(tmp_path, "one", "bad")
    assert result is not None and "ended with 5" in result.error
    assert [r["status"] for r in table_of(tmp_path)] == ["done", "failed", "failed", "done"]


SLOW = """
import os, pathlib, shutil, sys, time
mark = pathlib.Path(sys.argv[3])
if not mark.exists():
    mark.write_text(str(os.getppid()))
    while os.getppid() == int(mark.read_text()):
        time.sleep(0.05)
else:
    shutil.copy(sys.argv[1], sys.argv[2])
"""


def test_a_worker_killed_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    """The first call of the program waits until its worker is killed with -9; the target is run again and nothing else
    is missing.
    """
    (tmp_path / "slow.py").write_text(SLOW)
    mark = tmp_path / "worker.pid"
    slow = Method("slow", "command", command=f"{sys.executable} {tmp_path / 'slow.py'} {{model}} {{out}} {mark}")
    methods = (Method("start", "start"), slow)
    bench = Bench(tuple(example(name) for name in ("one", "two", "three")), methods, tmp_path / "out", against="slow")

    def kill() -> None:
        while not mark.exists() or not mark.read_text():
            time.sleep(0.05)
        os.kill(int(mark.read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    lines: list[str] = []
    killed = run_bench(bench, workers=2, tell=lines.append)
    killer.join(timeout=5)
    assert not killer.is_alive() and len(lines) == 3
    assert {m: (v["n"], v["failed"]) for m, v in killed["methods"].items()} == {"start": (3, 0), "slow": (3, 0)}
    alone = run_bench(dataclasses.replace(bench, folder=tmp_path / "alone"), workers=1)
    assert [without_times(r) for r in table_of(bench.folder)] == [
        without_times(r) for r in table_of(tmp_path / "alone")
    ]
    assert alone["paired"][0]["metrics"] == killed["paired"][0]["metrics"]


def without_times(row: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in row.items() if k not in ("seconds", "cpu_seconds")}


def test_a_result_half_written_is_computed_again(tmp_path: Path) -> None:
    task = Task(example("one"), (Method("start", "start"),), tmp_path)
    run_task(task)
    path = result_path(tmp_path, "one", "start")
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    assert "1 done" in run_task(task)
    result = read_result(tmp_path, "one", "start")
    assert result is not None and result.models == tuple(json.loads(whole)["models"])
