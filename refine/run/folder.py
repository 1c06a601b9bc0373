"""The run folder: every file appears whole or not at all, and says what failed when the disk does."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from refine.errors import EngineError, InputError
from refine.files import PARTIAL, json_text, plain, replacing

RUN_FILE, LOG_FILE, PROGRESS_FILE, CURRENT_FILE = "run.json", "log.txt", "progress.jsonl", "current.cif"
_OWN_FILES = frozenset({RUN_FILE, LOG_FILE, PROGRESS_FILE, CURRENT_FILE})


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
            handler = logging.FileHandler(self.path / LOG_FILE, mode="w", encoding="utf-8")
            stream = (self.path / PROGRESS_FILE).open("w", encoding="utf-8")
        except OSError as error:
            raise self._denied(error) from error
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger = logging.getLogger("refine")
        level = logger.level
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        try:
            with stream:
                yield stream
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
            handler.close()

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
        try:
            record = json.loads((self.path / RUN_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(record, dict):
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
            if path.is_file() and _is_result(path.name):
                path.unlink()

    def _denied(self, error: OSError) -> InputError:
        reason = error.strerror or str(error)
        return InputError(
            f"cannot write to the output folder: {reason}", file=str(self.path), remedy="Give another --out"
        )


def _is_result(name: str) -> bool:
    own = _OWN_FILES | {"ensemble.pdb", "scores.csv", "per_residue.csv", "rpdd.npz", "cite.bib", "report.html"}
    own |= {"input.cif", "trace.csv", "comparison.json", "native.cif"}
    return name in own or name.startswith((PARTIAL, "model_", "finished."))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
