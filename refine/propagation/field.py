"""One temperature for each residue, smoothed over the structure: the conditions Φ_i near equilibrium (equation 5).

The field minimises Σ c_i (Φ_i − Φ̂_i)² + λ Σ_ij w_ij (Φ_i − Φ_j)², w_ij = exp(−d_ij²/2ℓ²) over CA distances, from
raw values Φ̂_i that are given or follow from predicted errors. It is solved once and held: a field that followed the
coordinates within a step would make the noise multiplicative and add a drift of its own.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.errors import InputError
from refine.structure.protein import Protein
from refine.structure.selection import parse_selection

ROOM = 298.15
"""K, at which ``noise`` of the propagation is meant, and of residues that nothing is said of."""
LENGTH, SMOOTHING = 6.0, 1.0
"""Å and λ of the field."""
_FARTHEST = 4.0
"""Lengths beyond which residues do not see each other (weight 3e-4)."""
COLDEST, HOTTEST = 1 / 3, 3.0
"""Limits of temperatures that follow from errors, as factors on ``ROOM``."""
CONFIDENCE = "confidence"


def smoothed(
    raw: NDArray[np.float64],
    ca: NDArray[np.floating],
    certainty: NDArray[np.float64] | None = None,
    smoothing: float = SMOOTHING,
) -> NDArray[np.float64]:
    """The field (L,) of raw values (L,) at CA positions (L, 3) Å; a constant stays itself to the bit.

    Args:
        raw: Φ̂; certainty: c, 1 where None; smoothing: λ.
    """
    weight = np.ones(len(raw)) if certainty is None else certainty
    pairs = cKDTree(ca).query_pairs(_FARTHEST * LENGTH, output_type="ndarray")
    i, j = pairs[:, 0], pairs[:, 1]
    square = ((ca[i].astype(np.float64) - ca[j]) ** 2).sum(1)
    near = np.exp(-0.5 * square / LENGTH**2)
    both = (np.concatenate((near, near)), (np.concatenate((i, j)), np.concatenate((j, i))))
    joined = scipy.sparse.csc_matrix(both, shape=(len(raw), len(raw)))
    laplacian = scipy.sparse.diags(np.asarray(joined.sum(1)).ravel()) - joined
    away = raw - raw[0]  # a constant has none, and the solver's rounding then adds nothing
    matrix = (scipy.sparse.diags(weight) + smoothing * laplacian).tocsc()
    field, _ = scipy.sparse.linalg.cg(matrix, weight * away, x0=away, rtol=1e-10, atol=1e-10)
    result: NDArray[np.float64] = raw[0] + field
    return result


def heat_of(text: str, protein: Protein, error: NDArray[np.floating]) -> NDArray[np.float64]:
    """Temperatures (L,) K of a setting ``heat``.

    Args:
        text: ``confidence``, or items ``RESIDUES=K`` separated by ``;``, as ``A:40-55=600; B=350``; others are at
            298.15 K.
        protein: whose residues are meant, R = 1.
        error: (L,) Å, predicted; with ``confidence`` temperatures go with its square, as fluctuations in one harmonic
            well do, about the median.

    Raises:
        InputError: an item cannot be read, or names no residue.
    """
    if text.strip() == CONFIDENCE:
        square = error.astype(np.float64) ** 2
        raw = ROOM * np.clip(square / np.median(square), COLDEST, HOTTEST)
    else:
        raw = np.full(len(protein), ROOM)
        for item in text.split(";"):
            residues, sign, kelvin = item.rpartition("=")
            raw[parse_selection(residues.strip(), protein)] = _kelvin(item, kelvin if sign else "")
    return smoothed(raw, protein.coords[0, :, 1])


def _kelvin(item: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 <= value <= 5000.0:
        raise InputError(
            f"heat {item.strip()!r} gives no temperature between 0 and 5000 K",
            remedy='Write e.g. "A:40-55=600", several separated by semicolons, or "confidence"',
        )
    return value
