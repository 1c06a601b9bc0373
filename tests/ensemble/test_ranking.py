"""Ranking is by score, stable, and honest about the input."""

from __future__ import annotations

import math

import numpy as np

from refine.ensemble.candidates import finishing_order, rank


def test_order_is_by_score_and_stable() -> None:
    ranking = rank("abc", [2.0, 1.0, 1.0], start=5.0)
    assert ranking.order == (1, 2, 0) and ranking.improved


def test_says_when_nothing_beats_the_input() -> None:
    for scores in ([3.0, 2.0], [], [math.nan], [math.inf]):
        assert not rank(["x"] * len(scores), scores, start=2.0).improved


def test_diverged_candidates_are_left_out() -> None:
    assert rank("ab", [math.nan, 9.0], start=10.0).order == (1,)


def test_the_average_comes_first_when_it_is_to_and_is_finite() -> None:
    two, scores = ["replica 1", "average"], [1.0, 2.0]
    assert rank(two, scores, 5.0, "average").order == (1, 0) and rank(two, scores, 5.0).order == (0, 1)
    assert rank(two, [1.0, math.nan], 5.0, "average").order == (0,)


def test_what_is_finished_is_chosen_by_energy_and_never_diverged() -> None:
    names, energies = ["replica 1", "replica 2", "average", "medoid 1"], np.array([3.0, np.inf, 9.0, 1.0])
    assert finishing_order(names, energies, 2, "energy") == [3, 0]
    assert finishing_order(names, energies, 9, "average") == [2, 3, 0]
