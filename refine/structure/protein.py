"""The one representation of a protein that every stage reads and returns."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from refine.constants import ATOM14, MAX_PEPTIDE_BOND, MAX_STRETCHED_PEPTIDE
from refine.structure.riding_groups import LONGEST_BOND, RidingGroup, phosphate_files, riding_groups


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


class Rider(NamedTuple):
    """A hetero atom that a modified residue has beyond its standard one and that moves with it.

    Attributes:
        hetero: its index; residue: whose it is.
        frame: slots of the three atoms that carry it.
        name: in the force field.
        parent: what it is bonded to.
        group: that it belongs to.
    """

    hetero: int
    residue: int
    frame: tuple[int, ...]
    name: str
    parent: Site
    group: RidingGroup

    def has_neighbours(self, there: NDArray[np.bool_], bonded: NDArray[np.bool_]) -> bool:
        """Whether its residue has the neighbours, out of those that are ``there`` (L,), without which the force field
        does not know it; ``bonded`` as of ``Protein``.
        """
        after = there[self.residue + 1] if bonded[self.residue] else self.group.ends_chain
        return bool(there[self.residue - 1] and there[self.residue] and after)


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
        hetero: atoms carried along unmoved, but for ``riders``, which are where replica 0 has them.
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

    @functools.cached_property
    def riders(self) -> tuple[Rider, ...]:
        """Atoms of modified residues that move with these, see ``find_riders``."""
        return find_riders(self, phosphates=bool(phosphate_files()))

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
        new_mask, hetero = self.mask if mask is None else mask, self._carried(coords)
        if oxt is not None:
            oxt = np.asarray(oxt, np.float32)
            return dataclasses.replace(self, coords=coords, mask=new_mask, oxt=oxt, hetero=hetero)
        same = coords.shape == self.coords.shape and np.array_equal(coords, self.coords)
        if same:
            return dataclasses.replace(self, mask=new_mask)
        empty = np.zeros((coords.shape[0], len(self), 3), np.float32)
        return dataclasses.replace(
            self, coords=coords, mask=new_mask, oxt=empty, oxt_mask=np.zeros(len(self), np.bool_), hetero=hetero
        )

    def _carried(self, coords: NDArray[np.float32]) -> tuple[HeteroAtom, ...]:
        """The hetero atoms with ``riders`` where the first of other coordinates (R', L, 14, 3) has them."""
        if not self.riders:
            return self.hetero
        hetero = list(self.hetero)
        for rider in self.riders:
            k, carriers = rider.hetero, list(rider.frame)
            old, new = (x[0, rider.residue, carriers].astype(np.float64) for x in (self.coords, coords))
            if not np.array_equal(old, new):
                local = _axes(old) @ (np.array(hetero[k].position) - old[0])
                place = new[0] + local @ _axes(new)
                hetero[k] = dataclasses.replace(hetero[k], position=tuple(place.tolist()))
        return tuple(hetero)

    def with_riders(self, places: NDArray[np.floating]) -> Protein:
        """The same protein with its ``riders`` at ``places`` (n, 3) Å."""
        if not self.riders:
            return self
        hetero = list(self.hetero)
        for rider, place in zip(self.riders, np.asarray(places, np.float64).tolist(), strict=True):
            hetero[rider.hetero] = dataclasses.replace(hetero[rider.hetero], position=tuple(place))
        return dataclasses.replace(self, hetero=tuple(hetero))

    def rider_places(self) -> NDArray[np.float64]:
        """(n, 3) Å of the ``riders``."""
        return np.array([self.hetero[rider.hetero].position for rider in self.riders], np.float64).reshape(-1, 3)

    def replica(self, r: int) -> Protein:
        """Replica ``r`` alone (R = 1)."""
        coords = self.coords[r : r + 1]
        return dataclasses.replace(self, coords=coords, oxt=self.oxt[r : r + 1], hetero=self._carried(coords))

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


def find_riders(protein: Protein, *, phosphates: bool) -> tuple[Rider, ...]:
    """Atoms of modified residues that the force field knows, where these have no other bonds, and not at the beginning
    of a chain (phosphates: nor at its end): it knows none there.
    """
    groups = riding_groups(phosphates=phosphates)
    bonds = Counter(site for one in protein.connections for site in (one.first, one.second))
    own_bonds = Counter(one.first.residue for one in protein.connections)
    found: list[Rider] = []
    for one in protein.connections:
        (i, slot), first = one.first, one.second
        if i < 1 or first.residue >= 0 or own_bonds[i] > 1 or not protein.bonded[i - 1]:
            continue
        names = ATOM14[protein.sequence[i]]
        group = groups.get((protein.sequence[i], names[slot] if slot < len(names) else ""))
        if group is None or not (group.ends_chain or protein.bonded[i]):
            continue
        frame = tuple(names.index(name) for name in group.carriers)
        atoms = _group_atoms(protein, i, first, group)
        free = bonds[first] == 1 and not any(bonds[first._replace(slot=k)] for k in atoms[1:])
        if atoms and free and protein.mask[i, list(frame)].all():
            found += [
                Rider(k, i, frame, name, first if n else one.first, group)
                for n, (k, name) in enumerate(zip(atoms, group.names, strict=True))
            ]
    return tuple(found)


def _group_atoms(protein: Protein, i: int, first: Site, group: RidingGroup) -> list[int]:
    """Hetero atoms of residue ``i``, the ``first`` of them first, if they are those of the group, else none."""
    hetero, order = protein.hetero, int(protein.file_order[i])
    root = hetero[first.slot]
    most = range(max(first.slot - len(group.names), 0), min(first.slot + len(group.names) + 1, len(hetero)))
    others = [k for k in most if hetero[k].order == order and k != first.slot]  # atoms of a residue are together
    named = not group.residue_names or root.residue_name in group.residue_names
    elements = [hetero[k].element for k in (first.slot, *others)]
    near = all(math.dist(hetero[k].position, root.position) < LONGEST_BOND for k in others)
    return [first.slot, *others] if root.order == order and named and elements == list(group.elements) and near else []


def _axes(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) orthonormal axes of three points (3, 3), in rows."""
    first = points[1] - points[0]
    first = first / np.linalg.norm(first)
    third = np.cross(first, points[2] - points[0])
    third = third / np.linalg.norm(third)
    return np.stack((first, np.cross(third, first), third))


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
