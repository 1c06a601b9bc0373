"""What an exploration says of itself: populations, their errors, and what cannot be believed."""

from __future__ import annotations

import numpy as np
import pytest

from refine.physics.bias import Axis
from refine.sampling.chaser import ChaserSettings
from refine.sampling.exploration import Sampled
from refine.sampling.profile import LEAST_ENTRIES, Profile, profile
from refine.sampling.reweight import LEAST_KISH
from refine.sampling.steering import Steering
from refine.sampling.variables import Variable

KT = 0.596
TORSION = Axis((0, 1, 2, 3))
LEFT, RIGHT = -1.5, 1.5


def said(side: np.ndarray, bias: np.ndarray | None = None) -> Profile:
    """Profile of frames (F,) that are on the left (False) or on the right of one torsion, all under a frozen bias."""
    rng = np.random.default_rng(0)
    q = (np.where(side, RIGHT, LEFT) + rng.normal(0, 0.15, len(side)))[:, None]
    steering = Steering([TORSION], "none", ChaserSettings(), 0)
    for k, block in enumerate(np.array_split(q, 40)):
        steering.update(block, k, moving=False)
    every = np.arange(0, len(q), 10)
    frames = np.zeros((len(every), 4, 3), np.float32)
    run = Sampled(q, np.zeros(len(q)) if bias is None else bias, frames, every, np.ones(len(q), np.bool_), steering)
    return profile(run, (Variable("phi", TORSION),), KT)


def blocks(shares: list[float], length: int = 1000) -> np.ndarray:
    """Frames that are on the right for a share of each stretch of ``length``, in pieces of 20 frames."""
    rng = np.random.default_rng(1)
    return np.concatenate([np.repeat(rng.random(length // 20) < share, 20) for share in shares])


def test_populations_are_those_of_the_samples_and_nothing_is_doubted() -> None:
    side = blocks([0.3] * 8)
    found = said(side)
    assert len(found.states) == 2 and found.doubts == ()
    left, right = found.states
    assert left.population == pytest.approx((~side).mean()) and right.population == pytest.approx(side.mean())
    assert 0 < right.error < 0.1 and right.entries >= LEAST_ENTRIES
    assert left.learned == pytest.approx(left.population, abs=0.1)


def test_halves_that_disagree_are_told() -> None:
    found = said(blocks([0.06] * 4 + [0.5] * 4))
    assert any("disagree by more than 1 kcal/mol on state 2 (" in doubt for doubt in found.doubts)
    assert not any("state 1 (" in doubt for doubt in found.doubts)
    one_half = said(np.concatenate((np.zeros(4000, np.bool_), blocks([0.5] * 4))))
    assert any("seen in one half alone" in doubt for doubt in one_half.doubts)


def test_rare_entries_and_a_single_state_are_told() -> None:
    side = np.zeros(4000, np.bool_)
    side[500:900] = side[2500:2900] = True
    assert any(f"Entered fewer than {LEAST_ENTRIES} times" in doubt for doubt in said(side).doubts)
    assert any("One state was found" in doubt for doubt in said(np.zeros(2000, np.bool_)).doubts)


def test_populations_are_refused_where_the_weights_are_worth_too_little() -> None:
    side = blocks([0.3] * 4)
    bias = np.zeros(len(side))
    bias[:20] = 12.0
    found = said(side, bias)
    assert found.weights.kish < LEAST_KISH and found.weights.refused
    assert all(np.isnan(state.population) and np.isnan(state.error) for state in found.states)
    assert np.isnan(found.grids[0].weighted).all() and sum(s.learned for s in found.states) == pytest.approx(1.0)
    assert any("no populations are given" in doubt for doubt in found.doubts)


def test_a_bias_is_taken_out_of_populations() -> None:
    """Under a bias of 1 kT on the right, what is there counts e times as much."""
    side = blocks([0.3] * 8)
    right = np.e * side.mean() / (np.e * side.mean() + (~side).mean())
    found = said(side, np.where(side, 1.0, 0.0))
    assert sorted(s.population for s in found.states) == pytest.approx(sorted([right, 1 - right]))
