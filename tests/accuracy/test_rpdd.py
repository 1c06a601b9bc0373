"""RPDD: histograms against a loop that counts by hand, invariance, symmetry."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student_t

from refine.accuracy import rpdd as module
from refine.accuracy.pairs import Predicted
from refine.accuracy.rpdd import BIN_EDGES, RPDD, reference_points, rpdd

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
    result = rpdd(frames, SEQUENCE)
    points = reference_points(frames, SEQUENCE)
    for i, j in [(0, 1), (1, 6), (2, 7)]:
        distances = [float(np.linalg.norm(p[i] - p[j])) for p in points]
        counts = np.zeros(64)
        for d in distances:
            counts[sum(d >= edge for edge in BIN_EDGES)] += 1
        assert result.counts is not None
        np.testing.assert_array_equal(result.counts[i, j], counts)
        np.testing.assert_allclose(result.mean[i, j], np.mean(distances), rtol=1e-5)
        np.testing.assert_allclose(result.std[i, j], np.std(distances), atol=1e-3)


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


def test_long_proteins_keep_no_histograms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_DENSE", 4)
    result = calibrated(ensemble())
    assert (
        result.counts is None
        and {"counts", "logits"}.isdisjoint(result.arrays())
        and result.arrays()["contact"].shape == (8, 8)
    )


def calibrated(frames: np.ndarray) -> RPDD:
    plain = rpdd(frames, SEQUENCE, effective=3.5)
    return dataclasses.replace(plain, predicted=Predicted(plain.mean, np.full_like(plain.mean, 1.5), 4.0))


def test_calibrated_bins_are_the_t_distribution_and_read_as_alphafolds() -> None:
    result = calibrated(ensemble())
    probabilities, t = result.distogram, student_t(4.0, loc=result.mean[1, 6], scale=1.5)
    assert probabilities is not None and result.contact is not None
    edges = np.concatenate(([0.0], BIN_EDGES, [np.inf]))
    np.testing.assert_allclose(probabilities[1, 6], np.diff(t.cdf(edges)) / t.sf(0.0), atol=2e-6)
    np.testing.assert_allclose(result.contact[1, 6], t.cdf(8.0), atol=1e-5)
    arrays = result.arrays()
    logits = arrays["logits"].astype(np.float64)
    softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert arrays["bin_edges"].shape == (63,) and logits.shape == (8, 8, 64)
    large = probabilities > 0.01
    np.testing.assert_allclose(softmax[large], probabilities[large], rtol=0.05)


def test_arrays_bring_everything_back() -> None:
    result = calibrated(ensemble())
    again = RPDD.of_arrays(result.arrays())
    np.testing.assert_array_equal(again.counts, result.counts)
    assert (
        again.frames == 7 and again.effective == 3.5 and again.predicted is not None and again.predicted.freedom == 4.0
    )
    np.testing.assert_allclose(again.distogram, result.distogram, atol=1e-3)


def test_a_thousand_residues_fit_memory_and_disk(tmp_path: Path) -> None:
    rng, length = np.random.default_rng(2), 1000
    points = rng.uniform(0, 62, (length, 3)).astype(np.float32)  # as dense as a globular protein of that length
    mean = module.pair_distances(points)
    predicted = Predicted(mean, rng.uniform(0.5, 4.0, mean.shape).astype(np.float32), 3.0)
    counts = np.zeros((length, length, 64), np.uint8)
    rows, columns = np.indices((length, length), sparse=True)
    for moved in points + rng.normal(0, 0.3, (10, length, 3)).astype(np.float32):
        counts[rows, columns, np.searchsorted(BIN_EDGES, module.pair_distances(moved))] += 1
    arrays = RPDD(mean, mean * 0 + 0.3, counts, 10, 5.0, predicted).arrays()
    assert sum(a.nbytes for a in arrays.values()) < 220e6
    np.savez_compressed(tmp_path / "rpdd.npz", allow_pickle=False, **arrays)
    size = (tmp_path / "rpdd.npz").stat().st_size
    print(f"rpdd.npz of 1,000 residues: {size / 1e6:.1f} MB")
    assert size < 60e6
