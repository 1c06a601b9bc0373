"""The one representation of a protein that every stage reads and returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from refine.constants import ATOM14, MAX_PEPTIDE_BOND, MAX_STRETCHED_PEPTIDE


@dataclasses.dataclass(frozen=True)
class ResidueId:
    """Where the author put a residue: chain id, number and insertion code (``""`` for none)."""

    chain: str
    number: int
    insertion: str = ""

    def __str__(self) -> str:
        return f"{self.chain}:{self.number}{self.insertion}"


@dataclasses.dataclass(frozen=True)
class HeteroAtom:
    """An atom that refinement carries along unmoved: ligand, water, ion, nucleic acid, unknown residue."""

    chain: str
    number: int
    insertion: str
    residue_name: str
    name: str
    element: str
    position: tuple[float, float, float]
    occupancy: float = 1.0
    b_factor: float = 0.0
    charge: int = 0
    altloc: str = ""
    is_hetatm: bool = True
    order: int = 0
    """Rank of the atom's residue in the input file, so that output keeps the file's order."""


class Site(NamedTuple):
    """An atom of a protein: residue and slot of ``coords`` (14 is OXT); residue -1 is hetero atom number ``slot``."""

    residue: int
    slot: int


@dataclasses.dataclass(frozen=True)
class Connection:
    """A bond besides those within residues and the peptides along the chains.

    Attributes:
        kind: ``disulfide``, ``metal`` (coordination) or ``covalent``.
        first, second: its atoms.
        distance: Å in the input.
        source: who says so: a record of the file, or ``distance``.
    """

    kind: str
    first: Site
    second: Site
    distance: float
    source: str


@dataclasses.dataclass(frozen=True)
class Protein:
    """A protein, immutable; methods return new ones.

    Attributes:
        coords: (R, L, 14, 3) float32 Å, R replicas; slot order is ``constants.ATOM14[residue]``; absent atoms are 0.
        mask: (L, 14) bool, True where the atom exists.
        sequence: L one-letter codes out of the standard 20.
        residue_ids: L author identities, in file order.
        bonded: (L,) bool, True where residue i has a peptide bond to residue i + 1; the last is False.
        oxt: (R, L, 3) float32 Å; ``oxt_mask`` (L,) says where a terminal oxygen exists.
        b_factors: (L, 14) float32 Å^2 as read (0 where not given).
        occupancies: (L, 14) float32 as read (1 where not given).
        hetero: atoms carried along unmoved.
        file_order: (L,) rank of each residue in the input file, on the same scale as ``HeteroAtom.order``.
        name: a short name for messages and file headers, usually the file's stem.
        connections: what is bonded besides residues and the peptides of ``bonded``.
    """

    coords: NDArray[np.float32]
    mask: NDArray[np.bool_]
    sequence: str
    residue_ids: tuple[ResidueId, ...]
    bonded: NDArray[np.bool_]
    oxt: NDArray[np.float32]
    oxt_mask: NDArray[np.bool_]
    b_factors: NDArray[np.float32]
    occupancies: NDArray[np.float32]
    file_order: NDArray[np.int64]
    hetero: tuple[HeteroAtom, ...] = ()
    name: str = "protein"
    connections: tuple[Connection, ...] = ()

    def __post_init__(self) -> None:
        length = len(self.sequence)
        assert self.coords.ndim == 4 and self.coords.shape[1:] == (length, 14, 3), self.coords.shape
        assert self.mask.shape == self.b_factors.shape == self.occupancies.shape == (length, 14)
        assert self.bonded.shape == self.oxt_mask.shape == self.file_order.shape == (length,)
        assert self.oxt.shape == (self.coords.shape[0], length, 3)
        assert len(self.residue_ids) == length
        assert length == 0 or not self.bonded[-1]

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def replicas(self) -> int:
        return self.coords.shape[0]

    @property
    def chains(self) -> tuple[str, ...]:
        """Distinct author chain ids in order of appearance."""
        return tuple(dict.fromkeys(r.chain for r in self.residue_ids))

    def atom_names(self, i: int) -> tuple[str, ...]:
        """Names of the heavy atoms residue ``i`` should have, in slot order."""
        return ATOM14[self.sequence[i]]

    def with_coords(
        self, coords: NDArray[np.float32], oxt: NDArray[np.float32] | None = None, mask: NDArray[np.bool_] | None = None
    ) -> Protein:
        """The same protein at other coordinates (R', L, 14, 3); R' may differ.

        ``oxt`` (R', L, 3) gives the terminal oxygens their new places. Without it they are dropped (``oxt_mask``
        False), unless the coordinates are bit for bit those of this protein; ``ride`` moves them along with a backbone.
        """
        coords = np.ascontiguousarray(coords, dtype=np.float32)
        new_mask = self.mask if mask is None else mask
        if oxt is not None:
            return dataclasses.replace(self, coords=coords, mask=new_mask, oxt=np.asarray(oxt, np.float32))
        same = coords.shape == self.coords.shape and np.array_equal(coords, self.coords)
        if same:
            return dataclasses.replace(self, mask=new_mask)
        empty = np.zeros((coords.shape[0], len(self), 3), np.float32)
        return dataclasses.replace(
            self, coords=coords, mask=new_mask, oxt=empty, oxt_mask=np.zeros(len(self), dtype=np.bool_)
        )

    def replica(self, r: int) -> Protein:
        """Replica ``r`` alone (R = 1)."""
        return dataclasses.replace(self, coords=self.coords[r : r + 1], oxt=self.oxt[r : r + 1])

    def with_hetero(self, keep: Sequence[int]) -> Protein:
        """The protein with those of its hetero atoms (ascending indices), and the connections among what is left."""
        place = {Site(-1, int(k)): Site(-1, n) for n, k in enumerate(keep)}
        left = tuple(
            dataclasses.replace(one, first=place.get(one.first, one.first), second=place.get(one.second, one.second))
            for one in self.connections
            if all(site.residue >= 0 or site in place for site in (one.first, one.second))
        )
        return dataclasses.replace(self, hetero=tuple(self.hetero[k] for k in keep), connections=left)

    def select(self, keep: Sequence[int] | NDArray[np.int64]) -> Protein:
        """The residues ``keep`` (ascending indices); peptide bonds across removed residues are gone."""
        index = np.asarray(keep, dtype=np.int64)
        bonded = np.zeros(len(index), dtype=np.bool_)
        if len(index) > 1:
            bonded[:-1] = self.bonded[index[:-1]] & (index[1:] == index[:-1] + 1)
        return dataclasses.replace(
            self,
            coords=self.coords[:, index],
            mask=self.mask[index],
            sequence="".join(self.sequence[i] for i in index),
            residue_ids=tuple(self.residue_ids[i] for i in index),
            bonded=bonded,
            oxt=self.oxt[:, index],
            oxt_mask=self.oxt_mask[index],
            b_factors=self.b_factors[index],
            occupancies=self.occupancies[index],
            file_order=self.file_order[index],
            connections=_connections_of(self.connections, index),
        )


def _connections_of(connections: Sequence[Connection], index: NDArray[np.int64]) -> tuple[Connection, ...]:
    """Those whose residues are all among ``index``, renumbered."""
    place = {int(i): k for k, i in enumerate(index)} | {-1: -1}
    return tuple(
        dataclasses.replace(
            c,
            first=c.first._replace(residue=place[c.first.residue]),
            second=c.second._replace(residue=place[c.second.residue]),
        )
        for c in connections
        if c.first.residue in place and c.second.residue in place
    )


def peptide_bonds(
    coords: NDArray[np.float32], mask: NDArray[np.bool_], residue_ids: Sequence[ResidueId]
) -> NDArray[np.bool_]:
    """Which residues are bonded to the next: same chain, C and N present and at most ``MAX_PEPTIDE_BOND`` apart, or
    ``MAX_STRETCHED_PEPTIDE`` where the numbers go on without a gap.

    Args:
        coords: (L, 14, 3) Å.
        mask: (L, 14).
        residue_ids: L author identities.

    Returns:
        (L,) bool; the last is always False.
    """
    length = len(residue_ids)
    bonded = np.zeros(length, dtype=np.bool_)
    for i in range(length - 1):
        if residue_ids[i].chain != residue_ids[i + 1].chain or not (mask[i, 2] and mask[i + 1, 0]):
            continue
        consecutive = are_consecutive(residue_ids[i], residue_ids[i + 1])
        limit = MAX_STRETCHED_PEPTIDE if consecutive else MAX_PEPTIDE_BOND
        bonded[i] = np.linalg.norm(coords[i, 2] - coords[i + 1, 0]) <= limit
    return bonded


def are_consecutive(one: ResidueId, two: ResidueId) -> bool:
    """Whether ``two`` follows ``one`` in the chain's numbering without a gap."""
    inserted = one.number == two.number and one.insertion != two.insertion
    return one.chain == two.chain and (two.number == one.number + 1 or inserted)
