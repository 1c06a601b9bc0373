"""RPDD: histograms against a loop that counts by hand, invariance, symmetry."""

from __future__ import annotations

import numpy as np

from refine.ensemble import rpdd as module
from refine.ensemble.rpdd import BIN_EDGES, reference_points, rpdd

SEQUENCE = "AGCDEFGH"


def ensemble(frames: int = 7) -> np.ndarray:
    rng = np.random.default_rng(0)
    chain = np.cumsum(rng.normal(0, 2.2, (len(SEQUENCE) * 4, 3)), axis=0).reshape(len(SEQUENCE), 4, 3)
    return (chain[None] + rng.normal(0, 0.5, (frames, *chain.shape))).astype(np.float32)


def test_edges_are_those_of_alphafold() -> None:
    assert BIN_EDGES.shape == (63,)
    assert BIN_EDGES[0] == np.float32(2.3125) and BIN_EDGES[-1] == np.float32(21.6875)


def test_counts_mean_and_deviation_equal_a_plain_loop() -> None:
    frames = ensemble()
    found = rpdd(frames, SEQUENCE)
    points = reference_points(frames, SEQUENCE)
    for i, j in [(0, 1), (1, 6), (2, 7)]:
        distances = [float(np.linalg.norm(p[i] - p[j])) for p in points]
        counts = np.zeros(64)
        for d in distances:
            counts[sum(d >= edge for edge in BIN_EDGES)] += 1
        assert found.counts is not None
        np.testing.assert_array_equal(found.counts[i, j], counts)
        np.testing.assert_allclose(found.mean[i, j], np.mean(distances), rtol=1e-5)
        np.testing.assert_allclose(found.std[i, j], np.std(distances), atol=1e-3)


def test_glycine_is_measured_at_ca() -> None:
    frames = ensemble(1)
    points = reference_points(frames, SEQUENCE)
    np.testing.assert_array_equal(points[0, 1], frames[0, 1, 1])
    assert np.linalg.norm(points[0, 0] - frames[0, 0, 1]) > 1.0


def test_symmetric_normalised_and_blind_to_where_the_protein_lies() -> None:
    frames = ensemble()
    turned = frames.copy()
    turned[1::2] = turned[1::2] @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32).T + 30
    a, b = rpdd(frames, SEQUENCE), rpdd(turned, SEQUENCE)
    assert a.distogram is not None
    np.testing.assert_allclose(a.distogram.sum(-1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(a.mean, a.mean.T)
    np.testing.assert_allclose(a.mean, b.mean, atol=1e-4)


def test_long_proteins_keep_mean_and_deviation_only(monkeypatch) -> None:  # noqa: ANN001
    monkeypatch.setattr(module, "LONGEST_DENSE", 4)
    found = rpdd(ensemble(), SEQUENCE)
    assert found.counts is None and "distogram" not in found.arrays() and found.mean.shape == (8, 8)
