"""The predictive distribution of every pair distance: the ensemble's, widened to what it was measured to be worth.

An ensemble of one propagation knows nothing of the errors that all its members share, so its intervals are far too
narrow. What widens them is the scale that the prior networks give neighbours' distances, the expected error of both
residues, the distance and the separation in the chain; how much of each, is fitted (``calibration.Pairs``).
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from refine.accuracy.calibration import Pairs

NEAREST = 0.1
"""Å added to the ensemble's deviation before its logarithm."""
_GRID = np.concatenate((-np.geomspace(1e4, 1e-3, 4096), [0.0], np.geomspace(1e-3, 1e4, 4096)))


@dataclasses.dataclass(frozen=True)
class NetworkPairs:
    """What the networks say of pairs, both directions and both atom kinds averaged.

    Attributes:
        target: (L, L) Å, most likely distance; log_scale: (L, L) of its scale in Å; known: (L, L) weight in [0, 1], 0
            outside the regions.
    """

    target: NDArray[np.float64]
    log_scale: NDArray[np.float64]
    known: NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Predicted:
    """Student's t of every pair: location and scale (L, L) Å, degrees of freedom."""

    location: NDArray[np.float32]
    scale: NDArray[np.float32]
    freedom: float

    def below(self, edge: float) -> NDArray[np.float32]:
        """(L, L) probability of a distance below ``edge`` Å."""
        return self.cumulative((edge - self.location) / self.scale)

    def cumulative(self, z: NDArray[np.floating]) -> NDArray[np.float32]:
        """Distribution function of standardised values, by interpolation in a table (error below 1e-6)."""
        return np.interp(z, _GRID, _table(self.freedom)).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _table(freedom: float) -> NDArray[np.float64]:
    """The distribution function on ``_GRID``: it takes longer than the interpolation of a row of pairs."""
    return np.asarray(stdtr(freedom, _GRID), np.float64)


def network_pairs(
    index: NDArray[np.int64],
    envelope: NDArray[np.floating],
    distances: NDArray[np.floating],
    scales: NDArray[np.floating],
    now: NDArray[np.floating],
    glycine: NDArray[np.bool_],
) -> NetworkPairs:
    """Pairs of the networks' fields at one structure.

    Args:
        index, envelope: (L, K) neighbours and weights; distances, scales: (L, K, 2) Å, CA–CA and CB–CB.
        now: (L, L) Å, distances at that structure, used where the networks say nothing.
        glycine: (L,) bool: a pair with one is measured at its CA, so both kinds count half.
    """
    length = len(index)
    rows = np.repeat(np.arange(length), index.shape[1])
    columns, weight = index.ravel(), envelope.ravel().astype(np.float64)
    share = np.where(glycine[rows] & glycine[columns], 0.0, np.where(glycine[rows] | glycine[columns], 0.5, 1.0))
    d, b = distances.reshape(-1, 2).astype(np.float64), np.log(scales.reshape(-1, 2).astype(np.float64))
    total, target, log_scale = (np.zeros((length, length)) for _ in range(3))
    mixed_d, mixed_b = (v[:, 0] + share * (v[:, 1] - v[:, 0]) for v in (d, b))
    for matrix, values in ((total, np.ones_like(weight)), (target, mixed_d), (log_scale, mixed_b)):
        np.add.at(matrix, (rows, columns), weight * values)
        matrix += matrix.T.copy()
    certainty = np.minimum(total / 2.0, 1.0)
    safe = np.maximum(total, 1e-9)
    return NetworkPairs(np.where(total > 0, target / safe, now), np.where(total > 0, log_scale / safe, 0.0), certainty)


def pair_features(
    mean: NDArray[np.floating],
    std: NDArray[np.floating],
    error: NDArray[np.floating],
    separation: NDArray[np.floating],
    network: NetworkPairs | None,
) -> dict[str, NDArray[np.float64]]:
    """What the scale of each pair depends on, by name (L, L).

    Args:
        mean, std: (L, L) Å of the ensemble; error: (L,) Å of each residue.
        separation: (L, L) residues along the chain, large between chains.
        network: None without networks.
    """
    squared = np.asarray(error, np.float64) ** 2
    features = {
        "log_std": np.log(std.astype(np.float64) + NEAREST),
        "log_error": 0.5 * np.log(squared[:, None] + squared[None]),
        "log_distance": np.log(np.maximum(mean.astype(np.float64), 3.0)),
        "log_separation": np.log(np.minimum(np.maximum(separation, 1.0), 30.0)),
    }
    if network is not None:
        features |= {"known": network.known, "known_log_scale": network.known * network.log_scale}
    return features


def predict(
    mean: NDArray[np.floating], features: dict[str, NDArray[np.float64]], network: NetworkPairs | None, table: Pairs
) -> Predicted:
    """The predictive distribution of pairs with ensemble mean ``mean`` (L, L) Å and ``features``."""
    location = mean if network is None else mean + table.pull * network.known * (network.target - mean)
    scale = np.exp(np.clip(table.log_scale(features), -4.0, 4.0))
    return Predicted(location.astype(np.float32), scale.astype(np.float32), table.freedom)


def separations(position: NDArray[np.int64], chain: NDArray[np.int64]) -> NDArray[np.float64]:
    """(L, L) residues between both along the chain; 1,000 between chains."""
    apart = np.abs(position[:, None] - position[None]).astype(np.float64)
    return np.where(chain[:, None] == chain[None], apart, 1000.0)
