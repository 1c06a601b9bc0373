"""A pack of training structures: memory-mapped arrays that several processes read without copies.

A pack is a folder: ``backbone.npy`` (N, 4, 3) and ``side_chain.npy`` (N, 10, 3; absent atoms ``ABSENT``) int16 in units
of 0.01 Å about each chain's centre, ``residue.npy`` (N,) int8 in AMINO_ACIDS order, ``position.npy`` (N,) int32 (chain
breaks jump by 20), ``origin.npy`` (N,) int32 place in the file's sequence, ``bonded.npy`` (N,) bool, ``chains.tsv`` one
row a chain and ``manifest.json`` with the settings and the hash of everything that went in.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refine.errors import InputError
from refine.files import csv_rows

COORDINATE_UNIT = 0.01
ABSENT = np.iinfo(np.int16).min
"""Every coordinate of a side-chain atom that the structure lacks."""


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
                for r in csv_rows(file, delimiter="\t")
            )
        try:
            names = ("backbone", "side_chain", "residue", "position", "origin", "bonded")
            self._arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
        except FileNotFoundError as error:
            remedy = "Packs of earlier versions lack side_chain.npy: pack the structures again."
            raise InputError("an array of the pack is missing", file=str(error.filename), remedy=remedy) from error

    def _rows(self, name: str, chain: int) -> NDArray[np.generic]:
        c = self.chains[chain]
        return self._arrays[name][c.start : c.start + c.length]

    def backbone(self, chain: int) -> NDArray[np.float32]:
        """(L, 4, 3) Å."""
        return self._rows("backbone", chain).astype(np.float32) * np.float32(COORDINATE_UNIT)

    def stored_backbones(self) -> NDArray[np.int16]:
        """(N, 4, 3) of all chains, in units of ``COORDINATE_UNIT`` Å, each about its chain's centre."""
        return np.asarray(self._arrays["backbone"])

    def side_chain(self, chain: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """(L, 10, 3) Å in the order of SIDE_CHAIN_ATOMS, and (L, 10) which atoms exist; absent ones lie on CA."""
        stored = self._rows("side_chain", chain)
        present = stored[..., 0] != ABSENT
        ca = self._rows("backbone", chain)[:, 1:2]
        return np.where(present[..., None], stored, ca).astype(np.float32) * np.float32(COORDINATE_UNIT), present

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
