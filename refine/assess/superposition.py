"""GDT, TM-score and RMSD: how well a model's Cα trace superposes on the native.

The search is that of the TM-score program (Zhang & Skolnick 2004, Proteins 57:702): every fragment of length L, L/2,
L/4, … 4 is superposed, then residues within a cutoff are superposed again until they no longer change; each measure
keeps its own best superposition. All fragments are followed at once as one batch. The cutoff follows the scale d0 of
the TM-score; like the program's C++ version (2019 and later) GDT is searched with a scale wider by 0.8 Å, which matters
by up to a point of GDT beyond 103 residues.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from refine.structure.arrays import kabsch, transformed

_See = Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], None]

GDT_CUTOFFS = (0.5, 1.0, 2.0, 4.0, 8.0)
GDT_WIDENING = 0.8
MIN_FRAGMENT = 4
MAX_ITERATIONS = 20
MAX_SEEDS = 4000
"""Fragments start at every residue until there would be more than this many; then at every second, third, …"""
BATCH_FLOATS = 3_000_000


@dataclasses.dataclass(frozen=True)
class Superposition:
    """Global measures over n matched residues of a native with ``native_length`` residues.

    Attributes:
        gdt_ts: mean share (0–100) of native residues within 1, 2, 4, 8 Å; gdt_ha: within 0.5, 1, 2, 4 Å.
        tm_score: 0–1, normalised by the native's length.
        rmsd: Å over the matched residues, all superposed.
        distances: (n,) Å between matched Cα after the superposition that gives the TM-score.
        rotation, shift: that superposition, ``model @ rotation.T + shift``.
    """

    gdt_ts: float
    gdt_ha: float
    tm_score: float
    rmsd: float
    distances: NDArray[np.float64]
    rotation: NDArray[np.float64]
    shift: NDArray[np.float64]


def superposition_scores(
    model: NDArray[np.floating], native: NDArray[np.floating], native_length: int, model_length: int
) -> Superposition:
    """Scores of matched Cα positions (n, 3) Å, n ≥ 3; unmatched native residues count as not covered.

    Does not handle alternative chain assignments of complexes: all matched residues move as one body.
    """
    x, y = np.asarray(model, np.float64), np.asarray(native, np.float64)
    x_centre, y_centre = x.mean(0), y.mean(0)
    x, y = x - x_centre, y - y_centre
    rotation, shift = _superpose(x, y, np.ones((1, len(x)), np.float64))
    rmsd = float(np.sqrt(((transformed(x, rotation[0], shift[0]) - y) ** 2).sum(-1).mean()))
    d0 = tm_scale(native_length)
    best = _Best(native_length, d0)
    cutoffs = [
        min(max(scale, 4.5), 8.0)
        for scale in (d0, max(tm_scale(min(native_length, model_length)), 0.168) + GDT_WIDENING)
    ]
    for seeds in _seed_batches(len(x)):
        if cutoffs[0] == cutoffs[1]:
            _extend(x, y, seeds, cutoffs[0], best.see)
        else:
            _extend(x, y, seeds, cutoffs[0], best.see_tm)
            _extend(x, y, seeds, cutoffs[1], best.see_gdt)
    counts = best.counts / native_length
    moved = transformed(x, best.rotation, best.shift)
    return Superposition(
        gdt_ts=float(100 * counts[1:].mean()),
        gdt_ha=float(100 * counts[:4].mean()),
        tm_score=best.tm,
        rmsd=rmsd,
        distances=np.linalg.norm(moved - y, axis=-1),
        rotation=best.rotation,
        shift=best.shift + y_centre - best.rotation @ x_centre,
    )


def tm_scale(length: int) -> float:
    """The TM-score's distance scale d0 in Å for a native of this many residues, at least 0.5."""
    return max(0.5, 1.24 * max(length - 15, 0) ** (1 / 3) - 1.8)


def _superpose(
    x: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least-squares rotations (B, 3, 3) and shifts (B, 3) taking x (n, 3) onto y (n, 3), for B weightings (B, n).

    The moments of all weightings come from one matrix product; ``arrays.superpose`` would need a copy of x for each.
    """
    total = weights.sum(-1, keepdims=True)
    x_mean, y_mean = weights @ x / total, weights @ y / total
    products = (y[:, :, None] * x[:, None, :]).reshape(len(x), 9)
    covariance = (weights @ products / total).reshape(-1, 3, 3) - y_mean[:, :, None] * x_mean[:, None, :]
    rotation = kabsch(covariance)
    return rotation, y_mean - np.einsum("bij,bj->bi", rotation, x_mean)


class _Best:
    """The best of each measure over all superpositions seen."""

    def __init__(self, native_length: int, d0: float) -> None:
        self.native_length, self.d0 = native_length, d0
        self.tm = -1.0
        self.counts = np.zeros(len(GDT_CUTOFFS))
        self.rotation, self.shift = np.eye(3), np.zeros(3)

    def see(self, squares: NDArray[np.float64], rotation: NDArray[np.float64], shift: NDArray[np.float64]) -> None:
        """Take note of squared distances (B, n) under B rotations and shifts."""
        self.see_tm(squares, rotation, shift)
        self.see_gdt(squares, rotation, shift)

    def see_tm(self, squares: NDArray[np.float64], rotation: NDArray[np.float64], shift: NDArray[np.float64]) -> None:
        tm = (1 / (1 + squares / self.d0**2)).sum(-1) / self.native_length
        k = int(tm.argmax())
        if tm[k] > self.tm:
            self.tm, self.rotation, self.shift = float(tm[k]), rotation[k], shift[k]

    def see_gdt(self, squares: NDArray[np.float64], rotation: NDArray[np.float64], shift: NDArray[np.float64]) -> None:
        for c, cutoff in enumerate(GDT_CUTOFFS):
            self.counts[c] = max(self.counts[c], (squares < cutoff**2).sum(-1).max())


def _seed_batches(n: int) -> list[NDArray[np.float64]]:
    """0/1 weights (B, n) of the starting fragments, in batches of bounded size."""
    lengths: list[int] = []
    size = n
    while size > MIN_FRAGMENT and len(lengths) < 5:
        lengths.append(size)
        size //= 2
    lengths.append(min(MIN_FRAGMENT, n))
    stride = 1 + sum(n - size + 1 for size in lengths) // MAX_SEEDS
    windows = [(start, start + size) for size in lengths for start in range(0, n - size + 1, stride)]
    position = np.arange(n)
    per_batch = max(1, BATCH_FLOATS // (3 * n))
    batches = []
    for k in range(0, len(windows), per_batch):
        bounds = np.array(windows[k : k + per_batch])
        batches.append(((position >= bounds[:, :1]) & (position < bounds[:, 1:])).astype(np.float64))
    return batches


def _extend(
    x: NDArray[np.float64], y: NDArray[np.float64], seeds: NDArray[np.float64], cutoff: float, see: _See
) -> None:
    """Superpose each seed, then whatever lies close, until the chosen residues repeat."""
    chosen = seeds
    for step in range(MAX_ITERATIONS + 1):
        rotation, shift = _superpose(x, y, chosen)
        moved = x @ rotation.transpose(0, 2, 1) + shift[:, None]
        squares = ((moved - y) ** 2).sum(-1)
        see(squares, rotation, shift)
        close = _close(squares, cutoff - 1 if step == 0 else cutoff + 1)
        if step > 0:  # the first cutoff is narrower, so a seed that keeps its residues there may still grow
            close = close[(close != chosen).any(-1)]
        if not len(close):
            return
        chosen = _distinct(close)


def _distinct(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The different rows of 0/1 weights (B, n): seeds that meet are followed once."""
    packed = np.packbits(weights.astype(bool), axis=-1)
    _, first = np.unique(packed.view(np.dtype((np.void, packed.shape[1]))).reshape(-1), return_index=True)
    return weights[first]


def _close(squares: NDArray[np.float64], cutoff: float) -> NDArray[np.float64]:
    """0/1 weights (B, n) of residues within the cutoff, widened by 0.5 Å until at least three (of more than three) are
    in.
    """
    need = min(3, squares.shape[-1])
    third = np.sqrt(np.partition(squares, need - 1, axis=-1)[:, need - 1])
    widened = cutoff + 0.5 * np.ceil(np.maximum(third - cutoff, 0) / 0.5 + 1e-9) * (third >= cutoff)
    return (squares < widened[:, None] ** 2).astype(np.float64)
