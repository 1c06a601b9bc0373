"""Severely clashing side chains turned by a small rotamer search."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from refine.constants import ATOM14
from refine.structure.atom_list import AtomList
from refine.structure.chemistry import POLAR_ALLOWANCE, chi_slots
from refine.structure.conformers import backbone_angles, likely_rotamers, set_chi
from refine.structure.connections import disulfide_pairs
from refine.structure.protein import Protein

SEVERE_OVERLAP = 0.7
"""Å of overlap that makes a side chain worth repacking; smaller ones the minimiser resolves."""

_WELL_DEPTH = 0.15
_WORST_PAIR = 12.0
_KEEP_BONUS = 1.0
_CONTACT = 6.0


def repack(protein: Protein, mobile: NDArray[np.bool_], deadline: float) -> tuple[Protein, tuple[int, ...]]:
    """Turn chi angles of severely clashing side chains to the sterically best rotamer (replica 0).

    Residues with an overlap above ``SEVERE_OVERLAP`` at atoms beyond CB are visited worst first, twice at most, each
    taking the conformer of least truncated Lennard-Jones energy against everything else; its own conformer is among
    them and preferred. Disulfide cysteines, residues with riders, prolines, ``mobile`` False and residues with missing
    atoms stay as they are.

    Args:
        protein: R = 1.
        mobile: (L,).
        deadline: ``time.monotonic()`` value at which the search stops where it is.

    Returns:
        the protein and the residues whose side chain turned.
    """
    atoms = AtomList.from_protein(protein)
    x = atoms.positions(protein)
    bound = {i for pair in disulfide_pairs(protein) for i in pair} | {rider.residue for rider in protein.riders}
    complete = np.array([protein.mask[i, : len(ATOM14[aa])].all() for i, aa in enumerate(protein.sequence)])
    free = [
        bool(mobile[i] and complete[i] and chi_slots(aa) and i not in bound) for i, aa in enumerate(protein.sequence)
    ]
    angles = backbone_angles(protein)
    turned: set[int] = set()
    for _ in range(2):
        changed = False
        for i in _worst_first(atoms, x, np.array(free)):
            if time.monotonic() > deadline:
                break
            own = np.nonzero(atoms.residue == i)[0]
            best = _best_conformer(protein.sequence[i], angles[i], own, atoms, x)
            if best is not None:
                x[own] = best
                turned.add(i)
                changed = True
        if not changed:
            break
    if not turned:
        return protein, ()
    coords = protein.coords.copy()
    real = (atoms.residue >= 0) & (atoms.slot < 14)
    coords[0, atoms.residue[real], atoms.slot[real]] = x[real]
    return protein.with_coords(coords, oxt=protein.oxt), tuple(sorted(turned))


def _worst_first(atoms: AtomList, x: NDArray[np.float64], free: NDArray[np.bool_]) -> list[int]:
    pairs, overlap = atoms.overlaps(x, SEVERE_OVERLAP)
    score: dict[int, float] = {}
    for pair, depth in zip(pairs, overlap, strict=True):
        for a in pair:
            i = int(atoms.residue[a])
            if i >= 0 and free[i] and 5 <= atoms.slot[a] < 14:
                score[i] = score.get(i, 0.0) + float(depth)
    return sorted(score, key=lambda i: (-score[i], i))


def _best_conformer(
    aa: str, angles: NDArray[np.float64], own: NDArray[np.int64], atoms: AtomList, x: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Positions of the atoms ``own`` in a better conformer, None if the present one is best."""
    slots = atoms.slot[own]
    residue = np.zeros((14, 3))
    body = slots < 14
    residue[slots[body]] = x[own[body]]
    chi, cost = likely_rotamers(aa, *angles)
    conformers = np.concatenate((residue[None], set_chi(aa, residue, chi)))
    moving = own[body & (slots >= 5)]
    reach = np.linalg.norm(residue[5:] - residue[4], axis=1)[: len(ATOM14[aa]) - 5].max() + _CONTACT
    others = np.nonzero(np.linalg.norm(x - residue[4], axis=1) < reach)[0]
    others = others[~np.isin(others, moving)]
    allowed = atoms.radius[moving][:, None] + atoms.radius[others][None]
    allowed = allowed - 0.5 * POLAR_ALLOWANCE * (atoms.polar[moving][:, None] & atoms.polar[others][None])
    linked = atoms.excluded[moving][:, others].toarray() > 0
    gap = conformers[:, atoms.slot[moving]][:, :, None] - x[others][None, None]
    ratio6 = (0.95 * allowed / np.maximum(np.sqrt((gap**2).sum(-1)), 0.3)) ** 6
    energy = np.minimum(_WELL_DEPTH * (ratio6**2 - 2 * ratio6), _WORST_PAIR)
    total = np.where(linked, 0.0, energy).sum((1, 2)) + np.concatenate(([-_KEEP_BONUS], cost))
    best = int(np.argmin(total))
    if best == 0:
        return None
    out = x[own].copy()
    out[body] = conformers[best, slots[body]]
    return out
