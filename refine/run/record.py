"""run.json: what was run, with what, on what, and how it ended."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from refine import __version__
from refine.errors import RefineError
from refine.files import file_hash
from refine.run.folder import RUN_FILE, RunFolder
from refine.structure.connections import described
from refine.structure.prepare import Prepared

log = logging.getLogger(__name__)

FORMAT = 1
"""Raised when a key of run.json changes its meaning."""

_LIBRARIES = ("torch", "numpy", "scipy", "biopython", "gemmi", "openmm", "pdbfixer", "safetensors")


def versions() -> dict[str, str]:
    """Versions of Python and of every library that has a hand in the result; ``"missing"`` where one is not
    installed.
    """
    versions_by_name = {"refine": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions_by_name[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions_by_name[name] = "missing"
    return versions_by_name


def new_record(path: Path, settings: Mapping[str, Any], device: str) -> dict[str, Any]:
    """The part of run.json that is known before work starts; status is ``running``."""
    return begun(path.name, file_hash(path), settings, device)


def begun(name: str, digest: str, settings: Mapping[str, Any], device: str) -> dict[str, Any]:
    """``new_record`` of an input that need not be a file, with its SHA-256."""
    return {
        "format": FORMAT,
        "status": "running",
        "input": name,
        "input_sha256": digest,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "machine": {
            "system": platform.platform(),
            "processors": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
        },
        "device": device,
        "seed": settings.get("seed"),
        "settings": dict(settings),
    }


class Record:
    """run.json of a run: written before work starts and when it ends, however it ends.

    Args:
        folder: of the run; prepared: its input; settings: plain values of them; device: its name.
    """

    def __init__(self, folder: RunFolder, prepared: Prepared, settings: Mapping[str, Any], device: str) -> None:
        self.folder = folder
        self.values = new_record(prepared.path, settings, device)
        self.values["residues"], self.values["chains"] = len(prepared.protein), list(prepared.protein.chains)
        self.values["connections"] = described(prepared.protein)
        self.values["notes"] = [dataclasses.asdict(note) for note in prepared.notes]
        self.values["timings"], self.values["models"], self.values["files"] = {}, [], []

    def write(self) -> None:
        """Write run.json as it stands."""
        self.folder.json(RUN_FILE, self.values)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """Around the work; the traceback of an error goes into the log, and stays the error that is raised."""
        began = time.monotonic()
        self.write()
        self.values["status"] = "failed"
        try:
            yield
            self.values["status"] = "done"
        except KeyboardInterrupt:
            self.values["status"] = "interrupted"
            self._write_last(began)
            raise
        except RefineError as error:
            self.values["error"] = str(error)
            log.info("%s", traceback.format_exc())
            self._write_last(began)
            raise
        except BaseException:
            self._write_last(began)
            raise
        self.values["seconds"] = round(time.monotonic() - began, 2)
        try:
            self.write()
        except RefineError:
            self._mark_failed()
            raise

    def _write_last(self, began: float) -> None:
        """Write how a run ended that did not end well; on a disk too full for that, its status alone."""
        self.values["seconds"] = round(time.monotonic() - began, 2)
        try:
            self.write()
        except RefineError as error:
            log.info("%s", error)
            self._mark_failed()

    def _mark_failed(self) -> None:
        """In the record that stands; nothing can be added to it."""
        self.folder.overwrite(RUN_FILE, b'"status": "running"', b'"status": "failed" ')

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Note a stage and its seconds."""
        log.info("%s", stage)
        began = time.monotonic()
        try:
            yield
        finally:
            self.values["timings"][stage] = round(time.monotonic() - began, 2)

    def add_files(self, *names: str) -> None:
        """Note files of this run, so that ``resume`` can see that they are all there."""
        self.values["files"] += names


class ExplorationRecord(Record):
    """run.json of an exploration.

    Args:
        folder: of the run; values: as ``begun`` gives them.
    """

    def __init__(self, folder: RunFolder, values: dict[str, Any]) -> None:
        self.folder = folder
        self.values = values | {"timings": {}, "models": [], "files": []}
