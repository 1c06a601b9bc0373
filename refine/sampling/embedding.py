"""A latent space of conformations: principal components of their pair distances."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MOST_PAIRS = 5000


def pair_features(positions: Array, most: int = MOST_PAIRS) -> Array:
    """Distances (N, M) in Å of atom pairs of conformations (N, A, 3), which no rotation changes.

    All pairs at least three atoms apart; where these are more than ``most``, evenly many of them.
    """
    first, second = np.triu_indices(positions.shape[1], 3)
    take = np.linspace(0, len(first) - 1, min(most, len(first))).astype(np.int64)
    difference = positions[:, first[take]] - positions[:, second[take]]
    distances: Array = np.linalg.norm(difference, axis=-1)
    return distances


@dataclasses.dataclass(frozen=True)
class PrincipalComponents:
    """Centre (M,) and K orthonormal axes (K, M) of features; ``variance`` (K,) along each."""

    centre: Array
    axes: Array
    variance: Array

    @classmethod
    def of(cls, features: Array, components: int) -> PrincipalComponents:
        """The ``components`` directions (or as many as there are) in which features (N, M) differ most.

        The sign of an axis is that of its largest entry, so that the same features give the same space.
        """
        centre = features.mean(0)
        _, singular, axes = np.linalg.svd(features - centre, full_matrices=False)
        count = min(components, len(singular))
        axes = axes[:count]
        largest = axes[np.arange(count), np.abs(axes).argmax(1)]
        axes = axes * np.where(largest < 0, -1.0, 1.0)[:, None]
        return cls(centre, axes, singular[:count] ** 2 / max(len(features) - 1, 1))

    def __call__(self, features: Array) -> Array:
        """Latent coordinates (N, K)."""
        latent: Array = (features - self.centre) @ self.axes.T
        return latent
