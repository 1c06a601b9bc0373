"""One or many inputs: which files, into which folders, and what the exit code says."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from refine.errors import EngineError, InputError, RefineError
from refine.pipeline import RunResult, score_file
from refine.progress import Progress
from refine.run.tables import ScoreRow, csv_text, scores_csv
from refine.settings import RunSettings

SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif", ".pdb.gz", ".ent.gz", ".cif.gz", ".mmcif.gz")


@dataclasses.dataclass(frozen=True)
class Job:
    """One input and the folder of its run."""

    path: Path
    out: Path


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        job: which.
        message: what to tell the user when it was done.
        error: what to tell the user, or None.
        exit_code: 0 done, 1 a bug, 2 bad input, 4 nothing produced.
    """

    job: Job
    message: str = ""
    error: str | None = None
    exit_code: int = 0


def plan(inputs: Sequence[Path], out: Path | None, default: str = "refined") -> list[Job]:
    """Jobs of files and folders of files.

    One file goes straight into ``out`` (default ``NAME_refined``); several, or a folder, into one sub-folder each.

    Raises:
        InputError: an input does not exist, a folder holds no structure, nothing is given.
    """
    files: list[Path] = []
    for given in inputs:
        if not given.exists():
            raise InputError("there is no such file or folder", file=str(given), remedy="Check the path")
        found = (
            sorted(p for p in given.iterdir() if p.is_file() and p.name.lower().endswith(SUFFIXES))
            if given.is_dir()
            else [given]
        )
        if not found:
            raise InputError(
                "the folder holds no structure file", file=str(given), remedy=f"Known endings: {', '.join(SUFFIXES)}"
            )
        files += found
    files = list(dict.fromkeys(files))
    if not files:
        raise InputError("no input given")
    if len(files) == 1 and not inputs[0].is_dir():
        return [Job(files[0], out or Path(f"{stem(files[0])}_{default}"))]
    root = out or Path(default)
    taken: dict[str, int] = {}
    jobs = []
    for path in files:
        name = stem(path)
        taken[name] = taken.get(name, 0) + 1
        jobs.append(Job(path, root / (name if taken[name] == 1 else f"{name}_{taken[name]}")))
    return jobs


def stem(path: Path) -> str:
    """File name without the endings of structure files; never empty."""
    name = path.name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name or "model"


def run_all(
    jobs: Sequence[Job], work: Callable[[Job, Progress], RunResult], progress: Callable[[str], Progress]
) -> list[Outcome]:
    """Do jobs one after the other; a job that fails does not stop the next, an interrupt does.

    Several jobs leave ``runs.csv`` beside their folders, rewritten after each.
    """
    outcomes: list[Outcome] = []
    for k, job in enumerate(jobs, start=1):
        label = stem(job.path) if len(jobs) == 1 else f"[{k}/{len(jobs)}] {stem(job.path)}"
        try:
            outcomes.append(run_job(job, work, progress(label)))
        except KeyboardInterrupt:
            outcomes.append(Outcome(job, error=f"interrupted in {job.path.name}; continue with --resume", exit_code=4))
            break
        if len(jobs) > 1:
            write_summary(jobs[0].out.parent, outcomes)
    return outcomes


def run_job(job: Job, work: Callable[[Job, Progress], RunResult], progress: Progress) -> Outcome:
    """Do one job; this is the job border: no exception but an interrupt gets past it, and each keeps its traceback in
    log.txt.
    """
    try:
        result = work(job, progress)
        said = "was done before" if result.skipped else result.verdict
        unwritten = (result.record.get("report") or {}).get("error")
        said += f" No report.html: {unwritten}." if unwritten else ""
        return Outcome(job, message=f"{job.path.name}: {said} -> {job.out}")
    except RefineError as error:
        named = error if error.file else type(error)(
            error.message, file=str(job.path), chain=error.chain, residue=error.residue, remedy=error.remedy
        )  # fmt: skip
        return Outcome(job, error=str(named), exit_code=error.exit_code)
    except Exception as error:  # the job border
        if out_of_memory(error):
            told = EngineError(
                "not enough memory", file=str(job.path), remedy="Use fewer replicas or a machine with more memory"
            )
            return Outcome(job, error=str(told), exit_code=told.exit_code)
        where = keep_traceback(job.out, traceback.format_exc())
        return Outcome(
            job, error=f"a bug in refine: {type(error).__name__}: {error} (file {job.path}). {where}", exit_code=1
        )


def write_summary(root: Path, outcomes: Sequence[Outcome]) -> None:
    """runs.csv: one line per input so far."""
    if not root.is_dir():
        return
    lines = [(o.job.path.name, o.job.out.name, o.exit_code, o.error or o.message) for o in outcomes]
    write_table(root / "runs.csv", csv_text(("input", "folder", "exit_code", "message"), lines))


def score_all(inputs: Sequence[Path], settings: RunSettings) -> tuple[str, list[Outcome]]:
    """Table of scores, as scores.csv has it, of files and folders of files; and how each ended."""
    rows: list[ScoreRow] = []

    def work(job: Job, progress: Progress) -> RunResult:
        row = score_file(job.path, settings)
        rows.append(row)
        return RunResult(job.out, (), False, "scored", {})

    outcomes = run_all(plan(inputs, None), work, lambda label: Progress())
    return (scores_csv(rows) if rows else ""), outcomes


def write_table(path: Path, text: str) -> None:
    """Write a table in one step; raises InputError when the place cannot be written."""
    temporary = path.with_name(f".partial-{path.name}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"cannot write: {error.strerror}", file=str(path), remedy="Give another --out") from error


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 when all are done; 1 when any met a bug; 3 when some of several failed; else their common code, or 4."""
    codes = {o.exit_code for o in outcomes}
    if codes <= {0}:
        return 0
    if 1 in codes:
        return 1
    if 0 in codes:
        return 3
    return codes.pop() if len(codes) == 1 else 4


def out_of_memory(error: Exception) -> bool:
    """Whether an exception of Python or torch means that memory ran out."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def keep_traceback(out: Path, text: str) -> str:
    """Append a traceback to the log of a run folder; says where it lies, or gives the text when nothing can be
    written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "log.txt").open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError:
        return f"The traceback could not be written:\n{text}"
    return f"Please report it with {out / 'log.txt'}"
