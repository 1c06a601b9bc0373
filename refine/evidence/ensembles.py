"""Evidence on many molecules at once: the mean of a distance (FRET, PRE), or its distribution (DEER)."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from refine.structure.protein import Site

MEAN, DISTRIBUTION = "mean", "distribution"
LEAST_REPLICAS = 16
"""Structures whose average can be held against a measured one; fewer are too noisy."""
_ITERATIONS = 200


@dataclasses.dataclass(frozen=True)
class EnsembleRow:
    """What is known of a distance in an ensemble.

    Attributes:
        kind: ``mean`` or ``distribution``; first, second: the atoms.
        value, sigma: Å, the mean and its uncertainty.
        edges: (B + 1,) Å and probabilities: (B,) of a histogram, freed of the noise of measurement; of a mean empty.
        line: of the file; source: place of the file among those given.
    """

    kind: str
    first: Site
    second: Site
    value: float
    sigma: float
    edges: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    line: int
    source: int = 0

    @property
    def bounds(self) -> tuple[float, float]:
        """Å between which distances are said to lie, the mean twice."""
        if self.kind == MEAN:
            return self.value, self.value
        filled = np.flatnonzero(self.probabilities > 0)
        return float(self.edges[filled[0]]), float(self.edges[filled[-1] + 1])

    def variation(self, distances: NDArray[np.floating]) -> float:
        """Total variation (0–1) between the histogram and that of distances (N,) Å; what lies outside counts."""
        counts = np.histogram(distances, self.edges)[0] / max(len(distances), 1)
        return float(0.5 * (np.abs(counts - self.probabilities).sum() + 1.0 - counts.sum()))


def deconvolved(probabilities: NDArray[np.float64], edges: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """A histogram (B,) over ``edges`` (B + 1,) Å without the Gaussian noise ``sigma`` Å of its measurement
    (Richardson 1972, J. Opt. Soc. Am. 62:55; Lucy 1974, Astron. J. 79:745), which stays positive and sums to 1.
    """
    total = probabilities / probabilities.sum()
    if sigma == 0:
        return total
    middles = 0.5 * (edges[1:] + edges[:-1])
    spread = np.diff(ndtr((edges[:, None] - middles[None]) / sigma), axis=0)  # measured bin, true bin
    spread /= spread.sum(0)
    found = np.full(len(total), 1.0 / len(total))
    for _ in range(_ITERATIONS):
        found = found * (spread.T @ (total / np.maximum(spread @ found, 1e-12)))
    result: NDArray[np.float64] = found / found.sum()
    return result
