"""Ranking is by score, stable, and honest about the input."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from refine.ensemble.candidates import distinct, finishing_order, rank, way_proposals
from refine.ensemble.proposal import Proposal


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


def proposals_at(names: Sequence[str], shifts: Sequence[float]) -> list[Proposal]:
    """A helix, of which every other residue is moved by ``shifts`` Å: CA RMSD of half the difference between them."""
    t = np.arange(20)
    helix = np.stack((2.3 * np.cos(1.745 * t), 2.3 * np.sin(1.745 * t), 1.5 * t), -1)[:, None].repeat(4, 1)
    sign = np.where(t % 2, 0.5, -0.5)[:, None, None] * np.array([0.0, 0.0, 1.0])
    return [Proposal(n, (helix + s * sign).astype(np.float32)) for n, s in zip(names, shifts, strict=True)]


def test_what_is_finished_is_chosen_by_energy_and_never_diverged() -> None:
    names, energies = ["replica 1", "replica 2", "average", "medoid 1"], np.array([3.0, np.inf, 9.0, 1.0])
    apart = proposals_at(names, (0.0, 1.0, 2.0, 3.0))
    assert finishing_order(apart, energies, 2, "energy") == [3, 0]
    assert finishing_order(apart, energies, 9, "average") == [2, 3, 0]


def test_what_is_finished_differs() -> None:
    near = proposals_at(("average", "replica 1", "way 0.5", "way 1"), (3.0, 3.02, 1.0, 2.0))
    assert finishing_order(near, np.array([1.0, 0.0, 3.0, 2.0]), 9, "average") == [0, 3, 2]
    assert finishing_order(near, np.array([1.0, 0.0, 3.0, 2.0]), 2, "energy") == [1, 3]
    assert distinct(np.stack([p.backbone[:, 1] for p in near]), 9) == [0, 2, 3]


def test_other_models_of_one_replica_go_other_lengths_of_its_way() -> None:
    path = np.stack([p.backbone for p in proposals_at("abcde", (0.1, 0.2, 0.6, 0.8, 0.9))])
    start = proposals_at("s", (0.0,))[0].backbone
    candidates, nearest = way_proposals(path, None, np.arange(20) > 0, start)
    far = {p.name: float((p.backbone[1, 0, 2] - start[1, 0, 2]) / 0.5) for p in candidates}
    wanted = {"replica 1": 0.9, "average": 0.9, "way 0.5": 0.45, "way 1": 0.9, "way 1.5": 1.35, "early 1": 0.6}
    for name, shift in (wanted | {"early 2": 1.2}).items():
        assert math.isclose(far[name], shift, abs_tol=1e-4), name
    assert nearest == [4, 4, 2, 4, 4, 2, 4]
