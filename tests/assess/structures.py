"""Structures that the tests of the metrics read: a few that travel with them, and the shared benchmark's."""

from __future__ import annotations

import functools
from pathlib import Path

import biotite.structure as struc
import numpy as np
from numpy.typing import NDArray

from refine.constants import ATOM14, ONE_TO_THREE
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from tests.conftest import ROOT, refine_shared

DATA = ROOT / "tests" / "data"
NATIVES = ("4cup.pdb", "refined150-dev/101m_/native.pdb")
"""Good crystal structures."""


def structure(name: str, model: int | None = None) -> Protein:
    """The protein of a file of ``tests/data`` or ``examples`` or, where ``name`` has a slash, of the shared benchmark.

    Skips the calling test when it needs the shared data and there is none. ``model`` is a MODEL of the file.
    """
    if "/" in name:
        return _read(refine_shared() / "bench" / name, model)
    return _read((ROOT / "examples" if name.startswith("1a8o") else DATA) / name, model)


def model_and_native(pair: str) -> tuple[Protein, Protein]:
    """A model and what it is compared with: ``1a8o`` (the example), ``1lcd`` (two NMR models), else a shared target."""
    if pair == "1a8o":
        return structure("1a8o_model.pdb"), structure("1a8o_native.pdb")
    if pair == "1lcd":
        return structure("1lcd.pdb", 2), structure("1lcd.pdb", 1)
    return structure(f"refined150-dev/{pair}/model.pdb"), structure(f"refined150-dev/{pair}/native.pdb")


def atom_array(protein: Protein, mask: NDArray[np.bool_] | None = None) -> struc.AtomArray:
    """Atoms of replica 0 (those of ``mask`` (L, 14), else all) for biotite, residues numbered from 1."""
    residue, slot = np.nonzero(protein.mask if mask is None else mask)
    atoms = struc.AtomArray(len(residue))
    atoms.coord = protein.coords[0, residue, slot]
    atoms.res_id = residue + 1
    atoms.chain_id[:] = "A"
    atoms.res_name = np.array([ONE_TO_THREE[protein.sequence[i]] for i in residue])
    atoms.atom_name = np.array([ATOM14[protein.sequence[i]][s] for i, s in zip(residue, slot, strict=True)])
    return atoms


@functools.cache
def _read(path: Path, model: int | None) -> Protein:
    return read_structure(path, model=model).protein
