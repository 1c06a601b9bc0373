"""Metastable states of chains of jumps whose states are known, with deeptime as referee."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.sampling.states import StateSettings, joined, learn_states, overlap

SHORT = StateSettings(seeds=1, steps=250, batch=512)


def jumps(stay: list[float], frames: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (F, 3) around the corners of a triangle, and the state (F,) that a chain of jumps was in."""
    rng = np.random.default_rng(seed)
    state, states = 0, np.zeros(frames, dtype=int)
    for t in range(frames):
        if rng.random() > stay[state]:
            state = int(rng.choice([k for k in range(len(stay)) if k != state]))
        states[t] = state
    return np.eye(3)[states] + rng.normal(scale=0.15, size=(frames, 3)), states


def test_states_of_a_chain_are_found_with_their_lifetimes() -> None:
    x, truth = jumps([0.99, 0.99, 0.97], 20_000, 0)
    found = learn_states([x], 5, SHORT)
    assert len(found.population) == 3
    joint = np.zeros((3, 3))
    np.add.at(joint, (found.label, truth), 1)
    assert joint.max(1).sum() / len(truth) > 0.97
    own = joint.argmax(1)
    jump = np.array([0.01, 0.01, 0.03])
    other = (truth[5:][:, None] == np.arange(3)) & (truth[:-5][:, None] == np.arange(3))
    stay = other.sum(0) / np.bincount(truth[:-5], minlength=3)
    assert found.stay == pytest.approx(stay[own], abs=0.05)
    assert np.argmin(found.lifetime) == int(np.flatnonzero(own == np.argmax(jump))[0])
    assert truth[found.representative].tolist() == own.tolist()


def test_states_that_mix_faster_than_the_lag_are_one() -> None:
    x, _ = jumps([0.99, 0.99, 0.97], 20_000, 1)
    found = learn_states([x], 1500, SHORT)
    assert found.population.tolist() == [1.0] and found.agreement == (1,)
    assert not found.label.any() and found.soft.shape == (20_000, 1)


def test_soft_states_that_mix_within_a_lag_are_joined_below_b_of_1() -> None:
    joint = torch.tensor([[0.2, 0.2, 0.0], [0.2, 0.2, 0.0], [0.0, 0.0, 0.2]])
    groups = joined(joint, 0.9)
    assert sorted(groups.T.tolist()) == [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    assert torch.equal(joined(joint, 1.1).sum(0), torch.ones(3))
    assert joined(torch.full((4, 4), 1 / 16), 0.9).shape == (4, 1)


def test_deeptime_finds_the_same() -> None:
    msm = pytest.importorskip("deeptime.markov.msm")
    score = pytest.importorskip("sklearn.metrics").adjusted_mutual_info_score
    x, _ = jumps([0.995, 0.995, 0.98], 20_000, 2)
    found = learn_states([x], 5, SHORT)
    corner = np.rint(np.clip(x, 0, 1)).astype(int) @ (1, 2, 4)
    model = msm.MaximumLikelihoodMSM(reversible=True, lagtime=5).fit_fetch(corner)
    of_corner = np.full(8, -1)
    of_corner[model.count_model.state_symbols] = model.pcca(len(found.population)).assignments
    seen = of_corner[corner] >= 0
    assert score(of_corner[corner][seen], found.label[seen]) > 0.8


def test_trajectories_are_not_joined_and_too_short_ones_are_refused() -> None:
    x, _ = jumps([0.99, 0.99, 0.97], 300, 3)
    with pytest.raises(InputError, match="too few"):
        learn_states([x, x], 250, SHORT)


def test_the_same_seed_gives_the_same_states() -> None:
    x, _ = jumps([0.98, 0.98, 0.98], 2000, 4)
    quick = StateSettings(seeds=2, steps=40, batch=128)
    one, two = (learn_states([x], 2, quick, seed=5) for _ in range(2))
    assert np.array_equal(one.plane, two.plane) and one.agreement == two.agreement


def test_overlap_knows_unions() -> None:
    short = np.array([0, 0, 1, 1, 2, 2])
    parents, entropy = overlap(short, np.array([0, 0, 0, 0, 1, 1]))
    assert parents.tolist() == [0, 0, 1] and entropy == pytest.approx(0)
    assert overlap(short, np.array([0, 1, 0, 1, 0, 1]))[1] == pytest.approx(np.log(2))
