"""The random-direction control: right size, whole chain, another direction, the same every time."""

from __future__ import annotations

import numpy as np

from refine.bench.control import move_sizes, random_direction, seed_of
from refine.structure.arrays import superposed
from tests.proteins import small_protein


def test_the_move_has_the_size_asked_for_and_keeps_the_chain() -> None:
    protein = small_protein(60)
    start = protein.coords[0, :, :4]
    sizes = np.abs(np.random.default_rng(0).normal(0.5, 0.15, 60))
    moved = random_direction(protein, sizes, seed_of("t", 0))[0]
    got = move_sizes(moved[:, 1], start[:, 1])
    assert abs(got.mean() - sizes.mean()) < 0.1 * sizes.mean()
    bonds = [np.linalg.norm(x[1:, 0] - x[:-1, 2], axis=-1) for x in (start, moved)]
    assert np.abs(bonds[1] - bonds[0]).max() < 0.1
    inner = np.linalg.norm(moved[:, 1] - moved[:, 0], axis=-1)
    assert np.abs(inner - 1.459).max() < 0.1


def test_the_direction_is_random_but_smooth() -> None:
    protein = small_protein(60)
    start = protein.coords[0, :, 1]
    shifts = [
        superposed(random_direction(protein, np.full(60, 0.5), seed_of(name, 0))[0, :, 1], start) - start
        for name in "ab"
    ]
    unit = [s / np.linalg.norm(s, axis=-1, keepdims=True) for s in shifts]
    assert abs((unit[0] * unit[1]).sum(-1).mean()) < 0.6
    assert (unit[0][1:] * unit[0][:-1]).sum(-1).mean() > 0.5


def test_the_same_target_and_seed_give_the_same_bytes() -> None:
    protein = small_protein(30)
    moves = [random_direction(protein, np.full(30, 0.4), seed_of("t", seed)) for seed in (0, 0, 1)]
    assert np.array_equal(moves[0], moves[1]) and not np.array_equal(moves[0], moves[2])


def test_no_move_is_no_move() -> None:
    protein = small_protein(30)
    moved = random_direction(protein, np.zeros(30), seed_of("t", 0))
    assert move_sizes(moved[0, :, 1], protein.coords[0, :, 1]).max() < 0.05
