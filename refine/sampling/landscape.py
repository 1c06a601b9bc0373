"""Minima of a learned free energy, and the basin of each point."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor

from refine.sampling.density import MAX_FORCE, FreeEnergyNetwork

DESCENT_STEPS = 300
DESCENT_STEP = 0.02
MERGED = 0.15
"""Standard deviations within which the ends of descents are one minimum."""


@dataclasses.dataclass(frozen=True)
class Landscape:
    """What descents on a free energy found.

    Attributes:
        minima: (M, d), the lowest first; free_energy: (M,) kT, the lowest is 0.
        basin: (N,) minimum that each start leads to.
    """

    minima: NDArray[np.float64]
    free_energy: NDArray[np.float64]
    basin: NDArray[np.int64]


def landscape(network: FreeEnergyNetwork, starts: Tensor) -> Landscape:
    """Descend from starts (N, d) of variables that are not periodic, and merge the ends."""
    u = network.scaled(starts).detach()
    for _ in range(DESCENT_STEPS):
        at = u.requires_grad_(True)
        (slope,) = torch.autograd.grad(network.of_scaled(at).sum(), at)
        u = at.detach() - DESCENT_STEP * slope.clamp(-MAX_FORCE, MAX_FORCE)
    ends = u.numpy().astype(np.float64)
    labels = _merged(ends)
    with torch.no_grad():
        energy = network.of_scaled(u).numpy().astype(np.float64)
    lowest = np.array([np.flatnonzero(labels == k)[energy[labels == k].argmin()] for k in range(labels.max() + 1)])
    order = np.argsort(energy[lowest], kind="stable")
    at_minimum = starts.new_tensor(ends[lowest[order]]) * network.spread + network.mean
    return Landscape(
        at_minimum.numpy().astype(np.float64),
        energy[lowest[order]] - energy[lowest[order[0]]],
        np.argsort(order)[labels],
    )


def _merged(ends: NDArray[np.float64]) -> NDArray[np.int64]:
    """Label (N,) from 0 of ends (N, d): single linkage of distinct cells, so that thousands of ends stay few."""
    cells, inverse = np.unique(np.round(ends / (0.25 * MERGED)).astype(np.int64), axis=0, return_inverse=True)
    if len(cells) == 1:
        return np.zeros(len(ends), np.int64)
    groups = fcluster(linkage(cells * 0.25 * MERGED, "single"), MERGED, criterion="distance")
    return groups[inverse.ravel()] - 1
