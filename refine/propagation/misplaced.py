"""Residues that are misplaced by what rows of evidence say: violated rows that meet in few residues speak against
these, not against what lies at their other ends.

The violation of a row, x_r ≥ 0, is taken for the sum of what its two ends are wrong by, e ≥ 0, with as few residues
wrong as possible:

    Σ_r (x_r − e_i − e_j)² + 2 λ Σ_i e_i        λ = NEEDED · x̄ · max(1, ends of rows per residue)

least over e, by coordinate descent; x̄ is the median of the violations, and none counts for more than NEEDED of it, so
that no residue is misplaced by a single row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEEDED = 2.0
"""Violated rows that a residue needs more than to be misplaced."""
YIELDS = 10.0
"""By how much what a residue is wrong by counts in the elastic network: those that are misplaced go where rows lead."""
BESIDE = 2
"""Neighbours along the chain on either side that yield with a misplaced residue, the less the farther."""
_SWEEPS, _SETTLED = 300, 1e-3

Array = NDArray[np.float64]


def misplaced(ends: NDArray[np.int64], violation: Array, length: int) -> Array:
    """By how many Å each residue (L,) is wrong, 0 for most.

    Args:
        ends: (K, 2) residues of rows; violation: (K,) Å, 0 where a row holds; length: L.
    """
    wrong = np.zeros(length)
    if not (violation > 0).any():
        return wrong
    usual = float(np.median(violation[violation > 0]))
    left, rows = np.minimum(violation, NEEDED * usual), np.bincount(ends.ravel(), minlength=length)
    penalty = NEEDED * usual * max(1.0, float(rows.mean()))
    touching = {i: np.flatnonzero((ends == i).any(1)) for i in np.flatnonzero(rows > NEEDED).tolist()}
    for _ in range(_SWEEPS):
        changed = 0.0
        for i, own in touching.items():
            new = max(0.0, (left[own].sum() + len(own) * wrong[i] - penalty) / len(own))
            left[own] -= new - wrong[i]
            changed, wrong[i] = max(changed, abs(new - wrong[i])), new
        if changed < _SETTLED:
            break
    return wrong


def yielding(wrong: Array) -> Array:
    """(L,) Å that the network adds to the predicted errors, for residues that are ``wrong`` (L,) and beside such."""
    apart = np.abs(np.subtract.outer(np.arange(len(wrong)), np.arange(len(wrong))))
    return np.asarray(YIELDS * (wrong * np.maximum(0.0, 1.0 - apart / (BESIDE + 1))).max(1, initial=0.0))
