"""What a user knows of a structure besides its model, held against an upload before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from refine.errors import InputError, RefineError
from refine.propagation.field import heat_of
from refine.queue.request import Request
from refine.queue.settings import AppSettings
from refine.queue.uploads import Upload, read_checked
from refine.run.evidence import described
from refine.run.inputs import evidence_for, prepared_for
from refine.settings import RunSettings


def check_known(
    upload: Upload, files: Mapping[str, bytes], request: Request, settings: AppSettings, place: Path
) -> dict[str, Any]:
    """Read evidence and temperatures of residues as the run would; gives the evidence in the words of ``run.evidence``.

    Args:
        upload: as checked; files: of evidence, by the names of ``uploads.evidence_name``.
        request: MODEL of the file, frozen residues, temperatures.
        settings: for the limit of residues; place: a folder to work in.

    Returns:
        ``files`` and ``rows`` of ``run.evidence.described`` for the input, and ``notes``; empty without evidence.

    Raises:
        InputError: the upload, a file of evidence, a row of it or a temperature does not fit; names file and line.
    """
    read_checked(upload, settings, place)
    for name, data in files.items():
        (place / name).write_bytes(data)
    run = RunSettings(model=request.model, freeze=request.freeze, evidence=tuple(str(place / name) for name in files))
    try:
        prepared = prepared_for(place / upload.file, run)
        if request.heat:
            heat_of(request.heat, prepared.protein, np.ones(len(prepared.protein)))
        evidence = evidence_for(prepared, run, None)
    except RefineError as error:
        file = None if error.file is None else Path(error.file).name
        raise InputError(
            error.message, file=file, chain=error.chain, residue=error.residue, remedy=error.remedy
        ) from error
    if evidence is None:
        return {}
    return described(evidence, {"input": prepared.protein}) | {"notes": [str(note) for note in evidence.notes]}
