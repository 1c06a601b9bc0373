"""What a user knows of a structure besides its model, held against an upload before anything runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refine.energy.ramachandran import ramachandran
from refine.energy.system import System
from refine.energy.torsion_density import densities_of
from refine.errors import InputError, RefineError
from refine.evidence.read import Evidence, read_evidence
from refine.evidence.structures import OtherModel
from refine.propagation.field import heat_of
from refine.queue.request import Request
from refine.queue.settings import AppSettings
from refine.queue.uploads import Upload, of_kind, read_checked
from refine.run.evidence import described
from refine.run.inputs import prepared_for
from refine.settings import RunSettings
from refine.structure.notes import Note
from refine.structure.protein import Protein
from refine.structure.read import read_structure

OF_THE_RUN = Note(
    "evidence", "how far other models are expected to be wrong is estimated by the run; their rows are counted with 1 Å"
)


def check_known(
    upload: Upload, files: Mapping[str, bytes], request: Request, settings: AppSettings, place: Path
) -> dict[str, Any]:
    """Read evidence and temperatures of residues as the run would; gives the evidence in the words of ``run.evidence``.

    Args:
        upload: as checked; files: of evidence, relatives, other models and torsion densities, by the names of
            ``uploads.known_name``.
        request: MODEL of the file, frozen residues, temperatures.
        settings: for the limit of residues; place: a folder to work in.

    Returns:
        ``files`` and ``rows`` of ``run.evidence.described`` for the input, if there is evidence, and ``notes``; empty
        without files.

    Raises:
        InputError: the upload, a file, a row of it or a temperature does not fit; names file and line.
    """
    read_checked(upload, settings, place)
    for name, data in files.items():
        (place / name).write_bytes(data)
    run = RunSettings(model=request.model, freeze=request.freeze)
    try:
        prepared = prepared_for(place / upload.file, run)
        if request.heat:
            heat_of(request.heat, prepared.protein, np.ones(len(prepared.protein)))
        densities = of_kind(files, "density")
        notes = used_densities(prepared.protein, [place / name for name in densities]) if densities else []
        others = files.keys() - set(densities)
        evidence = known_of(prepared.protein, files, settings, place) if others else None
    except RefineError as error:
        file = None if error.file is None else Path(error.file).name
        raise InputError(
            error.message, file=file, chain=error.chain, residue=error.residue, remedy=error.remedy
        ) from error
    if evidence is None:
        return {"notes": notes} if notes else {}
    facts = described(evidence, {"input": prepared.protein})
    return facts | {"notes": [*(str(note) for note in evidence.notes), *notes]}


def used_densities(protein: Protein, files: Sequence[Path]) -> list[str]:
    """For how many residues of ``protein`` each torsion density stands, in words; raises InputError as
    ``densities_of``.
    """
    densities = densities_of([str(file) for file in files])
    term = ramachandran(System.from_protein(protein), densities=densities)
    kinds = term.kind[term.weight > 0].tolist()
    notes = []
    for k, (file, density) in enumerate(zip(files, densities, strict=True), len(term.table.classes) - len(densities)):
        used = kinds.count(k)
        what = f"for {used} of the model's residues" if used else "for none of the model's residues: it changes nothing"
        notes.append(f"{file.name}: the torsion density of {density.residue} stands {what}")
    return notes


def known_of(protein: Protein, names: Iterable[str], settings: AppSettings, place: Path) -> Evidence:
    """What the files ``names`` in the folder ``place`` know of ``protein``; errors as of ``check_known``."""
    paths = {kind: [place / name for name in of_kind(names, kind)] for kind in ("evidence", "template", "together")}
    for path in paths["template"]:
        read_structure(path, max_residues=settings.max_residues)
    others = []
    for path in paths["together"]:  # how far they are wrong takes the networks, which only the run loads
        other = read_structure(path, max_residues=settings.max_residues).protein
        others.append(OtherModel(path, other, np.ones(len(other))))
    found = read_evidence(paths["evidence"], protein, paths["template"], others)
    return dataclasses.replace(found, notes=(*found.notes, *((OF_THE_RUN,) if others else ())))
