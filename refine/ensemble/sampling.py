"""Which snapshots of a propagation count: burn-in, autocorrelation, effective sample size.

Burn-in is what leaves the most effectively independent samples when cut away (Chodera 2016, J. Chem. Theory Comput.
12:1799). The effective sample size is that of several chains (Gelman et al., Bayesian Data Analysis, 3rd ed., 11.5):
replicas that stay apart count for less. Sums over lags end by Geyer's initial monotone sequence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from refine.ensemble.shapes import radii_of_gyration, rmsd_to

SHORTEST = 4
"""Snapshots per replica from which on an autocorrelation can be estimated; fewer are all kept."""
STARTS = 25
"""Ends of the burn-in that are tried, evenly spread."""


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Which of S snapshots of R replicas are used.

    Attributes:
        first: snapshots of each replica that are cut away as burn-in.
        stride: of those after it, every how many-th is kept, counted back from the last.
        available: snapshots of each replica before anything is left out.
        replicas: R.
        correlation: integrated autocorrelation time within replicas, in snapshots, of the slowest observable.
        effective: effective sample size of the snapshots after burn-in, of the slowest observable.
        slowest: its name.
    """

    first: int
    stride: int
    available: int
    replicas: int
    correlation: float
    effective: float
    slowest: str

    @property
    def kept(self) -> NDArray[np.int64]:
        """Indices of the snapshots that are kept, ascending."""
        return np.arange(self.available - 1, self.first - 1, -self.stride)[::-1].copy()

    def facts(self) -> dict[str, float | int | str]:
        """Plain values for run.json."""
        return {
            "snapshots_per_replica": self.available,
            "replicas": self.replicas,
            "burn_in": self.first,
            "stride": self.stride,
            "kept": len(self.kept) * self.replicas,
            "autocorrelation_snapshots": round(self.correlation, 2),
            "effective_samples": round(self.effective, 1),
            "slowest_observable": self.slowest,
        }


def observables(
    snapshots: NDArray[np.float32], energies: NDArray[np.float64], start: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    """What the sampling is measured by, each (S, R).

    Args:
        snapshots: (S, R, L, 4, 3) Å; energies: (S, R) kcal/mol; start: (L, 4, 3) Å.
    """
    ca = snapshots[:, :, :, 1].astype(np.float64)
    flat = ca.reshape(-1, *ca.shape[2:])
    shape = ca.shape[:2]
    return {
        "energy": np.asarray(energies, np.float64),
        "rmsd to the input": rmsd_to(flat, start[:, 1].astype(np.float64)).reshape(shape),
        "radius of gyration": radii_of_gyration(flat).reshape(shape),
    }


def sampling(series: Mapping[str, NDArray[np.float64]]) -> Sampling:
    """Burn-in, stride and effective sample size of named observables, each (S, R); they share one burn-in."""
    names, table = list(series), np.stack(list(series.values()))
    available, replicas = table.shape[1:]
    starts = np.unique(np.linspace(0, max(0, available - SHORTEST), STARTS).astype(np.int64))
    sizes = [min(effective_size(s[first:]) for s in table) for first in starts]
    first = int(starts[np.argmax(sizes)])
    each = [effective_size(s[first:]) for s in table]
    slow = int(np.argmin(each))
    correlation = max(autocorrelation_time(s[first:]) for s in table)
    remaining = available - first
    stride = int(min(np.ceil(correlation), max(1, remaining // 2)))
    return Sampling(first, stride, available, replicas, correlation, each[slow], names[slow])


def path_of_one(available: int) -> Sampling:
    """All of the ``available`` snapshots of one replica without noise: they are its path, worth one sample."""
    return Sampling(0, 1, available, 1, float(available), 1.0, "path without noise")


def effective_size(series: NDArray[np.float64]) -> float:
    """Effectively independent samples among (S, R) values of R chains, at most S R; 1 when nothing varies.

    Below ``SHORTEST`` values per chain only whole chains count as independent.
    """
    count, chains = series.shape
    if np.ptp(series) == 0:
        return 1.0
    if count < SHORTEST:
        return float(chains)
    within = series.var(0, ddof=1).mean()
    between = series.mean(0).var(ddof=1) if chains > 1 else 0.0
    total = (count - 1) / count * within + between
    rho = 1.0 - (within - _autocovariance(series) * count / (count - 1)) / total
    return float(min(count * chains, count * chains / _time(rho)))


def autocorrelation_time(series: NDArray[np.float64]) -> float:
    """Integrated autocorrelation time, in samples, within the chains of (S, R) values, at least 1."""
    if len(series) < SHORTEST or np.ptp(series) == 0:
        return 1.0
    covariance = _autocovariance(series)
    return _time(covariance / covariance[0]) if covariance[0] > 0 else 1.0


def _autocovariance(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S,) autocovariance at every lag, biased, about the chain means, mean over chains."""
    count = len(series)
    power = np.abs(np.fft.rfft(series - series.mean(0), 2 * count, axis=0)) ** 2
    return np.fft.irfft(power, axis=0)[:count].mean(1) / count


def _time(rho: NDArray[np.float64]) -> float:
    """1 + 2 Σ rho by Geyer's initial monotone sequence, at least 1; rho[0] is taken as 1."""
    pairs = len(rho) // 2
    sums = np.array([(1.0 if k == 0 else rho[2 * k]) + rho[2 * k + 1] for k in range(pairs)])
    positive = int(np.argmax(sums <= 0)) if (sums <= 0).any() else pairs
    return float(max(1.0, 2.0 * np.minimum.accumulate(sums[:positive]).sum() - 1.0)) if positive else 1.0
