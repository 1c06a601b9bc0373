"""Backbone and side-chain torsions of a protein and how they compare with the reference distributions."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from refine.constants import ATOM14, CHI_ATOMS
from refine.structure.arrays import dihedral
from refine.structure.protein import Protein
from refine.structure.reference import ramachandran, rotamers

FAVOURED, ALLOWED, OUTLIER, UNKNOWN = 0, 1, 2, -1
"""Verdicts of ``ramachandran_verdict`` and ``rotamer_verdict``."""


@dataclasses.dataclass(frozen=True)
class Torsions:
    """Torsions in radians, NaN where an atom or the bond to the neighbour is missing.

    Attributes:
        phi, psi: (L,).
        omega: (L,) of the peptide bond before the residue.
        chi: (L, 4).
    """

    phi: NDArray[np.float64]
    psi: NDArray[np.float64]
    omega: NDArray[np.float64]
    chi: NDArray[np.float64]


def torsions(protein: Protein) -> Torsions:
    """Torsions of replica 0."""
    x = np.where(protein.mask[..., None], protein.coords[0].astype(np.float64), np.nan)
    n, ca, c = x[:, 0], x[:, 1], x[:, 2]
    length = len(protein)
    phi, psi, omega, chi = (np.full(shape, np.nan) for shape in ((length,), (length,), (length,), (length, 4)))
    if length > 1:
        bonded = protein.bonded[:-1]
        phi[1:] = np.where(bonded, dihedral(c[:-1], n[1:], ca[1:], c[1:]), np.nan)
        psi[:-1] = np.where(bonded, dihedral(n[:-1], ca[:-1], c[:-1], n[1:]), np.nan)
        omega[1:] = np.where(bonded, dihedral(ca[:-1], c[:-1], n[1:], ca[1:]), np.nan)
    for aa in set(protein.sequence):
        rows = np.flatnonzero(np.frombuffer(protein.sequence.encode(), "S1") == aa.encode())
        for k, atoms in enumerate(CHI_ATOMS[aa]):
            chi[rows, k] = dihedral(*(x[rows, ATOM14[aa].index(atom)] for atom in atoms))
    return Torsions(phi, psi, omega, chi)


def ramachandran_verdict(protein: Protein, angles: Torsions) -> NDArray[np.int64]:
    """(L,) FAVOURED, ALLOWED, OUTLIER or UNKNOWN (no phi or psi: ends, chain breaks)."""
    table = ramachandran()
    kind = table.classify(protein.sequence, protein.bonded)
    value = table.log_density(angles.phi, angles.psi, kind)
    return _verdict(value, table.favoured[kind], table.allowed[kind])


def rotamer_verdict(protein: Protein, angles: Torsions) -> NDArray[np.int64]:
    """(L,) FAVOURED, ALLOWED, OUTLIER or UNKNOWN (glycine, alanine, incomplete side chains)."""
    table = rotamers()
    verdict = np.full(len(protein), UNKNOWN)
    for aa in set(protein.sequence):
        if aa not in table:
            continue
        rows = np.flatnonzero(np.frombuffer(protein.sequence.encode(), "S1") == aa.encode())
        own = table[aa]
        value = own.log_density(angles.chi[rows, : own.mean.shape[1]])
        verdict[rows] = _verdict(value, np.full(len(rows), own.favoured), np.full(len(rows), own.allowed))
    return verdict


def _verdict(
    value: NDArray[np.float64], favoured: NDArray[np.floating], allowed: NDArray[np.floating]
) -> NDArray[np.int64]:
    return np.select([~np.isfinite(value), value >= favoured, value >= allowed], [UNKNOWN, FAVOURED, ALLOWED], OUTLIER)
