"""Conformers of a residue: the template of each amino acid, its chi angles and the rotamers it takes."""

from __future__ import annotations

import functools
import io

import numpy as np
from numpy.typing import NDArray
from openmm import unit
from pdbfixer import PDBFixer

from refine.constants import ATOM14, BOLTZMANN, ONE_TO_THREE
from refine.structure.arrays import dihedral, turned_about
from refine.structure.chemistry import chi_slots, downstream
from refine.structure.protein import Protein
from refine.structure.reference import rotamers

_KT = BOLTZMANN * 300.0
_RARE = 0.003
_WIDE_SD = np.radians(15.0)
_SEED = "ATOM      1  CA  ALA A   1       0.000   0.000   0.000  1.00  0.00           C  \nEND\n"
"""The smallest file pdbfixer opens."""


@functools.cache
def _templates() -> dict[str, dict[str, list[float]]]:
    """Atom positions in Å by residue and atom name, as pdbfixer ships them; the network is not asked."""
    return {
        name: {
            atom.name: position.value_in_unit(unit.angstrom)
            for atom, position in zip(template.topology.atoms(), template.positions, strict=True)
        }
        for name, template in PDBFixer(pdbfile=io.StringIO(_SEED)).templates.items()
    }


@functools.cache
def ideal_residue(aa: str) -> NDArray[np.float64]:
    """Heavy atoms (14, 3) in Å of an L-residue ``aa`` (one-letter code), zeros beyond its slots."""
    positions = _templates()[ONE_TO_THREE[aa]]
    out = np.zeros((14, 3))
    out[: len(ATOM14[aa])] = [positions[name] for name in ATOM14[aa]]
    out.setflags(write=False)
    return out


def set_chi(aa: str, residue: NDArray[np.float64], chi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Conformers of a residue with the chi angles asked for; bond lengths and angles stay as they are.

    Args:
        aa: one-letter code.
        residue: (14, 3) Å.
        chi: (K, number of chi angles) in radians; NaN leaves an angle as it is.

    Returns:
        (K, 14, 3) Å.
    """
    x = np.repeat(np.asarray(residue, np.float64)[None], len(chi), axis=0)
    for k, slots in enumerate(chi_slots(aa)[: chi.shape[1]]):
        a, b, c, d = (x[:, slot] for slot in slots)
        turn = chi[:, k] - dihedral(a, b, c, d)
        moving = downstream(aa, k)
        x[:, moving] = turned_about(x[:, moving], c, c - b, np.where(np.isfinite(turn), turn, 0.0))
    return x


@functools.cache
def _library(aa: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Chi angles (K, n) in radians of every rotamer of ``aa`` and its number (K,); wide last angles at mean and ± one
    sd.
    """
    table = rotamers()[aa]
    mean, sd = table.mean, table.sd
    number = np.arange(len(mean))
    wide = number[sd[:, -1] > _WIDE_SD]
    step = np.zeros((len(wide), mean.shape[1]))
    step[:, -1] = sd[wide, -1]
    return np.concatenate((mean, mean[wide] - step, mean[wide] + step)), np.concatenate((number, wide, wide))


def likely_rotamers(aa: str, phi: float, psi: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotamers worth trying at a backbone conformation.

    Args:
        aa: one-letter code of a residue with rotatable side chain.
        phi, psi: radians; NaN where there is none.

    Returns:
        chi (K, n) in radians and costs (K,) in kcal/mol, -kT ln p at 300 K relative to the most frequent one.
    """
    chi, number = _library(aa)
    p = rotamers()[aa].given_backbone(phi, psi)[number]
    keep = p > _RARE
    return chi[keep], -_KT * np.log(p[keep] / p.max())


def backbone_angles(protein: Protein) -> NDArray[np.float64]:
    """Phi and psi (L, 2) in radians of replica 0, NaN at ends."""
    x = protein.coords[0].astype(np.float64)
    out = np.full((len(protein), 2), np.nan)
    i = np.nonzero(protein.bonded)[0]
    out[i + 1, 0] = dihedral(x[i, 2], x[i + 1, 0], x[i + 1, 1], x[i + 1, 2])
    out[i, 1] = dihedral(x[i, 0], x[i, 1], x[i, 2], x[i + 1, 0])
    return out
