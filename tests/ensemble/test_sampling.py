"""Burn-in, autocorrelation and effective size of series whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from refine.ensemble.sampling import autocorrelation_time, effective_size, observables, sampling
from refine.ensemble.shapes import rmsd_matrix

RNG = np.random.default_rng(3)


def autoregressive(rho: float, count: int, chains: int) -> np.ndarray:
    """(count, chains) of an AR(1) process, whose integrated autocorrelation time is (1 + rho) / (1 - rho)."""
    x = np.zeros((count, chains))
    x[0] = RNG.normal(0, 1, chains)
    for k in range(1, count):
        x[k] = rho * x[k - 1] + RNG.normal(0, np.sqrt(1 - rho**2), chains)
    return x


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_autocorrelation_of_a_known_process(rho: float) -> None:
    series, expected = autoregressive(rho, 4000, 4), (1 + rho) / (1 - rho)
    assert autocorrelation_time(series) == pytest.approx(expected, rel=0.2)
    assert effective_size(series) == pytest.approx(16000 / expected, rel=0.25)


def test_chains_that_stay_apart_are_worth_no_more_than_their_number() -> None:
    apart = autoregressive(0.0, 200, 4) * 0.01 + np.arange(4)
    assert effective_size(apart) < 12 < 200 < effective_size(apart - np.arange(4))


def test_nothing_that_varies_is_one_sample_and_short_chains_count_as_chains() -> None:
    assert effective_size(np.ones((10, 6))) == 1.0
    assert effective_size(RNG.normal(size=(3, 6))) == 6.0


def test_burn_in_is_found_and_what_is_kept_ends_with_the_last() -> None:
    series = RNG.normal(0, 1, (100, 3))
    series[:30] += 20 * np.exp(-np.arange(30) / 8.0)[:, None]
    result = sampling({"energy": series})
    assert 15 <= result.first <= 45 and result.kept[-1] == 99 and result.kept[0] >= result.first
    assert result.facts()["kept"] == 3 * len(result.kept) and result.facts()["slowest_observable"] == "energy"


def test_the_slowest_observable_decides() -> None:
    quick, slow = RNG.normal(size=(500, 2)), autoregressive(0.9, 500, 2)
    result = sampling({"quick": quick, "slow": slow})
    assert result.slowest == "slow" and result.stride > 5 and result.effective < 300


def test_few_snapshots_are_all_kept() -> None:
    result = sampling({"energy": RNG.normal(size=(3, 2))})
    assert result.first == 0 and result.kept.tolist() == [0, 1, 2]


def test_observables_do_not_see_rigid_motion() -> None:
    start = np.cumsum(RNG.normal(0, 2, (12, 4, 3)), 0).astype(np.float32)
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    snapshots = np.stack([start @ turn.T + 9, start * 2])[:, None]
    result = observables(snapshots, np.zeros((2, 1)), start)
    assert result["rmsd to the input"][0, 0] == pytest.approx(0, abs=1e-4)
    assert result["radius of gyration"][1, 0] == pytest.approx(2 * result["radius of gyration"][0, 0], rel=1e-4)
    matrix = rmsd_matrix(snapshots[:, 0, :, 1])
    assert matrix[0, 0] == 0 and matrix[0, 1] == matrix[1, 0] > 1
