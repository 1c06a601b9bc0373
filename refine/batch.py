"""One or many inputs: which files, into which folders, and what the exit code says."""

from __future__ import annotations

import dataclasses
import os
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import torch

from refine.errors import EngineError, InputError, RefineError
from refine.files import NEW_FILE, STRUCTURE_SUFFIXES, csv_text, is_there, stem, structure_files, write_output
from refine.pipeline import RunResult, score_file
from refine.progress import Progress
from refine.run.folder import LOG_FILE
from refine.run.tables import ScoreRow, scores_csv
from refine.settings import RunSettings

RUNS_FILE = "runs.csv"


@dataclasses.dataclass(frozen=True)
class BatchItem:
    """One input and the folder of its run."""

    path: Path
    out: Path


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How the work on an input ended.

    Attributes:
        item: which.
        message: for the user, when it was done.
        error: for the user; None when it was done.
        exit_code: 0 done, 1 a bug, 2 bad input, 4 nothing produced.
        interrupted: by its user; the next input is not begun.
    """

    item: BatchItem
    message: str = ""
    error: str | None = None
    exit_code: int = 0
    interrupted: bool = False

    def noting(self, text: str) -> Outcome:
        """The same, with one sentence more for the user."""
        if self.error:
            return dataclasses.replace(self, error=f"{self.error}. {text}")
        return dataclasses.replace(self, message=f"{self.message} {text}")


def plan(inputs: Sequence[Path], out: Path | None, default: str = "refined") -> list[BatchItem]:
    """Items of files and folders of files.

    One file goes straight into ``out`` (default ``NAME_refined``); several, or a folder, into one sub-folder each.

    Raises:
        InputError: an input does not exist, a folder holds no structure, nothing is given.
    """
    files: list[Path] = []
    for path in inputs:
        if not is_there(path):
            raise InputError("there is no such file or folder", file=str(path), remedy="Check the path")
        structures = structure_files(path) if path.is_dir() else [path]
        if not structures:
            endings = f"{', '.join(STRUCTURE_SUFFIXES)}, each also with .gz"
            raise InputError("the folder holds no structure file", file=str(path), remedy=f"Known endings: {endings}")
        files += structures
    files = list(dict.fromkeys(files))
    if not files:
        raise InputError("no input given")
    if len(files) == 1 and not inputs[0].is_dir():
        return [BatchItem(files[0], out or Path(f"{stem(files[0])}_{default}"))]
    root = out or Path(default)
    uses: dict[str, int] = {}
    items = []
    for path in files:
        name = stem(path)
        uses[name] = uses.get(name, 0) + 1
        items.append(BatchItem(path, root / (name if uses[name] == 1 else f"{name}_{uses[name]}")))
    return items


def run_all(
    items: Sequence[BatchItem],
    work: Callable[[BatchItem, Progress], RunResult],
    progress: Callable[[str], Progress],
    *,
    folders: bool = True,
) -> list[Outcome]:
    """Do items one after the other; one that fails does not stop the next, an interrupt does.

    Several items leave ``runs.csv`` beside their folders, which gets a line after each; work that makes no ``folders``
    leaves nothing.
    """
    outcomes: list[Outcome] = []
    with Summary(items[0].out.parent if len(items) > 1 and folders else None) as summary:
        for k, item in enumerate(items, start=1):
            label = stem(item.path) if len(items) == 1 else f"[{k}/{len(items)}] {stem(item.path)}"
            try:
                outcomes.append(run_item(item, work, progress(label), folders=folders))
            except KeyboardInterrupt:
                message = f"interrupted in {item.path.name}; continue with --resume"
                outcomes.append(Outcome(item, error=message, exit_code=4, interrupted=True))
            outcomes[-1] = summary.noted(outcomes[-1])
            if outcomes[-1].interrupted:
                break
    return outcomes


def run_item(
    item: BatchItem, work: Callable[[BatchItem, Progress], RunResult], progress: Progress, *, folders: bool = True
) -> Outcome:
    """Do one item; this is the job border: no exception but an interrupt gets past it.

    The traceback of a bug goes into log.txt of the run folder, into the message where there are no ``folders``.
    """
    try:
        result = work(item, progress)
        verdict = "was done before" if result.skipped else result.verdict
        unwritten = (result.record.get("report") or {}).get("error")
        verdict += f" No report.html: {unwritten}." if unwritten else ""
        return Outcome(item, message=f"{item.path.name}: {verdict} -> {item.out}")
    except RefineError as error:
        named = error if error.file else type(error)(
            error.message, file=str(item.path), chain=error.chain, residue=error.residue, remedy=error.remedy
        )  # fmt: skip
        return Outcome(item, error=str(named), exit_code=error.exit_code)
    except Exception as error:  # the job border
        if out_of_memory(error):
            remedy = "Use fewer replicas or a machine with more memory"
            shortage = EngineError("not enough memory", file=str(item.path), remedy=remedy)
            return Outcome(item, error=str(shortage), exit_code=shortage.exit_code)
        text = traceback.format_exc()
        where = keep_traceback(item.out, text) if folders else f"Please report it with this traceback:\n{text}"
        bug = f"a bug in refine: {type(error).__name__}: {error} (file {item.path}). {where}"
        return Outcome(item, error=bug, exit_code=1)


class Summary:
    """runs.csv: one line per input that has ended; begun anew, then a line is added for each, so that 100,000 inputs
    are 100,000 lines of writing and no more. Use as a context manager.

    Args:
        root: its folder, which the first run makes; None writes nothing.
    """

    COLUMNS = ("input", "folder", "exit_code", "message")

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._stream: TextIO | None = None

    def __enter__(self) -> Summary:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def add(self, outcome: Outcome) -> None:
        """Write the line of an input; without a folder (nothing has been written yet) there is no table either.

        Raises:
            InputError: the table cannot be written.
        """
        if self._root is None or not self._root.is_dir():
            return
        path = self._root / RUNS_FILE
        try:
            if self._stream is None:
                path.unlink(missing_ok=True)  # a link in its place is not written through
                self._stream = os.fdopen(os.open(path, NEW_FILE, 0o666), "w", encoding="utf-8", newline="")
                self._stream.write(csv_text(self.COLUMNS, ()))
            self._stream.write(csv_text(self.COLUMNS, [self._line(outcome)]).partition("\n")[2])
            self._stream.flush()
        except OSError as error:
            raise InputError(f"cannot write: {error.strerror}", file=str(path), remedy="Make room") from error

    def noted(self, outcome: Outcome) -> Outcome:
        """``add`` it; gives the outcome, which says so where that failed: the work on it is not lost by a full disk."""
        try:
            self.add(outcome)
        except RefineError as error:
            return outcome.noting(str(error))
        return outcome

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Write the whole table in the order of ``outcomes``."""
        self.__exit__()
        if self._root is not None and self._root.is_dir():
            text = csv_text(self.COLUMNS, [self._line(outcome) for outcome in outcomes])
            write_output(self._root / RUNS_FILE, text)

    @staticmethod
    def _line(outcome: Outcome) -> tuple[str, str, int, str]:
        return outcome.item.path.name, outcome.item.out.name, outcome.exit_code, outcome.error or outcome.message


def score_all(inputs: Sequence[Path], settings: RunSettings) -> tuple[str, list[Outcome]]:
    """Table of scores, as scores.csv has it, of files and folders of files; and how each ended."""
    rows: list[ScoreRow] = []

    def work(item: BatchItem, progress: Progress) -> RunResult:
        rows.append(score_file(item.path, settings))
        return RunResult(item.out, (), False, "scored", {})

    outcomes = run_all(plan(inputs, None), work, lambda label: Progress(), folders=False)
    return (scores_csv(rows) if rows else ""), outcomes


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
        flags = os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_WRONLY
        with os.fdopen(os.open(out / LOG_FILE, flags, 0o666), "a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError:
        return f"The traceback could not be written:\n{text}"
    return f"Please report it with {out / LOG_FILE}"
