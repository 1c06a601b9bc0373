"""Clusters, medoids and averages of ensembles made to have them."""

from __future__ import annotations

import numpy as np

from refine.ensemble.candidates import clusters, medoid, proposals
from refine.ensemble.shapes import rmsd_to

RNG = np.random.default_rng(4)
CHAIN = np.cumsum(RNG.normal(0, 2.2, (20, 4, 3)), axis=0).astype(np.float32)
BENT = CHAIN.copy()
BENT[10:, :, 0] += 6


def noisy(backbone: np.ndarray, count: int) -> np.ndarray:
    return (backbone + RNG.normal(0, 0.05, (count, *backbone.shape))).astype(np.float32)


def test_two_conformations_are_two_clusters_the_larger_first() -> None:
    frames = np.concatenate([noisy(BENT, 4), noisy(CHAIN, 9)])
    assert clusters(frames[:, :, 1], most=2).tolist() == [2] * 4 + [1] * 9
    assert clusters(frames[:2, :, 1]).tolist() == [1, 1]


def test_the_medoid_is_the_middle() -> None:
    line = np.stack([CHAIN, CHAIN + (BENT - CHAIN) * 0.5, BENT])
    assert medoid(line[:, :, 1]) == 1


def test_proposals_hold_replicas_medoids_and_averages_nearer_to_the_truth() -> None:
    frames = noisy(CHAIN, 12)
    ends = noisy(CHAIN, 7)
    candidates = proposals(ends, frames, None, np.ones(20, bool))
    assert [p.name for p in candidates][:8] == [*(f"replica {r}" for r in range(1, 8)), "medoid 1"]
    assert {p.kind for p in candidates} == {"replica", "medoid", "average"}
    average = next(p.backbone for p in candidates if p.name == "average")
    near, single = (rmsd_to(x.reshape(len(x), -1, 3), CHAIN.reshape(-1, 3)).mean() for x in (average[None], frames))
    assert near < 0.5 * single
    only_ends = proposals(ends, frames + 30, None, np.ones(20, bool))
    np.testing.assert_allclose(next(p.backbone for p in only_ends if p.name == "average"), average, atol=1e-4)


def test_frozen_residues_stay_in_every_proposal() -> None:
    frames, mobile = noisy(CHAIN, 6), np.arange(20) < 12
    frames[:, 12:] = CHAIN[12:]
    for proposal in proposals(frames[:2], frames, None, mobile):
        np.testing.assert_allclose(proposal.backbone[12:], CHAIN[12:], atol=1e-6)
