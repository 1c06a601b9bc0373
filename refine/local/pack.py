"""Packed training structures: memory-mapped arrays that several processes read without copies.

A pack is a folder: ``backbone.npy`` (N, 4, 3) and ``centroid.npy`` (N, 3) int16 in units of 0.01 Å about each chain's
centre, ``residue.npy`` (N,) int8 in AMINO_ACIDS order, ``position.npy`` (N,) int32 (chain breaks jump by 20),
``origin.npy`` (N,) int32 place in the file's sequence, ``bonded.npy`` (N,) bool, ``chains.tsv`` one row a chain and
``manifest.json`` with the settings and the hash of everything that went in.
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

COORDINATE_UNIT = 0.01


@dataclasses.dataclass(frozen=True)
class PackedChain:
    """One chain of a pack: rows ``start`` … ``start + length`` of its arrays."""

    name: str
    start: int
    length: int
    cluster: str
    split: str
    quality: str


class Pack:
    """Read access to a pack folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with (folder / "chains.tsv").open() as file:
            self.chains = tuple(
                PackedChain(r["id"], int(r["start"]), int(r["length"]), r["cluster"], r["split"], r["quality"])
                for r in csv.DictReader(file, delimiter="\t")
            )
        self._arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r")
            for name in ("backbone", "centroid", "residue", "position", "origin", "bonded")
        }

    def _rows(self, name: str, chain: int) -> NDArray[np.generic]:
        c = self.chains[chain]
        return self._arrays[name][c.start : c.start + c.length]

    def backbone(self, chain: int) -> NDArray[np.float32]:
        """(L, 4, 3) Å."""
        return self._rows("backbone", chain).astype(np.float32) * np.float32(COORDINATE_UNIT)

    def centroid(self, chain: int) -> NDArray[np.float32]:
        """(L, 3) Å side-chain centroids, CA for glycine."""
        return self._rows("centroid", chain).astype(np.float32) * np.float32(COORDINATE_UNIT)

    def residue(self, chain: int) -> NDArray[np.int8]:
        """(L,) identities."""
        return np.asarray(self._rows("residue", chain), dtype=np.int8)

    def position(self, chain: int) -> NDArray[np.int32]:
        """(L,) sequence positions with jumps at chain breaks."""
        return np.asarray(self._rows("position", chain), dtype=np.int32)

    def origin(self, chain: int) -> NDArray[np.int32]:
        """(L,) places in the file's own sequence."""
        return np.asarray(self._rows("origin", chain), dtype=np.int32)

    def bonded(self, chain: int) -> NDArray[np.bool_]:
        """(L,) whether a residue has a peptide bond to the next."""
        return np.asarray(self._rows("bonded", chain), dtype=np.bool_)
