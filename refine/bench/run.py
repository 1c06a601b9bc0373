"""One benchmark: its folder, what is still to do, and the files that are rewritten when it is done."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import platform
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from refine.bench.manifest import Target
from refine.bench.methods import Method
from refine.bench.metrics import METRICS
from refine.bench.result import Result, read_results
from refine.bench.summary import Results, summarise
from refine.bench.tables import markdown, tidy_csv
from refine.bench.work import Task, networks_of, run_task
from refine.dispatch import dispatch
from refine.errors import InputError
from refine.files import json_text, plain, write_output
from refine.run.record import versions

log = logging.getLogger(__name__)

SUMMARY, TIDY_FILE, TABLE, REPORT = "summary.json", "results.csv", "table.md", "report.html"


@dataclasses.dataclass(frozen=True)
class Bench:
    """What to run and where.

    Attributes:
        targets, methods: every method runs on every target.
        folder: for results, models and reports.
        label: what the manifest is called in reports.
        seed: of the random direction and nothing else.
        against: the method that paired tests compare with every other.
    """

    targets: tuple[Target, ...]
    methods: tuple[Method, ...]
    folder: Path
    label: str = ""
    seed: int = 0
    against: str = "ours"
    keep_bulky: bool = False

    def tasks(self) -> list[Task]:
        """One task a target, the largest first, so that the end is not spent waiting for one; full paths, since they
        travel.
        """
        full = (dataclasses.replace(t, model=t.model.absolute(), native=t.native.absolute()) for t in self.targets)
        chosen = sorted(full, key=lambda t: (-t.model.stat().st_size, t.name))
        return [Task(target, self.methods, self.folder.resolve(), self.seed, self.keep_bulky) for target in chosen]

    def results(self) -> list[Result]:
        """What has been computed so far."""
        return read_results(self.folder, self.targets, self.methods)


def check_folder(folder: Path, *, resume: bool) -> None:
    """Make the folder; raises InputError when it holds something and ``resume`` is False, or cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        used = any(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"cannot use the folder: {error.strerror}", file=str(folder), remedy="Give another --out"
        ) from error
    if used and not resume:
        raise InputError(
            "the folder is not empty", file=str(folder), remedy="Give another --out, or --resume to go on with it"
        )


def run_bench(
    bench: Bench, *, workers: int = 1, scheduler: str = "", resume: bool = False, tell: Callable[[str], None] = log.info
) -> dict[str, Any]:
    """Compute what is missing, then write the reports; gives the summary.

    Args:
        bench: what to run.
        workers, scheduler: as of ``dispatch``.
        resume: go on in a folder that holds results; those of the same structures, method, settings and trained files
            are kept.
        tell: given a line when a target is done.

    Raises:
        InputError: the folder cannot be used.
        ModelError: trained files cannot be read.
        EngineError: the scheduler cannot be reached.
    """
    for method in bench.methods:
        if method.kind == "ours":
            networks_of(method.run_settings())
    check_folder(bench.folder, resume=resume)
    began, tasks = time.monotonic(), bench.tasks()
    for count, ended in enumerate(dispatch(run_task, tasks, workers=workers, scheduler=scheduler), start=1):
        outcome = ended.answer or f"{ended.task.name}: not done: {ended.error.strip().splitlines()[-1]}"
        tell(f"[{count}/{len(tasks)} {time.monotonic() - began:.0f} s] {outcome}")
    return write_reports(bench, workers=workers, scheduler=scheduler, seconds=time.monotonic() - began)


def write_reports(
    bench: Bench, *, workers: int = 1, scheduler: str = "", seconds: float | None = None
) -> dict[str, Any]:
    """Write results.csv, summary.json, table.md and report.html of what has been computed; gives the summary.

    Without ``seconds`` nothing was computed now: time, workers and machine stay those of the summary that is there.
    """
    results = bench.results()
    expected = len(bench.targets) * len(bench.methods)
    facts = record(bench, workers, scheduler, seconds or 0.0)
    if seconds is None:
        facts |= computed_on(bench.folder / SUMMARY)
    summary = {"bench": facts, "expected": expected, "results": len(results)}
    summary |= {"keys": {m.key: {"label": m.label, "better": "more" if m.sign > 0 else "less"} for m in METRICS}}
    summary = plain(summary | summarise(Results.of(results), bench.against))
    write_output(bench.folder / TIDY_FILE, tidy_csv(results, bench.targets))
    write_output(bench.folder / SUMMARY, json_text(summary, ascii_only=False))
    write_output(bench.folder / TABLE, markdown(summary))
    if find_spec("matplotlib") is None:
        log.warning("no %s: matplotlib is not installed (extra 'bench')", REPORT)
        return summary
    from refine.bench.html import page

    write_output(bench.folder / REPORT, page(summary, Results.of(results)))
    return summary


def computed_on(path: Path) -> dict[str, Any]:
    """Time, workers and machine of an earlier summary; empty when there is none."""
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))["bench"]
        return {key: earlier[key] for key in ("wall_seconds", "workers", "machine")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def record(bench: Bench, workers: int, scheduler: str, seconds: float) -> dict[str, Any]:
    """What was run, on what: enough to run it again."""
    return {
        "label": bench.label,
        "targets": len(bench.targets),
        "methods": [dataclasses.asdict(method) for method in bench.methods],
        "seed": bench.seed,
        "against": bench.against,
        "workers": workers if not scheduler else "cluster",
        "wall_seconds": round(seconds, 1),
        "versions": versions(),
        "machine": {"system": platform.platform(), "processors": os.cpu_count(), "load": os.getloadavg()[0]},
    }
