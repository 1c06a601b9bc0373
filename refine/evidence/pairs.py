"""Evidence on distances as arrays: K rows, each of two atoms, what is known of their distance, and who says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refine.structure.protein import Protein, Site

FORMS = ("student", "gaussian", "contact", "density")
"""Energy of a row in kT: −ln of Student's t (a bounded pull of rows that are wrong), ½ z², softplus (no pull below the
bound), −ln p of a distogram.
"""
STUDENT, GAUSSIAN, CONTACT, DENSITY = range(len(FORMS))
GRID_START, GRID_STEP, GRID_POINTS = 2.15625, 0.3125, 64
"""Å: the even grid on which densities are kept, the middles of AlphaFold's bins."""
MATRICES = ("distogram", "pae", "model", "template")
"""Kinds whose rows are not measured one by one."""


@dataclasses.dataclass(frozen=True)
class Pairs:
    """K rows of evidence.

    Attributes:
        residue: (K, 2) int64; slot: (K, 2) int64, atoms as slots of ``Protein.coords``.
        lower, upper: (K,) Å, between which the row is content; for densities the most likely distance, twice.
        sigma: (K,) Å, what a distance beyond them is measured in; weight: (K,), 0 for rows that are left out.
        form: (K,) int64 index into ``FORMS``.
        density: (K', 64) −ln p on the grid, of the rows of that form in their order.
        source: (K,) int64 index into ``files``; line: (K,) of the file, 0 where lines mean nothing.
        files: names, one a table; kinds: what its rows are (K,), as ``distance``.
    """

    residue: NDArray[np.int64]
    slot: NDArray[np.int64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    sigma: NDArray[np.float64]
    weight: NDArray[np.float64]
    form: NDArray[np.int64]
    density: NDArray[np.float64]
    source: NDArray[np.int64]
    line: NDArray[np.int64]
    files: tuple[str, ...]
    kinds: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.residue)

    def rows(self, chosen: NDArray[np.bool_]) -> Pairs:
        """The rows where ``chosen`` (K,)."""
        arrays = {name: getattr(self, name)[chosen] for name in _PER_ROW}
        kinds = tuple(kind for kind, keep in zip(self.kinds, chosen, strict=True) if keep)
        return dataclasses.replace(self, **arrays, density=self.density[chosen[self.form == DENSITY]], kinds=kinds)

    def excess(self, distance: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., K) Å by which distances (..., K) lie beyond what their rows allow, signed: negative below ``lower``."""
        return np.maximum(distance - self.upper, 0.0) + np.minimum(distance - self.lower, 0.0)

    def holds(self, distance: NDArray[np.floating]) -> NDArray[np.bool_]:
        """(..., K) whether each row is met to within 2 sigma."""
        return np.abs(self.excess(distance)) <= 2.0 * self.sigma

    def measured(self, protein: Protein) -> NDArray[np.float64]:
        """(K,) Å in replica 0 of ``protein``."""
        atoms = protein.coords[0, self.residue, self.slot].astype(np.float64)
        distance: NDArray[np.float64] = np.linalg.norm(atoms[:, 0] - atoms[:, 1], axis=-1)
        return distance

    @property
    def single(self) -> NDArray[np.bool_]:
        """(K,) whether a row is a measurement of its own, not an entry of a matrix."""
        return np.array([kind not in MATRICES for kind in self.kinds], np.bool_)


_PER_ROW = ("residue", "slot", "lower", "upper", "sigma", "weight", "form", "source", "line")


@dataclasses.dataclass(frozen=True)
class Row:
    """One measured distance; attributes as the columns of ``Pairs``."""

    kind: str
    first: Site
    second: Site
    lower: float
    upper: float
    sigma: float
    weight: float
    form: int
    line: int


def pairs_of(rows: Sequence[Row], file: str) -> Pairs:
    """The table of single rows of one file."""
    columns = {name: np.array([getattr(r, name) for r in rows], np.float64) for name in ("lower", "upper", "sigma")}
    sites = np.array([(r.first, r.second) for r in rows], np.int64).reshape(-1, 2, 2)
    return Pairs(
        residue=sites[:, :, 0], slot=sites[:, :, 1], **columns,
        weight=np.array([r.weight for r in rows], np.float64), form=np.array([r.form for r in rows], np.int64),
        density=np.zeros((0, GRID_POINTS)), source=np.zeros(len(rows), np.int64),
        line=np.array([r.line for r in rows], np.int64), files=(file,), kinds=tuple(r.kind for r in rows),
    )  # fmt: skip


def joined(tables: Sequence[Pairs]) -> Pairs:
    """One table of several, files numbered anew in their order."""
    shift = np.cumsum([0] + [len(t.files) for t in tables])
    arrays = {name: np.concatenate([getattr(t, name) for t in tables]) for name in _PER_ROW}
    arrays["source"] = np.concatenate([t.source + k for t, k in zip(tables, shift[:-1], strict=True)])
    files = tuple(name for t in tables for name in t.files)
    kinds = tuple(kind for t in tables for kind in t.kinds)
    return Pairs(**arrays, density=np.concatenate([t.density for t in tables]), files=files, kinds=kinds)
