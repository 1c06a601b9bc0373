"""The decoy factory: each kind moves something, keeps what it promises to keep."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from refine.training import decoys, targets
from tests.proteins import chain_backbone, torsions

KINDS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "correlated_shift": lambda x, rng: decoys.correlated_shift(x, rng, 1.0, 8.0),
    "segment_shift": lambda x, rng: decoys.segment_shift(x, rng, 2.0, 3),
    "crankshafts": lambda x, rng: decoys.crankshafts(x, rng, 30.0, 4),
    "wrong_loops": lambda x, rng: decoys.wrong_loops(x, rng, 2),
    "compacted": lambda x, rng: decoys.compacted(x, rng, 0.05),
    "jittered": lambda x, rng: decoys.jittered(x, rng, 0.2),
    "perturbed": lambda x, rng: decoys.perturbed(x, rng, 2.0),
    "deformed": lambda x, rng: decoys.deformed(x, rng, 2.0),
    "thermal": lambda x, rng: decoys.thermal(x, rng, 1.0),
    "strained": lambda x, rng: decoys.strained(x, rng, 1.0),
    "peptides_turned": lambda x, rng: decoys.peptides_turned(x, rng, 8.0),
}


@pytest.fixture
def native() -> np.ndarray:
    return chain_backbone(*torsions(50)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_moves_something_and_leaves_its_input(kind: str, native: np.ndarray) -> None:
    kept = native.copy()
    draws = [KINDS[kind](native, np.random.default_rng(seed)) for seed in range(4)]
    assert all(x.shape == native.shape and x.dtype == np.float32 and np.isfinite(x).all() for x in draws)
    moved = [np.linalg.norm(x - native, axis=-1).max() for x in draws]
    assert max(moved) > 0.1
    assert np.array_equal(native, kept)
    assert np.array_equal(draws[0], KINDS[kind](native, np.random.default_rng(0)))
    assert not np.array_equal(draws[0], draws[1]) or not np.array_equal(draws[1], draws[2])


def test_one_crankshaft_closes(native: np.ndarray) -> None:
    """Distances within residues and across every peptide bond stay, whatever is turned."""
    x = decoys.crankshafts(native, np.random.default_rng(3), 60.0, 1)
    moved = np.flatnonzero(np.abs(x - native).max((1, 2)) > 1e-3)
    assert 2 <= len(moved) <= 14
    ca = np.linalg.norm(np.diff(x[:, 1], axis=0), axis=-1)
    np.testing.assert_allclose(ca, np.linalg.norm(np.diff(native[:, 1], axis=0), axis=-1), atol=1e-3)
    np.testing.assert_allclose(
        np.linalg.norm(x[:-1, 2] - x[1:, 0], axis=-1),
        np.linalg.norm(native[:-1, 2] - native[1:, 0], axis=-1),
        atol=1e-3,
    )


def test_turned_peptides_leave_ca(native: np.ndarray) -> None:
    x = decoys.peptides_turned(native, np.random.default_rng(0), 10.0)
    np.testing.assert_allclose(x[:, 1], native[:, 1], atol=1e-5)
    assert 0.1 < np.linalg.norm(x[:, 3] - native[:, 3], axis=-1)[:-1].mean() < 0.6
    for first, second in ((x[:-1, 2], x[1:, 0]), (x[:-1, 2], x[:-1, 3])):
        assert np.linalg.norm(first - second, axis=-1) == pytest.approx(1.3, abs=0.12)


def test_thermal_structures_are_wrong_everywhere_and_swollen(native: np.ndarray) -> None:
    draws = [decoys.thermal(native, np.random.default_rng(seed), 1.0) for seed in range(8)]
    ca = native[:, 1].astype(np.float64)
    lddt = [targets.lddt_ca(ca, x[:, 1].astype(np.float64)) for x in draws]
    assert np.mean([(one < 1.0).mean() for one in lddt]) > 0.3 and 0.5 < np.mean(lddt) < 0.99
    assert np.mean([cdist(x[:, 1], x[:, 1]).mean() for x in draws]) > 1.005 * cdist(ca, ca).mean()
    assert np.abs(decoys.thermal(native, np.random.default_rng(0), 0.01) - native).max() < 0.2


def test_bonds_are_restored_but_not_across_breaks(native: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    bent = decoys.correlated_shift(native, rng, 1.0, 3.0)
    bonded = np.r_[np.ones(49, dtype=bool), False]
    bonded[20] = False

    def worst(x: np.ndarray) -> float:
        return float(np.sqrt(((np.linalg.norm(x[:-1, 2] - x[1:, 0], axis=-1) - 1.33)[bonded[:-1]] ** 2).mean()))

    whole = decoys.restore_bonds(bent, bonded, 30)
    assert worst(whole) < 0.25 * worst(bent)
    torn = bent.copy()
    torn[21:] += 30.0
    gap = decoys.restore_bonds(torn, bonded, 30)
    assert np.linalg.norm(gap[20, 2] - gap[21, 0]) > 40


def test_field_has_unit_variance_and_its_length() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(8) * 2.0] * 3), -1).reshape(-1, 3).astype(np.float32)
    fields = np.stack([decoys.random_field(grid, 6.0, np.random.default_rng(s)) for s in range(200)])
    assert fields.var() == pytest.approx(1, abs=0.1)
    near, far = np.linalg.norm(grid - grid[0], axis=1) == 2.0, np.linalg.norm(grid - grid[0], axis=1) > 20
    correlation = (fields * fields[:, :1]).mean((0, 2))
    assert correlation[near].mean() == pytest.approx(np.exp(-0.5 * (2 / 6) ** 2), abs=0.1)
    assert abs(correlation[far].mean()) < 0.1


def test_disguise_hides_bent_bonds(native: np.ndarray) -> None:
    """Over many draws the peptide bonds of a bent decoy come out far closer to a native's than they went in."""
    bonded = np.r_[np.ones(49, dtype=bool), False]

    def spread(x: np.ndarray) -> float:
        return float(np.std(np.linalg.norm(x[:-1, 2] - x[1:, 0], axis=-1)))

    bent = [decoys.correlated_shift(native, np.random.default_rng(s), 1.0, 6.0) for s in range(40)]
    after = [spread(decoys.disguised(x, bonded, np.random.default_rng(100 + s), 0.12)) for s, x in enumerate(bent)]
    plain = [spread(decoys.disguised(native, bonded, np.random.default_rng(100 + s), 0.12)) for s in range(40)]
    assert np.median(after) < 0.5 * np.median([spread(x) for x in bent])
    assert np.median(plain) > 0.02


def test_inflation_scales_bonds_and_the_whole(native: np.ndarray) -> None:
    """Sizes spread over what is allowed, and virtual bonds go with them."""
    bonded = np.r_[np.ones(49, dtype=bool), False]
    draws = [decoys.disguised(native, bonded, np.random.default_rng(s), 1e-6, 0.02) for s in range(30)]
    size = np.array([cdist(x[:, 1], x[:, 1]).mean() for x in draws]) / cdist(native[:, 1], native[:, 1]).mean()
    span = np.array([np.linalg.norm(np.diff(x[:, 1], axis=0), axis=1).mean() for x in draws]) / 3.8
    assert size.min() < 0.99 and size.max() > 1.01 and np.abs(size - 1).max() < 0.025
    assert np.corrcoef(size, span)[0, 1] > 0.9
