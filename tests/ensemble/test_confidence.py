"""Spread, displacement, average and confidence against numbers known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from refine.ensemble.average import average
from refine.ensemble.confidence import CUTOFFS, b_factors, confidence, displacement, predicted_error, rmsf

RNG = np.random.default_rng(1)
CHAIN = np.cumsum(RNG.normal(0, 2.5, (30, 3)), axis=0).astype(np.float32)
TURN = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)


def test_rigid_motion_is_no_fluctuation_and_no_displacement() -> None:
    moved = CHAIN @ TURN.T + 5
    np.testing.assert_allclose(rmsf(np.stack([CHAIN, moved])), 0, atol=1e-4)
    np.testing.assert_allclose(displacement(moved, CHAIN), 0, atol=1e-4)


def test_one_moving_residue_is_found() -> None:
    frames = np.repeat(CHAIN[None], 20, axis=0)
    frames[:, 7] += RNG.normal(0, 2.0, (20, 3)).astype(np.float32)
    found = rmsf(frames)
    assert found.argmax() == 7 and found[7] > 2 and np.delete(found, 7).max() < 1


def test_confidence_equals_sampled_share_within_the_cutoffs() -> None:
    error = np.array([0.4, 1.0, 3.0], np.float32)
    vectors = RNG.normal(0, 1, (200_000, 3)) / np.sqrt(3)
    lengths = np.linalg.norm(vectors, axis=1)
    expected = [100 * np.mean([(lengths * e < c).mean() for c in CUTOFFS]) for e in error]
    np.testing.assert_allclose(confidence(error), expected, atol=0.5)


def test_confidence_falls_with_error_and_stays_on_its_scale() -> None:
    values = confidence(np.linspace(0.01, 50, 100, dtype=np.float32))
    assert (np.diff(values) <= 1e-4).all() and values.min() >= 0 and values.max() <= 100


def test_error_has_a_floor_and_b_factors_a_ceiling() -> None:
    zero = np.zeros(1, np.float32)
    assert predicted_error(zero, zero)[0] == pytest.approx(0.3)
    assert b_factors(np.array([1.0, 100.0], np.float32)).tolist() == pytest.approx([26.32, 999.0], abs=0.01)


def test_average_of_rotated_copies_is_the_structure() -> None:
    backbone = np.stack([CHAIN, CHAIN + 1.4, CHAIN - 0.9, CHAIN + [0, 2, 0]], axis=1).astype(np.float32)
    np.testing.assert_allclose(average(np.stack([backbone @ TURN.T + 3, backbone])), backbone, atol=1e-3)
