"""Spread, displacement, average and confidence against numbers known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from refine.accuracy.calibration import Calibration, Linear, Residues
from refine.accuracy.confidence import b_factors, displacement, estimate_accuracy
from refine.ensemble.average import average
from refine.ensemble.shapes import rmsf

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
    result = rmsf(frames)
    assert result.argmax() == 7 and result[7] > 2 and np.delete(result, 7).max() < 1


def test_estimates_follow_their_table_and_stay_on_their_scales() -> None:
    table = Residues(Linear(0.5, {"burial": 0.2}), Linear(0.0, {"burial": -1.0}))
    calibration = Calibration({"geometry": table}, {}, {}, {}, "test")
    result = estimate_accuracy({"burial": np.array([-9.0, 0.0, 1.0, 9.0])}, calibration)
    np.testing.assert_allclose(result.confidence, [0, 50, 70, 100], rtol=1e-5)
    np.testing.assert_allclose(result.error, [30, 1, np.exp(-1), 0.2], rtol=1e-5)
    assert result.form == "geometry" and abs(result.overall - 55) < 1e-4


def test_b_factors_have_a_ceiling() -> None:
    assert b_factors(np.array([1.0, 100.0], np.float32)).tolist() == pytest.approx([26.32, 999.0], abs=0.01)


def test_average_of_rotated_copies_is_the_structure() -> None:
    backbone = np.stack([CHAIN, CHAIN + 1.4, CHAIN - 0.9, CHAIN + [0, 2, 0]], axis=1).astype(np.float32)
    np.testing.assert_allclose(average(np.stack([backbone @ TURN.T + 3, backbone])), backbone, atol=1e-3)
