"""How much of the proposed way is gone: bounds, straight lines, frozen residues and the whole way to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from refine.ensemble.length import LengthSettings
from refine.ensemble.proposal import Proposal, shortened
from refine.errors import InputError
from tests.proteins import small_protein


def bent(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A backbone and the same with each residue shifted by some tenths of an Å."""
    start = small_protein(30).coords[0, :, :4]
    return start, start + np.random.default_rng(seed).normal(scale=0.2, size=(30, 1, 3)).astype(np.float32)


def test_the_part_rises_with_the_move_that_is_wanted() -> None:
    settings = LengthSettings(least=0.4, near=0.05, far=0.15)
    assert settings.of(-0.1) == settings.of(0.05) == pytest.approx(0.4)
    assert settings.of(0.10) == pytest.approx(0.7)
    assert settings.of(0.15) == settings.of(0.9) == 1.0


@pytest.mark.parametrize("wrong", [{"least": -0.1}, {"least": 1.1}, {"near": 0.2}, {"near": -0.1}, {"estimated": 1.5}])
def test_settings_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        LengthSettings(**wrong)


def test_the_whole_way_is_left_to_the_bit() -> None:
    start, moved = bent()
    (same,) = shortened([Proposal("average", moved)], start, 1.0)
    assert same.backbone is moved


def test_half_of_the_way_lies_between_and_knows_no_rigid_motion() -> None:
    start, moved = bent()
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    proposals = [Proposal("average", moved), Proposal("replica 1", (moved @ turn.T + 5).astype(np.float32))]
    one, two = shortened(proposals, start, 0.5)
    assert one.name == "average" and np.allclose(one.backbone, two.backbone, atol=1e-4)
    (whole,) = shortened(proposals[:1], start, 0.999999)
    assert np.allclose(one.backbone, (start + whole.backbone) / 2, atol=1e-4)


def test_residues_that_never_moved_keep_every_bit() -> None:
    start, moved = bent()
    moved[:10] = start[:10]
    (half,) = shortened([Proposal("average", moved)], start, 0.5, anchored=True)
    assert np.array_equal(half.backbone[:10], start[:10])
    assert np.allclose(half.backbone[10:], (start[10:] + moved[10:]) / 2, atol=1e-5)
