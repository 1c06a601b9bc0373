"""Statistics of paired changes: bootstrap intervals with a fixed seed, and tests between two methods."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

RESAMPLES = 10_000
SEED = 20_240_229
LEVEL = 95.0


@dataclasses.dataclass(frozen=True)
class Interval:
    """A value and its percentile bootstrap interval."""

    value: float
    low: float
    high: float


def resampled(values: NDArray[np.float64], resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Bootstrap samples (resamples, n) of values (n,); the same draw for every array of the same n."""
    index = np.random.default_rng(SEED).integers(0, len(values), (resamples, len(values)))
    return values[index]


def mean_interval(values: NDArray[np.float64]) -> Interval:
    """Mean of values (n,) and its 95 % percentile interval; NaN when n = 0, no interval when n = 1."""
    return _interval(values, np.mean)


def median_interval(values: NDArray[np.float64]) -> Interval:
    """Median of values (n,) and its 95 % percentile interval; NaN when n = 0, no interval when n = 1."""
    return _interval(values, np.median)


def _interval(values: NDArray[np.float64], of: object) -> Interval:
    if len(values) < 2:
        return Interval(float(values[0]) if len(values) else float("nan"), float("nan"), float("nan"))
    assert callable(of)
    low, high = np.percentile(of(resampled(values), axis=1), ((100 - LEVEL) / 2, (100 + LEVEL) / 2))
    return Interval(float(of(values)), float(low), float(high))


@dataclasses.dataclass(frozen=True)
class Paired:
    """Two methods on the same n targets.

    Attributes:
        difference: mean of first minus second, with its interval.
        wilcoxon_p: two-sided Wilcoxon signed-rank test; 1 when no target differs.
        bootstrap_p: two-sided, how often resampling turns the sign of the mean difference.
    """

    n: int
    difference: Interval
    wilcoxon_p: float
    bootstrap_p: float


def paired(first: NDArray[np.float64], second: NDArray[np.float64]) -> Paired:
    """Compare values (n,) of two methods on the same targets; NaN when n = 0."""
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    n = len(difference)
    if n == 0:
        return Paired(0, mean_interval(difference), float("nan"), float("nan"))
    p = float(wilcoxon(difference).pvalue) if np.any(difference != 0) else 1.0
    means = resampled(difference).mean(1)
    crossed = min((np.sum(means <= 0) + 1) / (RESAMPLES + 1), (np.sum(means >= 0) + 1) / (RESAMPLES + 1))
    return Paired(n, mean_interval(difference), p, float(min(1.0, 2 * crossed)))
