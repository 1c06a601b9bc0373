"""Leaders, chaser, weights, basins, steering."""

from __future__ import annotations

import numpy as np
import pytest

from refine.physics.bias import POINTS, Axis
from refine.sampling.basins import basins
from refine.sampling.chaser import ChaserSettings, followed
from refine.sampling.leaders import Leaders
from refine.sampling.reweight import LEAST_KISH, weights_of
from refine.sampling.steering import Steering, planes

TORSION = Axis((0, 1, 2, 3))
DISTANCE = Axis((0, 1), 2.0, 10.0)


def sampled(energy: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 1) torsions with the density exp(−energy) on the grid."""
    p = np.exp(-energy) / np.exp(-energy).sum()
    return TORSION.points()[rng.choice(POINTS, count, p=p)][:, None]


def test_leaders_learn_the_free_energy_and_not_that_of_the_biased_samples() -> None:
    rng = np.random.default_rng(0)
    points = TORSION.points()
    truth, leaders = 2.0 * np.cos(points - 1.0) + np.cos(2 * points), Leaders((TORSION,), seed=1)
    for k in range(30):
        bias = 2.0 * np.sin(points + k)
        leaders.add(sampled(truth + bias, 400, rng), bias)
    leaders.learn(400, 0)
    learned = leaders.free_energy.mean(0)
    p = np.exp(-truth) / np.exp(-truth).sum()
    error = learned - truth
    assert np.sqrt((p * (error - (p * error).sum()) ** 2).sum()) < 0.2
    assert leaders.free_energy.shape == (3, POINTS)


def test_leaders_are_the_same_again() -> None:
    def learned(seed: int) -> np.ndarray:
        leaders = Leaders((TORSION, DISTANCE), seed)
        leaders.add(np.array([[0.5, 4.0], [1.0, 5.0]]), np.zeros((POINTS, POINTS)))
        leaders.learn(3, 0)
        return leaders.free_energy

    assert np.array_equal(learned(1), learned(1)) and not np.array_equal(learned(1), learned(2))


def test_a_chaser_fills_basins_leaves_peaks_alone_and_keeps_its_limits() -> None:
    energy = 12.0 * (1 - np.cos(TORSION.points()))
    leaders, settings = np.stack([energy] * 3), ChaserSettings()
    bias = np.zeros(POINTS)
    for _ in range(100):
        before, bias = bias, followed(bias, leaders, settings)
        assert np.abs(bias - before).max() <= settings.change + 1e-12
    expected = (1 - 1 / settings.gamma) * (settings.cap - np.minimum(energy, settings.cap))
    assert np.allclose(bias, expected)
    assert bias[energy > settings.cap].max() == 0


def test_no_bias_acts_where_the_leaders_disagree() -> None:
    flat = np.zeros((3, POINTS))
    flat[:, : POINTS // 2] += 8.0 * np.arange(3)[:, None]
    bias = np.zeros(POINTS)
    for _ in range(100):
        bias = followed(bias, flat, ChaserSettings())
    assert np.all(bias[: POINTS // 2] == 0) and np.all(bias[POINTS // 2 :] > 5)


def test_weights_take_a_bias_away_and_are_refused_when_worth_nothing() -> None:
    rng = np.random.default_rng(1)
    truth = 1.5 * np.cos(TORSION.points())
    bias = -truth
    q = sampled(truth + bias, 20_000, rng)[:, 0]
    weights = weights_of(bias[TORSION.cell(q)])
    p = np.exp(-truth) / np.exp(-truth).sum()
    expected = (p * np.cos(TORSION.points())).sum()
    assert (weights.values * np.cos(q)).sum() == pytest.approx(expected, abs=0.03)
    assert (weights.values * np.cos(q)).sum() != pytest.approx(np.cos(q).mean(), abs=0.2)
    assert LEAST_KISH < weights.kish < 20_000 and not weights.refused
    assert weights_of(np.linspace(0, 400, 1000)).refused
    assert weights_of(np.zeros(500)).kish == pytest.approx(500)


def test_basins_go_round_a_torsion_and_shallow_ones_are_merged() -> None:
    points = TORSION.points()
    energy = 3 * (1 + np.cos(2 * points)) + 0.5 * np.sin(points)
    found = basins(energy, (TORSION,))
    assert set(found.tolist()) == {0, 1} and found[energy.argmin()] == 0
    edge = 3 * (1 + np.cos(points))  # one minimum, at the border of the grid
    assert set(basins(edge, (TORSION,)).tolist()) == {0}
    ripples = energy + 0.3 * np.cos(9 * points)
    assert set(basins(ripples, (TORSION,)).tolist()) == {0, 1}
    unknown = energy.copy()
    unknown[3] = np.inf
    assert basins(unknown, (TORSION,))[3] == -1


def test_variables_share_grids_in_pairs() -> None:
    assert [planes(n) for n in (1, 2, 3)] == [[(0,)], [(0, 1)], [(0, 1), (2,)]]


@pytest.mark.parametrize("kind", ["chaser", "adversary", "none"])
def test_a_bias_moves_while_it_may_and_then_stands_still(kind: str) -> None:
    rng = np.random.default_rng(2)
    steering = Steering([TORSION, DISTANCE, TORSION], kind, ChaserSettings(), 0)
    assert [b.shape for b in steering.biases] == [(POINTS, POINTS), (POINTS,)]
    for k in range(3):
        q = np.stack([rng.normal(0, 0.3, 50), rng.normal(5, 0.5, 50), rng.normal(1, 0.3, 50)], 1)
        before = [b.copy() for b in steering.biases]
        steering.update(q, k, moving=k < 2)
        moved = not np.array_equal(before[0], steering.biases[0])
        assert moved == (kind != "none" and k < 2)
        assert all(np.abs(b).max() <= 10 for b in steering.biases)


def test_a_chaser_acts_from_its_first_blocks_on() -> None:
    """What matters of a bias is its differences; they grow by one limited change a block, from none."""
    rng, settings = np.random.default_rng(3), ChaserSettings()
    steering = Steering([TORSION], "chaser", settings, 0)
    assert np.ptp(steering.biases[0]) == 0
    for k in range(6):
        steering.update(rng.normal(1.0, 0.2, (50, 1)), k, moving=True)
        assert np.ptp(steering.biases[0]) <= (k + 1) * settings.change + 1e-9
    there = steering.biases[0][TORSION.cell(np.array([1.0]))[0]]
    assert np.ptp(steering.biases[0]) > 0 and there == steering.biases[0].max()
