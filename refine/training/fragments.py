"""Decoys put together from fragments of other proteins, as servers build models.

Fragment assembly (Rosetta, I-TASSER, QUARK) leaves backbones that are well-formed everywhere and wrong: every stretch
is one that some protein has. Here stretches of a native give way to stretches of other chains of a pack, either such as
have about the same shape, laid onto the whole stretch, or such as have the same ends and another way between them,
laid onto the ends.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.structure.arrays import frames, kabsch
from refine.training.pack import COORDINATE_UNIT, Pack

SIZES = (6, 9, 13)
_SHAPE, _ENDS = 0, 1
_NEIGHBOURS = 40
_ENDS_NEIGHBOURS = 15
"""How many of the library's fragments are considered; which of them is drawn by the logarithm of its rank."""

Windows = NDArray[np.float32]


class _Fragments(NamedTuple):
    """Fragments of one size: the row of the pack where each begins, and trees by shape and by ends."""

    rows: NDArray[np.int64]
    trees: tuple[cKDTree, cKDTree]


class FragmentLibrary:
    """Fragments of the chains of one split.

    Args:
        pack: where they come from.
        split: train, valid or test.
        count: fragments of each size, drawn at random; the fewer, the further the nearest one is.
        seed: of the drawing.
    """

    def __init__(self, pack: Pack, split: str, count: int = 60_000, seed: int = 0) -> None:
        self._backbone, rng = pack.stored_backbones(), np.random.default_rng(seed)
        linked = np.zeros(len(self._backbone), dtype=np.bool_)
        for k, chain in enumerate(pack.chains):
            if chain.split == split:
                linked[chain.start : chain.start + chain.length - 1] = pack.bonded(k)[:-1]
        before = np.r_[0, np.cumsum(linked)]
        self._of_size: dict[int, _Fragments] = {}
        for size in SIZES:
            whole = np.flatnonzero(before[size - 1 :] - before[: len(before) - size + 1] == size - 1)
            rows = rng.permutation(whole)[:count].astype(np.int64)
            if len(rows):
                windows = self._windows(rows, size)
                self._of_size[size] = _Fragments(rows, (cKDTree(_shape(windows)), cKDTree(_ends(windows))))

    def _windows(self, rows: NDArray[np.int64], size: int) -> Windows:
        """Stretches (n, size, 4, 3) Å that begin at these rows."""
        stored = self._backbone[rows[:, None] + np.arange(size)]
        return stored.astype(np.float32) * np.float32(COORDINATE_UNIT)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of which there are fragments."""
        return tuple(self._of_size)

    def replaced(self, windows: Windows, by_ends: NDArray[np.bool_], rng: np.random.Generator) -> Windows:
        """Stretches (n, size, 4, 3) Å given way to fragments of the same size, laid onto them.

        Args:
            windows: stretches of one size out of ``sizes``.
            by_ends: (n,) those whose fragment shares their ends alone.
            rng: decides which of the nearest fragments is taken.
        """
        size = windows.shape[1]
        fragments = self._of_size[size]
        made = windows.copy()
        for kind, which in ((_SHAPE, ~by_ends), (_ENDS, by_ends)):
            own = windows[which]
            if not len(own):
                continue
            count = min(_NEIGHBOURS if kind == _SHAPE else _ENDS_NEIGHBOURS, len(fragments.rows))
            _, near = fragments.trees[kind].query((_shape, _ends)[kind](own), k=count)
            rank = np.exp(rng.uniform(0, np.log(count + 1), len(own))).astype(np.int64) - 1
            chosen = np.reshape(near, (len(own), count))[np.arange(len(own)), np.minimum(rank, count - 1)]
            found = self._windows(fragments.rows[chosen], size)
            guide = slice(None) if kind == _SHAPE else [0, 1, size - 2, size - 1]
            made[which] = _laid_onto(found, own, guide)
        return made


def _shape(windows: Windows) -> NDArray[np.float32]:
    """Distances of CA three, four, ... places apart, thinned, and the handedness of every four in a row, in Å."""
    ca = windows[:, :, 1].astype(np.float64)
    size = ca.shape[1]
    steps = sorted({3, 4, size // 2 + 1, size - 1})
    parts = [np.linalg.norm(ca[:, step:] - ca[:, :-step], axis=-1) for step in steps]
    a, b, c = (ca[:, k + 1 : size - 2 + k] - ca[:, k : size - 3 + k] for k in range(3))
    parts.append((np.cross(a, b) * c).sum(-1) / 12.0)
    return np.concatenate(parts, axis=1).astype(np.float32)


def _ends(windows: Windows) -> NDArray[np.float32]:
    """N, CA and C of the last residue as the first residue's frame sees them (n, 9), in Å."""
    first, last = windows[:, 0].astype(np.float64), windows[:, -1, :3].astype(np.float64)
    rot = frames(first[:, 0], first[:, 1], first[:, 2])
    return ((last - first[:, 1:2]) @ rot).reshape(len(windows), 9).astype(np.float32)


def _laid_onto(fragments: Windows, windows: Windows, guide: slice | list[int]) -> Windows:
    """Fragments moved rigidly so that N, CA, C of the residues ``guide`` lie best on those of the windows."""
    have = fragments[:, guide, :3].reshape(len(fragments), -1, 3).astype(np.float64)
    want = windows[:, guide, :3].reshape(len(windows), -1, 3).astype(np.float64)
    have_centre, want_centre = have.mean(1, keepdims=True), want.mean(1, keepdims=True)
    rot = kabsch((want - want_centre).transpose(0, 2, 1) @ (have - have_centre))
    flat = fragments.reshape(len(fragments), -1, 3) - have_centre
    return (flat @ rot.transpose(0, 2, 1) + want_centre).reshape(fragments.shape).astype(np.float32)


def assembled(
    backbone: Windows,
    bonded: NDArray[np.bool_],
    library: FragmentLibrary,
    rng: np.random.Generator,
    share: float,
    by_ends: float,
) -> Windows:
    """A backbone (L, 4, 3) Å of whose stretches about ``share`` have given way to fragments of other proteins.

    Args:
        backbone: Å; bonded: (L,) peptide bonds to the next.
        library: of fragments.
        share: chance of a stretch to be replaced.
        by_ends: chance of its fragment to share only its ends.
        rng: random numbers.
    """
    x = backbone.copy()
    begin = int(rng.integers(0, max(SIZES)))
    stretches: dict[int, list[int]] = {size: [] for size in library.sizes}
    joined = np.r_[0, np.cumsum(~bonded)]
    while stretches and begin + min(stretches) <= len(x):
        size = int(rng.choice(library.sizes))
        end = begin + size
        if end <= len(x) and joined[end - 1] == joined[begin] and rng.random() < share:
            stretches[size].append(begin)
        begin = end
    for size, begins in stretches.items():
        if begins:
            where = np.array(begins)[:, None] + np.arange(size)
            ends = rng.random(len(begins)) < by_ends
            place = np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1))
            weight = np.minimum(1.0, place / 2.0).astype(np.float32)[None, :, None, None]
            own = x[where]
            x[where] = own + weight * (library.replaced(own, ends, rng) - own)
    return x
