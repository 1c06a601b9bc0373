"""The run folder: every file appears whole or not at all, and says what failed when the disk does."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from refine.errors import EngineError, InputError
from refine.files import NEW_FILE, PARTIAL, json_text, plain, replacing
from refine.run.shape import RECORD, fitted, read_object

RUN_FILE, LOG_FILE, PROGRESS_FILE, CURRENT_FILE = "run.json", "log.txt", "progress.jsonl", "current.cif"
_OWN_FILES = frozenset({RUN_FILE, LOG_FILE, PROGRESS_FILE, CURRENT_FILE})


class _Log(logging.StreamHandler[TextIO]):
    """log.txt. A full disk cuts it short without a word: the run itself says what could not be written."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 (logging's)
        return


class RunFolder:
    """Where one run writes.

    Args:
        path: the folder; made by ``open``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, *, resume: bool) -> None:
        """See that the folder can be made and written, before any work is spent.

        Raises:
            InputError: not writable, a file is in its place, or it holds something and ``resume`` is False.
        """
        try:
            if self.path.exists() and not self.path.is_dir():
                raise InputError("the output folder is a file", file=str(self.path), remedy="Give another --out")
            if self.path.is_dir() and not resume and any(self.path.iterdir()):
                raise InputError(
                    "the output folder is not empty",
                    file=str(self.path),
                    remedy="Give another --out, or --resume to go on with it",
                )
        except OSError as error:
            raise self._denied(error) from error
        parent = self.path
        while not parent.exists():
            parent = parent.parent
        if not os.access(parent, os.W_OK | os.X_OK):
            raise self._denied(PermissionError(errno.EACCES, "Permission denied"))

    @contextlib.contextmanager
    def open(self) -> Iterator[TextIO]:
        """Make the folder, send the log of the package to log.txt, and give the stream of progress.jsonl."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handler = _Log(self._new(LOG_FILE))
            stream = self._new(PROGRESS_FILE)
        except OSError as error:
            raise self._denied(error) from error
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger = logging.getLogger("refine")
        level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        try:
            yield stream
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
            for file in (stream, handler.stream):
                with contextlib.suppress(OSError):  # what a full disk did not take
                    file.close()

    def _new(self, name: str) -> TextIO:
        """A new file in the place of whatever has this name; links are not followed."""
        path = self.path / name
        path.unlink(missing_ok=True)
        return os.fdopen(os.open(path, NEW_FILE, 0o666), "w", encoding="utf-8")

    def write(self, name: str, writer: Callable[[Path], None]) -> Path:
        """Let ``writer`` fill a temporary file, then move it to ``name`` in one step.

        Raises:
            EngineError: the file could not be written (disk full, quota, permissions).
        """
        target = self.path / name
        try:
            with replacing(target) as temporary:
                writer(temporary)
        except OSError as error:
            raise EngineError(
                f"cannot write {name}: {error.strerror or error}",
                file=str(target),
                remedy="Free space or give another --out, then --resume",
            ) from error
        return target

    def text(self, name: str, text: str) -> Path:
        """Write ``text`` as UTF-8."""
        return self.write(name, lambda path: _write_text(path, text))

    def json(self, name: str, value: Mapping[str, Any]) -> Path:
        """Write ``value`` as JSON; numbers that are not finite become null."""
        return self.text(name, json_text(value))

    def npz(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> Path:
        """Write named arrays, compressed, loadable without pickle."""

        def save(path: Path) -> None:
            with path.open("wb") as stream:
                np.savez_compressed(stream, allow_pickle=False, **arrays)

        return self.write(name, save)

    def finished(
        self, input_hash: str, settings: Mapping[str, Any], evidence: Mapping[str, str] | None = None
    ) -> dict[str, Any] | None:
        """run.json of a run that is done with the same input, settings and files of evidence (name → hash), else
        None.
        """
        damaged: list[str] = []
        try:
            record: dict[str, Any] = fitted(read_object(self.path / RUN_FILE), RECORD, RUN_FILE, damaged)
        except (OSError, InputError):
            return None
        if damaged:
            return None
        same = (
            record.get("status") == "done"
            and record.get("input_sha256") == input_hash
            and record.get("settings") == plain(settings)
            and record.get("evidence_sha256", {}) == dict(evidence or {})
        )
        complete = same and all((self.path / name).is_file() for name in record.get("files", ()))
        return record if complete else None

    def clear(self) -> None:
        """Remove the results of an earlier, unfinished run, so that none is taken for one of this run."""
        for path in self.path.glob("*"):
            if _is_result(path.name) and (path.is_symlink() or path.is_file()):
                path.unlink()

    def remove(self, *names: str) -> None:
        """Remove files of this run, those that are there."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def overwrite(self, name: str, old: bytes, new: bytes) -> None:
        """Put ``new`` in the place of ``old``, of the same length, in a file; on a full disk that is still possible.
        Nothing is raised when it is not.
        """
        assert len(old) == len(new), (old, new)
        with contextlib.suppress(OSError), (self.path / name).open("r+b") as stream:
            place = stream.read().find(old)
            if place >= 0:
                stream.seek(place)
                stream.write(new)

    def _denied(self, error: OSError) -> InputError:
        reason = error.strerror or str(error)
        return InputError(
            f"cannot write to the output folder: {reason}", file=str(self.path), remedy="Give another --out"
        )


def _is_result(name: str) -> bool:
    own = _OWN_FILES | {"ensemble.pdb", "scores.csv", "per_residue.csv", "rpdd.npz", "cite.bib", "report.html"}
    own |= {"input.cif", "trace.csv", "comparison.json", "native.cif"}
    own |= {
        "pmf.npz",
        "pmf.png",
        "states.csv",
        "states.npz",
        "states.png",
        "ensemble.csv",
        "trajectory.npz",
        "explore.html",
    }
    return name in own or name.startswith((PARTIAL, "model_", "finished."))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
