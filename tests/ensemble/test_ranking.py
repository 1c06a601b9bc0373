"""Ranking is by score, stable, and honest about the input."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from refine.ensemble.candidates import distinct, finishing_order, rank, way_proposals
from refine.ensemble.proposal import Beside, Proposal


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


def shifts_of(beside: Beside | None) -> dict[str, float]:
    """Places along z, as parts of 0.5 Å, of what one replica proposes whose first residue is held."""
    path = np.stack([p.backbone for p in proposals_at("abcde", (0.1, 0.2, 0.6, 0.8, 0.9))])
    start = proposals_at("s", (0.0,))[0].backbone
    candidates = way_proposals(path, None, np.arange(20) > 0, start, beside)
    return {p.name: float((p.backbone[1, 0, 2] - start[1, 0, 2]) / 0.5) for p in candidates}


def test_other_models_of_one_replica_go_other_lengths_of_its_way() -> None:
    ways = {"way 1.5": 1.35, "early 1": 0.6, "way 0.5": 0.45, "way 1": 0.9, "early 2": 1.2}
    far = shifts_of(None)
    assert list(far) == ["replica 1", "average", *ways]
    for name, shift in ({"replica 1": 0.9, "average": 0.9} | ways).items():
        assert math.isclose(far[name], shift, abs_tol=1e-4), name


def test_other_models_lie_beside_the_end_first() -> None:
    offset = np.tile(np.array([0.0, 0.0, 0.35], np.float32), (20, 1))
    far, aside = shifts_of(Beside(offset, ("prior 1", "prior 2"))), 0.35 / 0.5
    wanted = {"prior 1": 0.9 + aside, "prior 2": 0.9 - aside, "way 1.5": 1.35, "early 1": 0.6}
    assert list(far)[:6] == ["replica 1", "average", *wanted]
    for name, shift in wanted.items():
        assert math.isclose(far[name], shift, abs_tol=1e-4), name


def test_what_is_held_stays_where_the_end_has_it() -> None:
    path, start = (np.stack([p.backbone for p in proposals_at(n, s)]) for n, s in (("ab", (0.1, 0.2)), ("s", (0.0,))))
    candidates = way_proposals(
        path, None, np.arange(20) > 0, start[0], Beside(np.full((20, 3), 0.35, np.float32), ("mover", "mover back"))
    )
    beside = [p.backbone - path[-1] for p in candidates if p.kind == "mover"]
    assert len(beside) == 2
    for shift in beside:
        assert not shift[0].any() and np.allclose(np.abs(shift[1:]), 0.35, atol=1e-5)
