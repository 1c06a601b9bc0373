"""Ranking is by score, stable, and honest about the input."""

from __future__ import annotations

import math

import numpy as np

from refine.ensemble.ranking import Candidate, chosen, rank


def test_order_is_by_score_and_stable() -> None:
    found = rank([Candidate("a", 2.0), Candidate("b", 1.0), Candidate("c", 1.0)], start=5.0)
    assert found.order == (1, 2, 0) and found.improved and "4.0 kcal/mol" in found.verdict


def test_says_when_nothing_beats_the_input() -> None:
    for scores in ([3.0, 2.0], [], [math.nan], [math.inf]):
        found = rank([Candidate("x", s) for s in scores], start=2.0)
        assert not found.improved and "model_1 is the input" in found.verdict


def test_diverged_candidates_are_left_out() -> None:
    assert rank([Candidate("a", math.nan), Candidate("b", 9.0)], start=10.0).order == (1,)


def test_the_average_comes_first_when_it_is_to_and_is_finite() -> None:
    two = [Candidate("replica 1", 1.0), Candidate("average", 2.0)]
    assert rank(two, 5.0, "average").order == (1, 0) and rank(two, 5.0).order == (0, 1)
    assert rank([two[0], Candidate("average", math.nan)], 5.0, "average").order == (0,)


def test_what_is_finished_is_chosen_by_energy_and_never_diverged() -> None:
    names, energies = ["replica 1", "replica 2", "average", "medoid 1"], np.array([3.0, np.inf, 9.0, 1.0])
    assert chosen(names, energies, 2, "energy") == [3, 0]
    assert chosen(names, energies, 9, "average") == [2, 3, 0]
