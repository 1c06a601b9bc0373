"""What is bonded in a structure besides its residues and the peptides along its chains: one table, made on reading.

Disulfides, metal coordination, links of residues to hetero groups (glycans, caps, cofactors, D- and other residues
inside a chain), cycles, and bonds between side chains (isopeptides, thioesters, esters). What the file states (LINK,
SSBOND, CONECT, _struct_conn) comes first; the rest is told by elements and distances, with gemmi's covalent radii.

A residue that is bonded to something refinement does not move is held where it is: see ``held_residues``.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.constants import ATOM14, ONE_TO_THREE
from refine.structure.link_records import AtomAddress, StatedLink
from refine.structure.notes import Note
from refine.structure.protein import Connection, Protein, ResidueId, Site

DISULFIDE_REACH = 3.0
"""Å between two sulfurs, each the other's nearest, up to which they are bonded: models open disulfides, and unbonded
sulfurs in contact are 3.6 Å apart."""
METAL_SLACK = 0.6
"""Å beyond the sum of the covalent radii up to which a metal is coordinated: Zn–S 2.87, Zn–N 2.53, Ca–O 3.02."""
COVALENT_SLACK = 0.25
"""Å beyond the sum of the covalent radii up to which two atoms are bonded: C–N 1.69, C–O 1.64, S–C 2.03."""
STATED_SLACK = 1.2
"""The same for bonds that the file states: beyond it the atoms have come apart, or the record means a symmetry mate."""
MOST_BONDS = 40
"""Connections of an atom, alternate conformations counted, beyond which atoms lie in a heap."""
SHORTEST = 1.1
"""Å below which two heavy atoms lie on each other rather than being bonded."""

_DONORS = frozenset("N O S SE".split())
_WATERS = frozenset("HOH WAT DOD H2O SOL TIP TIP3 TP3 TIP4 TIP5 SPC SPCE OH2".split())
_SIDE_CHAIN_PAIRS = (
    ({"K": "NZ"}, {"D": ("CG", "OD2"), "N": ("CG", "ND2"), "E": ("CD", "OE2"), "Q": ("CD", "NE2")}),
    ({"C": "SG"}, {"N": ("CG", "ND2"), "Q": ("CD", "NE2"), "E": ("CD", "OE2")}),
    ({"S": "OG", "T": "OG1"}, {"D": ("CG", "OD2"), "E": ("CD", "OE2")}),
)
"""Isopeptides, thioesters and esters: attacking atom, attacked atom, and the atom that leaves when they bond."""


def connections(protein: Protein, stated: Sequence[StatedLink] = ()) -> tuple[tuple[Connection, ...], list[Note]]:
    """The table of ``protein``, in the order of its first atoms, and notes on what the file states and does not hold.

    Args:
        protein: R = 1, as read or repaired; peptides along the chains are its ``bonded``.
        stated: links of its file.
    """
    atoms = _Atoms(protein)
    table: dict[tuple[Site, Site], Connection] = {}
    notes: list[Note] = []
    for link in stated:
        first, second = atoms.site_of(link.first), atoms.site_of(link.second)
        if first is None or second is None or atoms.within_one_group(first, second):
            continue
        one = atoms.connection(first, second, link.record)
        if atoms.gap(one) > STATED_SLACK:
            text = f"{link.record} bonds it to {_name(link.second)}, {one.distance:.1f} Å away: not taken for a bond"
            notes.append(Note("link", text, link.first.chain, f"{link.first.number}{link.first.insertion}"))
        elif not atoms.is_peptide(one):
            table.setdefault((one.first, one.second), one)
    for one in (*_disulfides(atoms), *_metals(atoms), *_to_hetero(atoms), *_between_residues(atoms)):
        table.setdefault((one.first, one.second), one)
    return tuple(sorted(_without_heaps(table.values(), notes), key=lambda one: (one.first, one.second))), notes


def _without_heaps(found: Collection[Connection], notes: list[Note]) -> list[Connection]:
    """Those whose atoms have no more than ``MOST_BONDS``: what has more lies in a heap of atoms. Adds to ``notes``."""
    counts = Counter(site for one in found for site in (one.first, one.second))
    kept = [one for one in found if max(counts[one.first], counts[one.second]) <= MOST_BONDS]
    if len(kept) < len(found):
        lost = len(found) - len(kept)
        notes.append(Note("link", f"{lost} bonds are not taken for such: their atoms have more than {MOST_BONDS} each"))
    return kept


def held_residues(protein: Protein) -> NDArray[np.bool_]:
    """(L,) residues that are bonded to what refinement carries along unmoved, or that close a cycle or bridge between
    side chains: moving them would take their bonds apart. Disulfides are not among them, they move together.
    """
    held = np.zeros(len(protein), np.bool_)
    for one in protein.connections:
        if one.kind != "disulfide":
            held[[site.residue for site in (one.first, one.second) if site.residue >= 0]] = True
    return held


def linked_groups(protein: Protein) -> NDArray[np.int64]:
    """(K, 2) residue and hetero atom, for every atom of the hetero groups that a residue is bonded to."""
    groups: dict[ResidueId, list[int]] = {}
    for k, atom in enumerate(protein.hetero):
        groups.setdefault(ResidueId(atom.chain, atom.number, atom.insertion), []).append(k)
    linked = {
        (one.first.residue, residue_of(protein, one.second))
        for one in protein.connections
        if one.second.residue < 0 <= one.first.residue
    }
    pairs = {(residue, k) for residue, group in linked for k in groups[group]}
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def disulfide_pairs(protein: Protein) -> tuple[tuple[int, int], ...]:
    """Residue pairs of the table's disulfides, ascending."""
    both = [(c.first.residue, c.second.residue) for c in protein.connections if c.kind == "disulfide"]
    return tuple(sorted((min(pair), max(pair)) for pair in both if min(pair) >= 0))


def position_of(protein: Protein, site: Site) -> NDArray[np.float64]:
    """(3,) Å of an atom in replica 0."""
    if site.residue < 0:
        return np.array(protein.hetero[site.slot].position, np.float64)
    own = protein.oxt[0, site.residue] if site.slot == 14 else protein.coords[0, site.residue, site.slot]
    return own.astype(np.float64)


def residue_of(protein: Protein, site: Site) -> ResidueId:
    """The author's identity of the residue of an atom."""
    if site.residue >= 0:
        return protein.residue_ids[site.residue]
    atom = protein.hetero[site.slot]
    return ResidueId(atom.chain, atom.number, atom.insertion)


def described(protein: Protein) -> list[dict[str, Any]]:
    """The table as plain values for run.json: kind, both atoms as ``A:12 CYS SG``, distance in Å, who says so."""
    atoms = _Atoms(protein)
    return [
        {
            "kind": one.kind,
            "first": atoms.label(one.first),
            "second": atoms.label(one.second),
            "distance": round(one.distance, 2),
            "source": one.source,
        }
        for one in protein.connections
    ]


class _Atoms:
    """Heavy atoms of a protein, hetero atoms last, with what deciding on bonds needs.

    Attributes:
        sites, elements: of each atom; positions: (A, 3) Å.
    """

    def __init__(self, protein: Protein) -> None:
        self.protein = protein
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
        """The first atom of each address, and of each address without residue name; made for files that state links."""
        found: dict[AtomAddress, Site] = {}
        for site in self.sites:
            address = self.address(site)
            found.setdefault(address, site)
            found.setdefault(dataclasses.replace(address, residue_name=""), site)
        return found

    def name(self, site: Site) -> str:
        if site.residue < 0:
            return self.protein.hetero[site.slot].name
        return "OXT" if site.slot == 14 else ATOM14[self.protein.sequence[site.residue]][site.slot]

    def address(self, site: Site) -> AtomAddress:
        if site.residue < 0:
            atom = self.protein.hetero[site.slot]
            return AtomAddress(atom.chain, atom.number, atom.insertion, atom.name, atom.residue_name)
        identity = self.protein.residue_ids[site.residue]
        three = ONE_TO_THREE[self.protein.sequence[site.residue]]
        return AtomAddress(identity.chain, identity.number, identity.insertion, self.name(site), three)

    def label(self, site: Site) -> str:
        address = self.address(site)
        return f"{address.chain}:{address.number}{address.insertion} {address.residue_name} {address.name}"

    def site_of(self, address: AtomAddress) -> Site | None:
        """The first atom of that address; of the address without residue name where none has it, as modified residues
        go by another.
        """
        known = self._by_address.get(address)
        return known or self._by_address.get(dataclasses.replace(address, residue_name=""))

    def element(self, site: Site) -> str:
        return self.elements[self.index[site]]

    def within_one_group(self, first: Site, second: Site) -> bool:
        """Whether both are atoms of one residue, or both hetero atoms: nothing moves these against each other."""
        return first.residue == second.residue

    def connection(self, first: Site, second: Site, source: str) -> Connection:
        """A bond between two atoms, in the order of the file's residues, hetero atoms last; elements tell its kind."""
        first, second = sorted((first, second), key=lambda site: (site.residue < 0, site))
        a, b = self.index[first], self.index[second]
        distance = float(np.linalg.norm(self.positions[a] - self.positions[b]))
        symbols = {self.elements[a], self.elements[b]}
        if any(gemmi.Element(symbol).is_metal for symbol in symbols):
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


def _name(address: AtomAddress) -> str:
    return f"{address.chain}:{address.number}{address.insertion} {address.name}"


def _disulfides(atoms: _Atoms) -> Iterator[Connection]:
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


def _metals(atoms: _Atoms) -> Iterator[Connection]:
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


def _to_hetero(atoms: _Atoms) -> Iterator[Connection]:
    """Covalent bonds of residues to hetero atoms that are no metals, waters or hydrogens."""
    protein = atoms.protein
    groups = [
        (a, site)
        for a, site in enumerate(atoms.sites)
        if site.residue < 0
        and not gemmi.Element(atoms.elements[a]).is_metal
        and atoms.elements[a] not in ("H", "D", "X")
        and protein.hetero[site.slot].residue_name.upper() not in _WATERS
    ]
    if not groups:
        return
    tree = cKDTree(atoms.positions[[a for a, _ in groups]])
    for b, other in enumerate(atoms.sites):
        if other.residue < 0:
            continue
        for g in tree.query_ball_point(atoms.positions[b], 2.4):
            one = atoms.connection(other, groups[g][1], "distance")
            if one.distance > SHORTEST and atoms.gap(one) <= COVALENT_SLACK:
                yield one


def _between_residues(atoms: _Atoms) -> Iterator[Connection]:
    """Cycles (C of a chain's end to N of its beginning) and bonds between side chains, where what would have left is
    not there.
    """
    protein = atoms.protein
    last = {identity.chain: i for i, identity in enumerate(protein.residue_ids)}
    first = {identity.chain: i for i, identity in reversed(list(enumerate(protein.residue_ids)))}
    for chain in protein.chains:
        yield from _bonded_pairs(atoms, [Site(first[chain], 0)], [(Site(last[chain], 2), Site(last[chain], 14))])
    ends = [(Site(i, 2), Site(i, 14)) for i in np.flatnonzero(~protein.bonded).tolist()]
    for attack, goals in _SIDE_CHAIN_PAIRS:
        attacking = [Site(i, ATOM14[aa].index(attack[aa])) for i, aa in enumerate(protein.sequence) if aa in attack]
        attacked = [
            (Site(i, ATOM14[aa].index(goals[aa][0])), Site(i, ATOM14[aa].index(goals[aa][1])))
            for i, aa in enumerate(protein.sequence)
            if aa in goals
        ]
        yield from _bonded_pairs(atoms, attacking, attacked + (ends if "K" in attack else []))


def _bonded_pairs(
    atoms: _Atoms, attacking: Sequence[Site], attacked: Sequence[tuple[Site, Site]]
) -> Iterator[Connection]:
    """Bonds of ``attacking`` atoms to ``attacked`` ones, each given with the atom whose absence tells that it left."""
    first = [site for site in attacking if site in atoms.index]
    second = [site for site, leaving in attacked if site in atoms.index and leaving not in atoms.index]
    if not first or not second:
        return
    tree = cKDTree(atoms.positions[[atoms.index[site] for site in first]])
    near = tree.query_ball_point(atoms.positions[[atoms.index[site] for site in second]], 2.4)
    for goal, places in zip(second, near, strict=True):
        for a in sorted(places):
            one = atoms.connection(first[a], goal, "distance")
            bonded = SHORTEST < one.distance and atoms.gap(one) <= COVALENT_SLACK
            if bonded and not atoms.within_one_group(first[a], goal) and not atoms.is_peptide(one):
                yield one
