"""Basins of a free energy on a grid, shallow ones merged."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refine.physics.bias import Axis

SHALLOW = 1.0
"""kT: a minimum with a lower barrier to a deeper one belongs to it."""


def basins(energy: NDArray[np.floating], axes: Sequence[Axis], shallow: float = SHALLOW) -> NDArray[np.int64]:
    """Basin of each grid point (…grid), the deepest is 0; −1 where the energy is not finite.

    Points are flooded from the lowest up. Each joins its lowest neighbour's basin; where two basins meet less than
    ``shallow`` above the minimum of the higher one, they become one.
    """
    flat, shape = energy.ravel(), energy.shape
    label = np.full(len(flat), -1, dtype=np.int64)
    parent: list[int] = []
    lowest: list[float] = []

    def root(k: int) -> int:
        while parent[k] != k:
            k = parent[k]
        return k

    for point in np.argsort(flat, kind="stable").tolist():
        if not np.isfinite(flat[point]):
            break
        around = [n for n in _neighbours(point, shape, axes) if label[n] >= 0]
        if not around:
            label[point] = len(parent)
            parent.append(len(parent))
            lowest.append(float(flat[point]))
            continue
        label[point] = root(int(label[min(around, key=lambda n: flat[n])]))
        for other in {root(int(label[n])) for n in around}:
            first, second = sorted((root(int(label[point])), other), key=lambda k: lowest[k])
            if first != second and flat[point] - lowest[second] < shallow:
                parent[second] = first
    roots = np.array([root(k) for k in range(len(parent))], dtype=np.int64)
    _, numbered = np.unique(roots, return_inverse=True)  # basins were begun from the lowest up
    return np.where(label >= 0, numbered[label], -1).reshape(shape)


def _neighbours(point: int, shape: tuple[int, ...], axes: Sequence[Axis]) -> list[int]:
    """Points beside and diagonal to one, round the border of torsions."""
    place, found = np.unravel_index(point, shape), []
    for step in itertools.product((-1, 0, 1), repeat=len(shape)):
        there = [int(p) + s for p, s in zip(place, step, strict=True)]
        for k, axis in enumerate(axes):
            there[k] = there[k] % shape[k] if axis.periodic else there[k]
        if any(step) and all(0 <= t < n for t, n in zip(there, shape, strict=True)):
            found.append(int(np.ravel_multi_index(there, shape)))
    return found
