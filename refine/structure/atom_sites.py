"""Atoms of a protein by site, address and element, and the room they have for bonds."""

from __future__ import annotations

import dataclasses
import functools

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.constants import ATOM14, ONE_TO_THREE, WATERS
from refine.structure.chemistry import residue_bonds
from refine.structure.link_records import AtomAddress
from refine.structure.protein import Connection, HeteroAtom, Protein, ResidueId, Site

MOST_BONDS = 40
"""Neighbours of an atom, alternate conformations counted, beyond which atoms lie in a heap."""
CROWD = 2.1
"""Å within which they are counted, and hetero groups are bonded to each other."""
_BESIDE = 2.0
"""Å, beyond bonds within a residue or group."""
_ANGLES = 80.0, 155.0
"""Degrees between a bond and those beside it."""

_OPEN_ATOMS = {
    "C": {"SG": 2}, "S": {"OG": 2}, "T": {"OG1": 2}, "Y": {"OH": 2, "CE1": 3, "CE2": 3}, "K": {"NZ": 4},
    "H": {"ND1": 3, "NE2": 3, "CD2": 3}, "D": {"OD1": 2, "OD2": 2, "CG": 3}, "E": {"OE1": 2, "OE2": 2, "CD": 3},
    "N": {"ND2": 2, "OD1": 2, "CG": 3}, "Q": {"NE2": 2, "OE1": 2, "CD": 3}, "R": {"NH1": 2, "NH2": 2, "NE": 3},
    "W": {"NE1": 3, "CD1": 3, "CZ2": 3, "CH2": 3},
}  # fmt: skip
"""Atoms of side chains that hetero groups are bonded to, and how many heavy neighbours they may have."""


class Atoms:
    """Atoms of a protein, hetero atoms last, with what deciding on bonds needs.

    Args:
        protein: R >= 1; replica 0 counts.
        waters: take waters too, which are bonded to nothing but where a file says so.

    Attributes:
        sites, elements: of each atom; positions: (A, 3) Å; index: place of a site in them.
        modifications: as of ``modifications``.
    """

    def __init__(self, protein: Protein, *, waters: bool = False) -> None:
        self.protein = protein
        self.modifications = modifications(protein)
        rows, slots = np.nonzero(protein.mask)
        self.sites = [Site(int(i), int(k)) for i, k in zip(rows, slots, strict=True)]
        self.elements = [ATOM14[protein.sequence[i]][k][0] for i, k in self.sites]
        places = [protein.coords[0][rows, slots]]
        for i in np.flatnonzero(protein.oxt_mask).tolist():
            self.sites.append(Site(i, 14))
            self.elements.append("O")
            places.append(protein.oxt[0, i : i + 1])
        carried = [k for k, atom in enumerate(protein.hetero) if waters or not is_water(atom.residue_name)]
        self.sites += [Site(-1, k) for k in carried]
        self.elements += [protein.hetero[k].element.strip().upper() for k in carried]
        places.append(np.array([protein.hetero[k].position for k in carried], np.float64).reshape(-1, 3))
        self.positions = np.concatenate([np.asarray(p, np.float64) for p in places])
        self.index = {site: a for a, site in enumerate(self.sites)}
        self._conformers: dict[tuple[int, str, str], tuple[NDArray[np.float64], cKDTree]] = {}

    @functools.cached_property
    def _by_address(self) -> dict[AtomAddress, Site]:
        return {self.address(site): site for site in reversed(self.sites)}

    @functools.cached_property
    def _by_number(self) -> dict[AtomAddress, Site]:
        return {dataclasses.replace(one, residue_name=""): site for one, site in self._by_address.items()}

    @functools.cached_property
    def _groups(self) -> dict[tuple[int, str], list[HeteroAtom]]:
        """Heavy atoms of the hetero groups."""
        groups: dict[tuple[int, str], list[HeteroAtom]] = {}
        for atom in self.protein.hetero:
            if not is_hydrogen(atom.element):
                groups.setdefault((atom.order, atom.residue_name), []).append(atom)
        return groups

    @functools.cached_property
    def heaped(self) -> frozenset[int]:
        """Hetero atoms that lie in a heap, by their places: what bonds them cannot be told by distance."""
        own = np.array([a for a, site in enumerate(self.sites) if site.residue < 0], np.int64)
        if len(own) <= MOST_BONDS:
            return frozenset()
        tree = cKDTree(self.positions[own])
        crowd = tree.query_ball_point(self.positions[own], CROWD, return_length=True)
        return frozenset(own[crowd > MOST_BONDS].tolist())

    def name(self, site: Site) -> str:
        if site.residue < 0:
            return self.protein.hetero[site.slot].name
        return "OXT" if site.slot == 14 else ATOM14[self.protein.sequence[site.residue]][site.slot]

    def residue_name(self, site: Site) -> str:
        if site.residue < 0:
            return self.protein.hetero[site.slot].residue_name
        own = self.modifications.get(site.residue)
        return self.protein.hetero[own[0]].residue_name if own else ONE_TO_THREE[self.protein.sequence[site.residue]]

    def address(self, site: Site) -> AtomAddress:
        one = residue_of(self.protein, site)
        return AtomAddress(one.chain, one.number, one.insertion, self.name(site), self.residue_name(site))

    def label(self, site: Site) -> str:
        address = self.address(site)
        return f"{address.chain}:{address.number}{address.insertion} {address.residue_name} {address.name}"

    def site_of(self, address: AtomAddress) -> Site | None:
        """The first atom of that address; of the address without residue name where none has it, as modified residues
        go by another.
        """
        known = self._by_address.get(address)
        return known or self._by_number.get(dataclasses.replace(address, residue_name=""))

    def has_residue(self, address: AtomAddress) -> bool:
        """Whether there is a residue or hetero group, a water too, of the chain and number of ``address``."""
        return ResidueId(address.chain, address.number, address.insertion) in self._residues

    @functools.cached_property
    def _residues(self) -> frozenset[ResidueId]:
        carried = {ResidueId(atom.chain, atom.number, atom.insertion) for atom in self.protein.hetero}
        return frozenset(carried | set(self.protein.residue_ids))

    def element(self, site: Site) -> str:
        return self.elements[self.index[site]]

    def is_metal(self, site: Site) -> bool:
        return bool(gemmi.Element(self.element(site)).is_metal)

    def within_one_group(self, first: Site, second: Site) -> bool:
        """Whether both are atoms of one residue, or of one hetero group."""
        if first.residue != second.residue or first.residue >= 0:
            return first.residue == second.residue
        one, two = (self.protein.hetero[site.slot] for site in (first, second))
        same = residue_of(self.protein, first) == residue_of(self.protein, second)  # a file may give it in two pieces
        return (one.order == two.order or same) and one.residue_name == two.residue_name

    def connection(self, first: Site, second: Site, source: str) -> Connection:
        """A bond between two atoms, in the order of the file's residues, hetero atoms last; elements tell its kind."""
        first, second = sorted((first, second), key=lambda site: (site.residue < 0, site))
        a, b = self.index[first], self.index[second]
        distance = float(np.linalg.norm(self.positions[a] - self.positions[b]))
        if self.is_metal(first) or self.is_metal(second):
            kind = "metal"
        elif first.residue >= 0 and second.residue >= 0 and {self.name(first), self.name(second)} == {"SG"}:
            kind = "disulfide"
        else:
            kind = "covalent"
        return Connection(kind, first, second, distance, source)

    def gap(self, one: Connection) -> float:
        """Å by which a bond is longer than the sum of its covalent radii."""
        return one.distance - sum(gemmi.Element(self.element(site)).covalent_r for site in (one.first, one.second))

    def is_peptide(self, one: Connection) -> bool:
        """Whether it is the peptide from a residue to the next, which ``Protein.bonded`` holds."""
        i, slot = one.first
        return i >= 0 and slot == 2 and one.second == (i + 1, 0) and bool(self.protein.bonded[i])

    def is_free(self, site: Site) -> bool:
        """Whether an atom of a residue has room for a bond to something else."""
        i, slot = site
        protein = self.protein
        if slot == 14:
            return True
        if slot == 0:
            return i == 0 or not bool(protein.bonded[i - 1])
        if slot == 2:
            return not (protein.bonded[i] or protein.oxt_mask[i])
        return self._neighbours(site) < _OPEN_ATOMS.get(protein.sequence[i], {}).get(self.name(site), 0)

    def _neighbours(self, site: Site) -> int:
        bonds = residue_bonds(self.protein.sequence[site.residue])
        others = [b for pair in bonds for a, b in (pair, pair[::-1]) if a == site.slot]
        return int(self.protein.mask[site.residue, others].sum())

    def bends_well(self, one: Connection) -> bool:
        """Whether the angles to the bonds beside it, on both sides, are those of bonds."""
        ends = [self.positions[self.index[site]] for site in (one.first, one.second)]
        for site, here, there in zip((one.first, one.second), ends, ends[::-1], strict=True):
            for beside in self._bonded_beside(site, here):
                u, v = there - here, beside - here
                cosine = u @ v / (np.linalg.norm(u) * np.linalg.norm(v))
                if not _ANGLES[0] <= np.degrees(np.arccos(np.clip(cosine, -1, 1))) <= _ANGLES[1]:
                    return False
        return True

    def _bonded_beside(self, site: Site, here: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions (K, 3) of the heavy atoms of the same residue or group that are bonded to an atom."""
        if site.residue >= 0:
            points = self.protein.coords[0, site.residue, self.protein.mask[site.residue]].astype(np.float64)
        else:
            own = self.protein.hetero[site.slot]
            points, tree = self._conformer(own.order, own.residue_name, own.altloc)
            points = points[tree.query_ball_point(here, _BESIDE)]
        distance = np.linalg.norm(points - here, axis=1)
        return points[(distance > 0.5) & (distance < _BESIDE)]

    def _conformer(self, order: int, residue_name: str, altloc: str) -> tuple[NDArray[np.float64], cKDTree]:
        """Heavy atoms of one conformer of a hetero group, (K, 3) and as a tree: groups may have thousands."""
        key = order, residue_name, altloc
        if key not in self._conformers:
            group = self._groups[order, residue_name]
            points = np.array([h.position for h in group if not altloc or h.altloc in ("", altloc)])
            self._conformers[key] = points, cKDTree(points)
        return self._conformers[key]


def residue_of(protein: Protein, site: Site) -> ResidueId:
    """The author's identity of the residue of an atom."""
    if site.residue >= 0:
        return protein.residue_ids[site.residue]
    atom = protein.hetero[site.slot]
    return ResidueId(atom.chain, atom.number, atom.insertion)


def modifications(protein: Protein) -> dict[int, list[int]]:
    """Heavy hetero atoms that are what a modified residue has beyond its standard one: residue → their indices."""
    places = dict(zip(protein.file_order.tolist(), range(len(protein)), strict=True))
    found: dict[int, list[int]] = {}
    for k, atom in enumerate(protein.hetero):
        i = places.get(atom.order)
        if i is not None and protein.residue_ids[i] == ResidueId(atom.chain, atom.number, atom.insertion):
            if not is_hydrogen(atom.element):
                found.setdefault(i, []).append(k)
    return found


@functools.lru_cache(1024)
def is_hydrogen(element: str) -> bool:
    return element.strip().upper() in ("H", "D", "X", "")


@functools.lru_cache(4096)
def is_water(residue_name: str) -> bool:
    return residue_name.upper() in WATERS
