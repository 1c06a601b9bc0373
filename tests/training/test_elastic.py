"""The elastic network: what its strain lengthens, what its heat leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from refine.training.elastic import Strain, deformation
from tests.proteins import chain_backbone


def _regular(phi: float, psi: float, length: int = 24) -> np.ndarray:
    return chain_backbone(*(np.radians(np.full(length, angle)) for angle in (phi, psi))).astype(np.float32)


HELIX, STRAND = _regular(-63.0, -42.0), _regular(-120.0, 135.0)


def _stretch(backbone: np.ndarray, shift: np.ndarray, step: int) -> float:
    """Mean relative change of CA(i)–CA(i + step)."""
    ca = backbone[:, 1].astype(np.float64)
    old, new = (np.linalg.norm(x[step:] - x[:-step], axis=1) for x in (ca, ca + shift))
    return float((new / old).mean() - 1)


def test_neither_strain_nor_heat_moves_nothing() -> None:
    for moves in deformation(HELIX, Strain(), 0.0, np.random.default_rng(0)):
        np.testing.assert_allclose(moves, 0.0, atol=1e-9)


@pytest.mark.parametrize(("backbone", "strain"), [(STRAND, Strain(strands=0.03)), (HELIX, Strain(helices=0.03))])
def test_strain_lengthens_its_own_kind_and_not_the_virtual_bonds(backbone: np.ndarray, strain: Strain) -> None:
    shift, _ = deformation(backbone, strain, 0.0, np.random.default_rng(0))
    assert 0.01 < _stretch(backbone, shift, 3) < 0.04
    assert abs(_stretch(backbone, shift, 1)) < 0.01
    other = HELIX if backbone is STRAND else STRAND
    assert np.abs(deformation(other, strain, 0.0, np.random.default_rng(0))[0]).max() < 0.02


def test_strain_of_contacts_swells() -> None:
    pair = np.concatenate((HELIX, HELIX + np.float32([9.0, 0.0, 0.0])))
    shift, _ = deformation(pair, Strain(contacts=0.05), 0.0, np.random.default_rng(0))
    before, after = (np.linalg.norm(x[:24].mean(0) - x[24:].mean(0)) for x in (pair[:, 1], pair[:, 1] + shift))
    assert after > before + 0.1


def test_heat_has_its_size_and_bends_rather_than_stretches() -> None:
    """Distances along a helix change far less than under an independent displacement of the same size."""
    ca = HELIX[:, 1].astype(np.float64)
    hot = [deformation(HELIX, Strain(), 0.8, np.random.default_rng(seed))[0] for seed in range(20)]
    assert np.mean([np.sqrt((shift**2).mean()) for shift in hot]) == pytest.approx(0.8, rel=0.15)
    near = np.abs(np.subtract.outer(np.arange(24), np.arange(24))) == 4
    change = np.mean([np.abs(cdist(ca + s, ca + s) - cdist(ca, ca))[near].mean() for s in hot])
    noise = np.random.default_rng(1).normal(scale=0.8, size=(20, *ca.shape))
    assert change < 0.65 * np.mean([np.abs(cdist(ca + s, ca + s) - cdist(ca, ca))[near].mean() for s in noise])


def test_nothing_is_moved_as_a_whole_and_frames_turn_with_their_surroundings() -> None:
    shift, turn = deformation(STRAND, Strain(), 0.5, np.random.default_rng(2))
    ca = STRAND[:, 1].astype(np.float64) - STRAND[:, 1].mean(0)
    np.testing.assert_allclose(shift.mean(0), 0.0, atol=1e-6)
    np.testing.assert_allclose(np.cross(ca, shift).sum(0), 0.0, atol=1e-4)
    expected = shift[4:] - shift[:-4]  # turn × distance, where the chain bends without stretching
    turned = np.cross(turn[2:-2], ca[4:] - ca[:-4])
    assert np.corrcoef(expected.ravel(), turned.ravel())[0, 1] > 0.85


def test_breaks_are_not_bridged() -> None:
    """Two strands far apart, one after the other in the chain: the strain of one does not pull the other."""
    torn = np.concatenate((STRAND, HELIX + np.float32([200.0, 0.0, 0.0])))
    shift, _ = deformation(torn, Strain(strands=0.03), 0.0, np.random.default_rng(0))
    assert _stretch(torn[:24], shift[:24], 3) > 0.01
    assert abs(_stretch(torn[24:], shift[24:], 3)) < 0.005
