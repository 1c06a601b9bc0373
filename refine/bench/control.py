"""The random-direction control: as large a move as a method made, but not where it went."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from refine.structure.arrays import superposed
from refine.structure.protein import Protein
from refine.training.decoys import random_field, restore_bonds

CORRELATION = 8.0
"""Å over which neighbouring atoms are moved alike."""
_ROUNDS = 6
_TINY = 1e-6


def move_sizes(moved: NDArray[np.floating], start: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far each CA (L, 3) has gone, Å (L,), a motion of the whole left out."""
    return np.linalg.norm(superposed(moved, start) - start, axis=-1)


def seed_of(target: str, seed: int) -> np.random.Generator:
    """The generator of a target, the same on every machine and in every order of work."""
    digest = hashlib.sha256(f"{target}\0{seed}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest[:16], np.uint32))


def random_direction(protein: Protein, sizes: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.float32]:
    """A backbone (1, L, 4, 3) of ``protein`` in which each residue has moved by about its size, all in one random
    smooth field.

    The direction at each atom is that of a Gaussian random field with a correlation length of ``CORRELATION`` Å, so
    that neighbours move together as in a real move; bonds and angles are restored afterwards, and the whole is rescaled
    until the mean move after superposition is that of ``sizes`` (L,) Å. Sizes of single residues agree only as far as
    the chain allows.
    """
    start = protein.coords[0, :, :4]
    field = random_field(start.reshape(-1, 3), CORRELATION, rng).reshape(-1, 4, 3)
    direction = field / np.maximum(np.linalg.norm(field, axis=-1, keepdims=True), _TINY)
    goal = float(np.mean(sizes))
    scale, best, error = 1.0, start, float("inf")
    for _ in range(_ROUNDS):
        moved = restore_bonds(
            (start + scale * np.asarray(sizes)[:, None, None] * direction).astype(np.float32), protein.bonded
        )
        reached = float(move_sizes(moved[:, 1], start[:, 1]).mean())
        if abs(reached - goal) < error:
            best, error = moved, abs(reached - goal)
        if reached < _TINY or error < 0.01 * goal:
            break
        scale *= float(np.clip(goal / reached, 0.3, 3.0))
    return best[None].astype(np.float32)
