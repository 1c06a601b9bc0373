"""Which atoms of a structure are bonded although no record says so: by element, distance, angle and free valence.

Covalent radii are gemmi's. A bond that only a distance tells has to be one that chemistry makes: a ligand that lies in
a side chain is not bonded to it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.constants import ATOM14, ONE_TO_THREE, WATERS
from refine.structure.chemistry import residue_bonds
from refine.structure.link_records import AtomAddress
from refine.structure.protein import Connection, HeteroAtom, Protein, ResidueId, Site

DISULFIDE_REACH = 3.0
"""Å between two sulfurs, each the other's nearest, up to which they are bonded: models open disulfides, and unbonded
sulfurs in contact are 3.6 Å apart."""
METAL_SLACK = 0.6
"""Å beyond the sum of the covalent radii up to which a metal is coordinated: Zn–S 2.87, Zn–N 2.53, Ca–O 3.02."""
COVALENT_SLACK = 0.25
"""Å beyond the sum of the covalent radii up to which two atoms are bonded: C–N 1.69, C–O 1.64, S–C 2.03."""
STRETCHED_SLACK = 0.7
"""The same for sugars on Asn, Ser and Thr and for peptides to caps and other residues of the chain: what they are
leaves no doubt, and builders leave them stretched."""
SHORTEST = 1.1
"""Å below which two heavy atoms lie on each other rather than being bonded."""
_ANGLES = 80.0, 155.0
"""Degrees between a bond and those beside it."""
MOST_BONDS = 40
"""Neighbours of an atom, alternate conformations counted, beyond which atoms lie in a heap."""
_CROWD = 2.1
"""Å within which they are counted, and hetero groups are bonded to each other."""
_REACH = 2.6
"""Å, beyond every covalent bond that is looked for."""

_DONORS = frozenset("N O S SE".split())
_CARBONYLS = {"D": ("CG", "OD2"), "N": ("CG", "ND2"), "E": ("CD", "OE2"), "Q": ("CD", "NE2")}
"""Carbon of the side chain that is attacked, and the atom that leaves when it is."""
_SIDE_CHAIN_PAIRS = (("K", "NZ", "DNEQ"), ("C", "SG", "DNEQ"), ("S", "OG", "DE"), ("T", "OG1", "DE"))
"""Isopeptides, thioesters and esters: attacking residue and atom, attacked residues."""
_OPEN_ATOMS = {
    "C": {"SG": 2}, "S": {"OG": 2}, "T": {"OG1": 2}, "Y": {"OH": 2, "CE1": 3, "CE2": 3}, "K": {"NZ": 4},
    "H": {"ND1": 3, "NE2": 3, "CD2": 3}, "D": {"OD1": 2, "OD2": 2, "CG": 3}, "E": {"OE1": 2, "OE2": 2, "CD": 3},
    "N": {"ND2": 2, "OD1": 2, "CG": 3}, "Q": {"NE2": 2, "OE1": 2, "CD": 3}, "R": {"NH1": 2, "NH2": 2, "NE": 3},
    "W": {"NE1": 3, "CD1": 3, "CZ2": 3, "CH2": 3},
}  # fmt: skip
"""Atoms of side chains that hetero groups are bonded to, and how many heavy neighbours they may have."""
_SUGAR_BEARERS = {("N", "ND2"), ("S", "OG"), ("T", "OG1")}


class Atoms:
    """Heavy atoms of a protein, hetero atoms last, with what deciding on bonds needs.

    Attributes:
        sites, elements: of each atom; positions: (A, 3) Å; index: place of a site in them.
        modifications: as of ``modifications``.
    """

    def __init__(self, protein: Protein) -> None:
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
        for k, atom in enumerate(protein.hetero):
            self.sites.append(Site(-1, k))
            self.elements.append(atom.element.strip().upper())
        places.append(np.array([h.position for h in protein.hetero], np.float64).reshape(-1, 3))
        self.positions = np.concatenate([np.asarray(p, np.float64) for p in places])
        self.index = {site: a for a, site in enumerate(self.sites)}

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
        crowd = tree.query_ball_point(self.positions[own], _CROWD, return_length=True)
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
            group = self._groups[own.order, own.residue_name]
            points = np.array([h.position for h in group if not own.altloc or h.altloc in ("", own.altloc)])
        distance = np.linalg.norm(points - here, axis=1)
        return points[(distance > 0.5) & (distance < 2.0)]


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


def is_hydrogen(element: str) -> bool:
    return element.strip().upper() in ("H", "D", "X", "")


def is_water(residue_name: str) -> bool:
    return residue_name.upper() in WATERS


def bonds_by_distance(atoms: Atoms) -> Iterator[Connection]:
    """Every bond that elements and places tell, besides those within residues and groups and the peptides."""
    yield from _disulfides(atoms)
    yield from _metals(atoms)
    yield from _own_modifications(atoms)
    yield from _to_hetero(atoms)
    yield from _between_groups(atoms)
    yield from _between_residues(atoms)


def leaving_atom(protein: Protein, site: Site) -> Site | None:
    """The atom of a carbonyl that is not there because its carbon, ``site``, is bonded to something else; None when
    nothing has left.
    """
    if site.residue < 0 or site.slot == 14:
        return None
    carbon, _ = _CARBONYLS.get(protein.sequence[site.residue], ("", ""))
    names = ATOM14[protein.sequence[site.residue]]
    if names[site.slot] != carbon:
        return None
    tips = [k for k, name in enumerate(names) if name[1:2] == {"CG": "D", "CD": "E"}[carbon]]
    absent = [k for k in tips if not protein.mask[site.residue, k]]
    return Site(site.residue, absent[-1]) if absent else None


def _disulfides(atoms: Atoms) -> Iterator[Connection]:
    """Sulfurs of cysteines within ``DISULFIDE_REACH``, nearest pairs first, each once; those on a metal are taken."""
    slot = ATOM14["C"].index("SG")
    sulfurs = [s for s in atoms.sites if s.residue >= 0 and s.slot == slot and atoms.protein.sequence[s.residue] == "C"]
    metals = [atoms.positions[a] for a, e in enumerate(atoms.elements) if gemmi.Element(e).is_metal]
    if metals:
        on_metal = cKDTree(np.array(metals)).query(atoms.positions[[atoms.index[s] for s in sulfurs]])[0] < 2.9
        sulfurs = [s for s, bound in zip(sulfurs, on_metal, strict=True) if not bound]
    if len(sulfurs) < 2:
        return
    points = atoms.positions[[atoms.index[s] for s in sulfurs]]
    pairs = cKDTree(points).query_pairs(DISULFIDE_REACH, output_type="ndarray")
    order = np.argsort(np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1), kind="stable")
    used: set[int] = set()
    for a, b in pairs[order].tolist():
        if a not in used and b not in used:
            used |= {a, b}
            yield atoms.connection(sulfurs[a], sulfurs[b], "distance")


def _metals(atoms: Atoms) -> Iterator[Connection]:
    """Donor atoms of residues at metals that are carried along."""
    donors = [b for b, s in enumerate(atoms.sites) if s.residue >= 0 and atoms.elements[b] in _DONORS]
    tree = cKDTree(atoms.positions[donors])
    for a, site in enumerate(atoms.sites):
        metal = gemmi.Element(atoms.elements[a])
        if site.residue >= 0 or not metal.is_metal:
            continue
        for b in tree.query_ball_point(atoms.positions[a], metal.covalent_r + 1.3 + METAL_SLACK):
            one = atoms.connection(atoms.sites[donors[b]], site, "distance")
            if one.distance > SHORTEST and atoms.gap(one) <= METAL_SLACK:
                yield one


def _own_modifications(atoms: Atoms) -> Iterator[Connection]:
    """Bonds of residues to their own atoms beyond the standard residue."""
    for i, own in atoms.modifications.items():
        for k in own:
            for slot in np.flatnonzero(atoms.protein.mask[i]).tolist():
                one = atoms.connection(Site(i, slot), Site(-1, k), "distance")
                if one.distance > SHORTEST and atoms.gap(one) <= COVALENT_SLACK:
                    yield one


def _to_hetero(atoms: Atoms) -> Iterator[Connection]:
    """Covalent bonds of residues to hetero groups that are no metals or waters, the best first, each atom once."""
    groups = _bindable(atoms)
    if not groups:
        return
    tree = cKDTree(atoms.positions[groups])
    own = {k for indices in atoms.modifications.values() for k in indices}
    candidates = []
    for b, site in enumerate(atoms.sites):
        if site.residue < 0:
            continue
        near = tree.query_ball_point(atoms.positions[b], _REACH)
        if not near or not atoms.is_free(site):
            continue
        for g in near:
            other = atoms.sites[groups[g]]
            one = atoms.connection(site, other, "distance")
            if other.slot not in own and _is_bond(atoms, one):
                candidates.append((atoms.gap(one), one))
    yield from _each_once(candidates)


def _between_groups(atoms: Atoms) -> Iterator[Connection]:
    """Covalent bonds between hetero groups: sugars in a row, what is bonded to them, residues that are not refined."""
    groups = _bindable(atoms)
    if len(groups) < 2:
        return
    pairs = cKDTree(atoms.positions[groups]).query_pairs(_CROWD, output_type="ndarray")
    candidates = []
    hetero = atoms.protein.hetero
    for a, b in np.sort(pairs, axis=1).tolist():
        first, second = atoms.sites[groups[a]], atoms.sites[groups[b]]
        if atoms.within_one_group(first, second):
            continue
        one, two = hetero[first.slot], hetero[second.slot]
        apart = one.altloc and two.altloc and one.altloc != two.altloc
        if not apart and {one.name, two.name} != {"O3'", "P"}:  # that is how nucleotides hang together anyway
            bond = atoms.connection(first, second, "distance")
            if _is_bond(atoms, bond):
                candidates.append((atoms.gap(bond), bond))
    yield from _each_once(candidates)


def _bindable(atoms: Atoms) -> list[int]:
    """Hetero atoms that may have covalent bonds to other groups."""
    hetero = atoms.protein.hetero
    return [
        a
        for a, site in enumerate(atoms.sites)
        if site.residue < 0
        and not is_hydrogen(atoms.elements[a])
        and not gemmi.Element(atoms.elements[a]).is_metal
        and not is_water(hetero[site.slot].residue_name)
        and a not in atoms.heaped
    ]


def _is_bond(atoms: Atoms, one: Connection) -> bool:
    symbols = sorted(atoms.element(site) for site in (one.first, one.second))
    if symbols in (["O", "O"], ["N", "O"], ["N", "N"]) or one.distance <= SHORTEST:
        return False
    if _is_likely(atoms, one):
        return atoms.gap(one) <= STRETCHED_SLACK
    return atoms.gap(one) <= COVALENT_SLACK and atoms.bends_well(one)


def _is_likely(atoms: Atoms, one: Connection) -> bool:
    """Whether it is the peptide to a cap or to a residue that is not refined, or a sugar where sugars are."""
    site, other = one.first, atoms.protein.hetero[one.second.slot]
    if site.residue < 0:
        return False
    if site.slot in (0, 2):
        return other.name == "CN"[site.slot // 2]
    info = gemmi.find_tabulated_residue(other.residue_name)
    sugar = info is not None and info.kind in (gemmi.ResidueKind.PYR, gemmi.ResidueKind.KET)
    return sugar and other.name == "C1" and (atoms.protein.sequence[site.residue], atoms.name(site)) in _SUGAR_BEARERS


def _each_once(candidates: list[tuple[float, Connection]]) -> Iterator[Connection]:
    """The candidates, best first, each atom of them once."""
    used: set[Site] = set()
    for _, one in sorted(candidates, key=lambda entry: (entry[0], entry[1].first, entry[1].second)):
        if one.first not in used and one.second not in used:
            used |= {one.first, one.second}
            yield one


def _between_residues(atoms: Atoms) -> Iterator[Connection]:
    """Cycles (C of a chain's end to N of its beginning) and bonds between side chains, where what would have left is
    not there.
    """
    protein = atoms.protein
    last = {identity.chain: i for i, identity in enumerate(protein.residue_ids)}
    first = {identity.chain: i for i, identity in reversed(list(enumerate(protein.residue_ids)))}
    for chain in protein.chains:
        ends = [(Site(last[chain], 2), Site(last[chain], 14))]
        yield from _bonded_pairs(atoms, [Site(first[chain], 0)], ends, STRETCHED_SLACK)
    ends = [(Site(i, 2), Site(i, 14)) for i in np.flatnonzero(~protein.bonded).tolist()]
    begins = [Site(0, 0)] + [Site(i + 1, 0) for i in np.flatnonzero(~protein.bonded[:-1]).tolist()]
    carbonyls: list[tuple[str, Site, Site]] = []
    for i, letter in enumerate(protein.sequence):
        if letter in _CARBONYLS:
            carbon, leaving = (Site(i, ATOM14[letter].index(name)) for name in _CARBONYLS[letter])
            carbonyls.append((letter, carbon, leaving))
    yield from _bonded_pairs(atoms, begins, [(carbon, leaving) for _, carbon, leaving in carbonyls])
    for letter, name, attacked in _SIDE_CHAIN_PAIRS:
        attacking = [Site(i, ATOM14[aa].index(name)) for i, aa in enumerate(protein.sequence) if aa == letter]
        goals = [(carbon, leaving) for aa, carbon, leaving in carbonyls if aa in attacked]
        yield from _bonded_pairs(atoms, attacking, goals + ends)


def _bonded_pairs(
    atoms: Atoms, attacking: Sequence[Site], attacked: Sequence[tuple[Site, Site]], slack: float = COVALENT_SLACK
) -> Iterator[Connection]:
    """Bonds of ``attacking`` atoms to ``attacked`` ones, each given with the atom whose absence tells that it left."""
    first = [site for site in attacking if site in atoms.index]
    second = [site for site, leaving in attacked if site in atoms.index and leaving not in atoms.index]
    if not first or not second:
        return
    tree = cKDTree(atoms.positions[[atoms.index[site] for site in first]])
    near = tree.query_ball_point(atoms.positions[[atoms.index[site] for site in second]], _REACH)
    for goal, places in zip(second, near, strict=True):
        for a in sorted(places):
            one = atoms.connection(first[a], goal, "distance")
            bonded = SHORTEST < one.distance and atoms.gap(one) <= slack
            if bonded and not atoms.within_one_group(first[a], goal) and not atoms.is_peptide(one):
                yield one
