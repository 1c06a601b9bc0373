"""Distances between whole structures of the same atoms."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from refine.structure import arrays, geometry


def rmsd_to(points: NDArray[np.floating], fixed: NDArray[np.floating]) -> NDArray[np.float64]:
    """Least root mean square distance (F,) Å of structures (F, N, 3) to ``fixed`` (N, 3)."""
    return np.sqrt(((arrays.superposed(points, fixed) - fixed) ** 2).sum(-1).mean(-1))


def rmsd_matrix(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """(F, F) Å, least root mean square distances among structures (F, N, 3); symmetric, zero diagonal."""
    rmsd = np.stack([rmsd_to(points, one) for one in points])
    rmsd = 0.5 * (rmsd + rmsd.T)
    np.fill_diagonal(rmsd, 0.0)
    return rmsd


def radii_of_gyration(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """(F,) Å of structures (F, N, 3)."""
    centred = points - points.mean(-2, keepdims=True)
    return np.sqrt((centred**2).sum(-1).mean(-1))


def rmsf(ca: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean square fluctuation (L,) Å of CA positions (F, L, 3) about their mean, laid onto the first snapshot."""
    frames = torch.from_numpy(np.ascontiguousarray(ca, dtype=np.float32))
    laid = geometry.superposed(frames, frames[:1].expand_as(frames))
    return ((laid - laid.mean(0)) ** 2).sum(-1).mean(0).sqrt().numpy()
