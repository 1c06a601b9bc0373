"""Targets: what a network should predict of a decoy, from its native (numpy, one structure at a time)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from refine.structure.arrays import kabsch

NEIGHBOURHOOD = 13.0
"""Radius in Å of the region on which the native is laid to define a residue's local error."""

LDDT_RADIUS, LDDT_LIMITS = 15.0, (0.5, 1.0, 2.0, 4.0)
"""Å, of the native pairs that count and of their errors; GDT-HA has the same limits."""

Array = NDArray[np.float64]


def whole_superposition(native: Array, decoy: Array, rounds: int = 6, scale: float = 2.0) -> tuple[Array, Array]:
    """Rotation (3, 3) and shift (3,) that lay native CA (L, 3) onto the part of the decoy that is right.

    Iteratively reweighted least squares with weights 1 / (1 + (d / scale)^2)^2: residues far off hardly count, as in
    GDT.
    """
    weight = np.ones(len(native))
    rot, shift = np.eye(3), np.zeros(3)
    for _ in range(rounds):
        w = weight / weight.sum()
        cn, cd = w @ native, w @ decoy
        rot = kabsch((w[:, None] * (decoy - cd)).T @ (native - cn))
        shift = cd - rot @ cn
        d2 = ((native @ rot.T + shift - decoy) ** 2).sum(-1)
        weight = 1.0 / (1.0 + d2 / scale**2) ** 2
    return rot, shift


def local_superpositions(native: Array, decoy: Array, rounds: int = 2) -> tuple[Array, Array]:
    """Rotations (L, 3, 3) and shifts (L, 3) that lay the native onto the surroundings of each residue of the decoy.

    The surroundings are weighted smoothly to zero at ``NEIGHBOURHOOD``; the second round lets neighbours that fit
    badly count less.
    """
    x = np.clip((cdist(decoy, decoy) - 8.0) / (NEIGHBOURHOOD - 8.0), 0, 1)
    near = 1 - x * x * (3 - 2 * x)
    weight = near
    outer = (decoy[:, :, None] * native[:, None, :]).reshape(len(native), 9)
    for _ in range(rounds):
        w = weight / weight.sum(1, keepdims=True)
        cn, cd = w @ native, w @ decoy
        rot = kabsch((w @ outer).reshape(-1, 3, 3) - cd[:, :, None] * cn[:, None, :])
        shift = cd - (rot @ cn[..., None])[..., 0]
        laid = (native @ rot.transpose(0, 2, 1)) + shift[:, None]
        weight = near / (1.0 + _squared(laid - decoy) / 4.0)
    return rot, shift


def _squared(vectors: Array) -> Array:
    """Squared lengths (...) of vectors (..., 3)."""
    return np.einsum("...k,...k->...", vectors, vectors)


def lddt_ca(native: Array, decoy: Array) -> Array:
    """Per-residue CA lDDT (L,) in [0, 1] (Mariani et al. 2013), no stereochemistry checks; 1 where no pair counts."""
    between = cdist(native, native)
    counted = between < LDDT_RADIUS
    np.fill_diagonal(counted, False)
    error = np.where(counted, np.abs(between - cdist(decoy, decoy)), np.inf)
    preserved = sum(np.count_nonzero(error < limit, axis=1) for limit in LDDT_LIMITS) / len(LDDT_LIMITS)
    pairs = np.count_nonzero(counted, axis=1)
    return np.where(pairs > 0, preserved / np.maximum(pairs, 1), 1.0)
