"""From a file to a protein that can be scored and moved: read, repaired, its frozen residues marked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refine.structure.notes import Note
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.repair import repair
from refine.structure.selection import parse_selection


@dataclasses.dataclass(frozen=True)
class Prepared:
    """An input that is ready to be scored or moved.

    Attributes:
        path: of the file; protein: R = 1, backbones and side chains complete.
        notes: every repair, in order.
        mobile: (L,) bool, False for residues that must not move.
    """

    path: Path
    protein: Protein
    notes: tuple[Note, ...]
    mobile: NDArray[np.bool_]


def prepare(path: Path, *, model: int | None = None, freeze: str = "") -> Prepared:
    """Read and repair an input.

    Args:
        path: PDB, mmCIF or BinaryCIF, plain or gzipped.
        model: number of the MODEL that is read, None for the first.
        freeze: residues that must not move, as ``parse_selection`` reads them.

    Raises:
        InputError: it cannot be used.
    """
    read = read_structure(path, model=model)
    repaired = repair(read)
    frozen = parse_selection(freeze, repaired.protein) if freeze else np.zeros(len(repaired.protein), np.bool_)
    return Prepared(path, repaired.protein, (*read.notes, *repaired.notes), ~frozen)
