"""Ranking is by score, stable, and honest about the input."""

from __future__ import annotations

import math

from refine.ensemble.ranking import Candidate, rank


def test_order_is_by_score_and_stable() -> None:
    found = rank([Candidate("a", 2.0), Candidate("b", 1.0), Candidate("c", 1.0)], start=5.0)
    assert found.order == (1, 2, 0) and found.improved and "4.0 kcal/mol" in found.verdict


def test_says_when_nothing_beats_the_input() -> None:
    for scores in ([3.0, 2.0], [], [math.nan], [math.inf]):
        found = rank([Candidate("x", s) for s in scores], start=2.0)
        assert not found.improved and "model_1 is the input" in found.verdict


def test_diverged_candidates_are_left_out() -> None:
    assert rank([Candidate("a", math.nan), Candidate("b", 9.0)], start=10.0).order == (1,)
