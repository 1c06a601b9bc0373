"""How a run folder is opened: a finished run given back, or the folder emptied, with its record."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refine.device import choose_device, device_name
from refine.progress import JsonLines, Progress
from refine.run.folder import RunFolder
from refine.run.record import Record, file_hash
from refine.run.result import RunResult
from refine.settings import RunSettings
from refine.structure.prepare import Prepared


def done_before(folder: RunFolder, path: Path, settings: RunSettings, *, resume: bool) -> RunResult | None:
    """The result of a finished run of the same input and settings, None without ``resume`` or without such a run.

    Raises:
        InputError: the folder cannot be used, or it holds something and ``resume`` is not set.
    """
    folder.check(resume=resume)
    values = folder.finished(file_hash(path), settings.to_dict(), evidence_hashes(settings)) if resume else None
    return None if values is None else result_of(folder, values, skipped=True)


def evidence_hashes(settings: RunSettings) -> dict[str, str]:
    """File → SHA-256 of the evidence that ``settings`` name; raises InputError when one cannot be read."""
    return {name: file_hash(Path(name)) for name in settings.evidence_files}


@contextlib.contextmanager
def opened(
    folder: RunFolder, prepared: Prepared, settings: RunSettings, progress: Progress | None
) -> Iterator[tuple[Record, Progress]]:
    """The folder without the results of an unfinished run, as its record and a progress that is written there too."""
    device = device_name(choose_device(settings.device))
    folder.clear()
    with folder.open() as stream:
        record = Record(folder, prepared, settings.to_dict(), device)
        if settings.evidence_files:
            record.values["evidence_sha256"] = evidence_hashes(settings)
        yield record, (progress or Progress()).also(JsonLines(stream))


def result_of(folder: RunFolder, values: dict[str, Any], *, skipped: bool = False) -> RunResult:
    """What ``values``, run.json of a finished run, say that it gave."""
    models = tuple(folder.path / model["cif"] for model in values.get("models", ()) if "cif" in model)
    return RunResult(folder.path, models, values.get("improved", False), values.get("verdict", ""), values, skipped)
