"""lDDT: the share of the native's local distances that a model preserves, without any superposition.

Mariani et al. 2013, Bioinformatics 29:2722. Every pair of atoms of different residues closer than 15 Å in the native is
a local distance; it is preserved when the model's distance differs by less than 0.5, 1, 2, 4 Å, and the score is the
mean over these four.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.constants import ATOM14

INCLUSION_RADIUS = 15.0
TOLERANCES = np.array((0.5, 1.0, 2.0, 4.0))

SYMMETRIC_ATOMS: dict[str, tuple[tuple[str, str], ...]] = {
    "D": (("OD1", "OD2"),),
    "E": (("OE1", "OE2"),),
    "F": (("CD1", "CD2"), ("CE1", "CE2")),
    "R": (("NH1", "NH2"),),
    "Y": (("CD1", "CD2"), ("CE1", "CE2")),
}
"""Atoms whose names may be exchanged without changing the molecule."""


@dataclasses.dataclass(frozen=True)
class LocalDistances:
    """lDDT (0–1) of a whole model and of each of its n residues; NaN where the native has no local distance."""

    score: float
    per_residue: NDArray[np.float64]
    pairs: int


def lddt(
    model: NDArray[np.floating],
    native: NDArray[np.floating],
    model_mask: NDArray[np.bool_],
    native_mask: NDArray[np.bool_],
    *,
    excluded: NDArray[np.bool_] | None = None,
) -> LocalDistances:
    """lDDT over the atoms the native has.

    Args:
        model, native: (n, A, 3) Å, atom a of residue i in the same slot in both; A = 1 gives Cα-lDDT.
        model_mask, native_mask: (n, A); an atom that only the native has counts as never preserved.
        excluded: (n, A) atoms of the model treated as absent, such as those of a bad stereochemistry
            (``stereochemistry.lddt_exclusions``).

    The score weighs every local distance once; a residue's score weighs every distance of its atoms once. Native
    residues that are not among the n are not counted as errors. Does not exchange symmetric atoms: see
    ``swap_symmetric_atoms``.
    """
    residue, slot = np.nonzero(native_mask)
    present = model_mask[residue, slot]
    if excluded is not None:
        present &= ~excluded[residue, slot]
    x, y = np.asarray(model[residue, slot], np.float64), np.asarray(native[residue, slot], np.float64)
    i, j = local_pairs(y, residue)
    reference = np.linalg.norm(y[i] - y[j], axis=-1)
    error = np.abs(np.linalg.norm(x[i] - x[j], axis=-1) - reference)
    kept = sum((error < tolerance).astype(np.float64) for tolerance in TOLERANCES) / len(TOLERANCES)
    kept = np.where(present[i] & present[j], kept, 0.0)
    n = len(native_mask)
    count = np.bincount(residue[i], minlength=n) + np.bincount(residue[j], minlength=n)
    total = np.bincount(residue[i], kept, n) + np.bincount(residue[j], kept, n)
    per_residue = np.divide(total, count, out=np.full(n, np.nan), where=count > 0)
    return LocalDistances(float(kept.mean()) if len(kept) else float("nan"), per_residue, len(kept))


def swap_symmetric_atoms(
    model: NDArray[np.floating],
    native: NDArray[np.floating],
    model_mask: NDArray[np.bool_],
    native_mask: NDArray[np.bool_],
    sequence: str,
) -> NDArray[np.floating]:
    """The model (n, 14, 3) with symmetric atoms renamed, residue by residue, to whatever preserves more of the native's
    distances.

    Each residue is decided on its distances to unambiguous atoms alone, as in Mariani et al.; the native's ``sequence``
    names the residues.
    """
    ambiguous = np.zeros(native_mask.shape, dtype=bool)
    swapped = np.array(model, copy=True)
    places = []
    for r, aa in enumerate(sequence):
        slots = [(ATOM14[aa].index(a), ATOM14[aa].index(b)) for a, b in SYMMETRIC_ATOMS.get(aa, ())]
        if slots and all(mask[r, k] for mask in (model_mask, native_mask) for pair in slots for k in pair):
            first, second = [a for a, _ in slots], [b for _, b in slots]
            swapped[r, first], swapped[r, second] = model[r, second], model[r, first]
            ambiguous[r, first + second] = True
            places.append(r)
    if not places:
        return swapped
    here, slot = np.nonzero(ambiguous)
    anchor, anchor_slot = np.nonzero(native_mask & model_mask & ~ambiguous)
    tree = cKDTree(native[anchor, anchor_slot])
    near = tree.query_ball_point(native[here, slot], INCLUSION_RADIUS)
    rows = np.repeat(np.arange(len(here)), [len(k) for k in near])
    columns = np.concatenate([np.asarray(k, np.int64) for k in near])
    apart = here[rows] != anchor[columns]
    rows, columns = rows[apart], columns[apart]
    target = model[anchor, anchor_slot][columns]
    reference = np.linalg.norm(native[here, slot][rows] - native[anchor, anchor_slot][columns], axis=-1)
    votes = []
    for candidate in (model, swapped):
        error = np.abs(np.linalg.norm(candidate[here, slot][rows] - target, axis=-1) - reference)
        votes.append(np.bincount(here[rows], (error[:, None] < TOLERANCES).sum(-1), len(sequence)))
    better = votes[1] > votes[0]
    return np.where(better[:, None, None], swapped, model)


def local_pairs(points: NDArray[np.float64], residue: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Index pairs i < j of atoms of different residues closer than the inclusion radius."""
    if len(points) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    pairs = cKDTree(points).query_pairs(INCLUSION_RADIUS, output_type="ndarray")
    pairs = pairs[residue[pairs[:, 0]] != residue[pairs[:, 1]]]
    return pairs[:, 0], pairs[:, 1]
