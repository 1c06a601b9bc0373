"""Atom records gathered into residues: numbering oddities, alternate conformations, and what is protein at all."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping

import gemmi
import numpy as np
from scipy.spatial import cKDTree

from refine.constants import ATOM14, MAX_PEPTIDE_BOND, WATERS
from refine.structure.atom_record import NO_PLACE, AtomRecord
from refine.structure.bonded_atoms import COVALENT_SLACK, METAL_SLACK
from refine.structure.modified_residues import is_d_amino_acid, is_hydrogen, is_modified, parent
from refine.structure.notes import Note
from refine.structure.riding_groups import LONGEST_BOND

_Places = dict[tuple[str, str], tuple[float, float, float]]
"""Name and altloc of the atoms of a residue → where they are."""
MAX_RESIDUE_ATOMS = 5000
"""Most atoms of a residue; the largest ligands have some hundred."""
_SAME_PLACE = 0.01
"""Å up to which an atom that is given twice is the same."""
SIDE_CHAIN_BEADS = ("SC", "SCM", "CEN")
"""Names under which coarse models give the centre of a side chain as one atom."""
_BOND_REACH = 3.5
"""Å, farther than the atoms of any bond, those to metals with them."""
_BEAD_REACH = 8.0
"""Å from CA within which the centre of a side chain lies; that of arginine reaches 5."""
_SEPARATE = 1.0
"""Å: a second N (or lone CA) of the same number farther than this from the first begins another residue."""


@dataclasses.dataclass
class ResidueRecord:
    """Atoms of one residue in file order. ``letter`` is the standard amino acid it is refined as, ``""`` for everything
    carried along; ``reason`` says why an amino acid is.
    """

    atoms: list[AtomRecord]
    order: int
    letter: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        return self.atoms[0].residue_name

    @property
    def chain(self) -> str:
        return self.atoms[0].chain

    @property
    def label(self) -> str:
        return self.atoms[0].residue_label

    @property
    def identity(self) -> tuple[str, int, str, str]:
        first = self.atoms[0]
        return first.chain, first.number, first.insertion, first.residue_name

    @property
    def bead(self) -> AtomRecord | None:
        """The centre of the side chain, where that is given in place of its atoms."""
        beads = [a for a in self.atoms if a.name.upper() in SIDE_CHAIN_BEADS]
        if not beads:
            return None
        ca = self.find("CA")
        heavy = {a.name for a in self.atoms if not is_hydrogen(a.name, a.element)}
        if not self.letter or len(beads) != 1 or ca is None or heavy & (set(ATOM14[self.letter][5:])):
            return None
        return beads[0] if math.dist(beads[0].position, ca.position) <= _BEAD_REACH else None

    def is_of_carboxyl(self, atom: AtomRecord, name: str) -> bool:
        """Whether an oxygen under another name, such as O1, is the O or OXT (``name``) that this stands for: the O1 of
        a formyl group, beside the residue's O, and the O2 of a sulfate are none.
        """
        carbon = self.find("C")
        if is_modified(self.name) and self.find(name):
            return False
        return carbon is None or math.dist(atom.position, carbon.position) < LONGEST_BOND

    def find(self, name: str) -> AtomRecord | None:
        return next((a for a in self.atoms if a.name == name), None)


def gather(records: list[AtomRecord]) -> tuple[list[ResidueRecord], list[Note]]:
    """Residues in file order, each marked as protein (``letter``) or not, alternate conformations of protein residues
    resolved.
    """
    residues = _split(records)
    residues, notes = _merge_scattered(residues)
    for residue in residues:
        residue.letter = _letter(residue)
    _release_free_amino_acids(residues)
    picked, bound = Counter[str](), _bound_conformers(residues)
    for residue in residues:
        if residue.letter:
            names = {atom.residue_name for atom in residue.atoms}
            notes += _pick_conformer(residue, picked, bound.get(id(residue), frozenset()))
            others = " and ".join(sorted(names - {residue.name}))
            if others:
                text = f"the file has {others} in its place, too, of lower occupancy: left out"
                notes.append(Note("microheterogeneity", text, residue.chain, residue.label))
    if picked:
        many = ", ".join(f"chain {chain or '(blank)'}: {n}" for chain, n in picked.items())
        notes.append(
            Note(
                "altloc",
                f"alternate conformations resolved to the one of best occupancy in {picked.total()} residues ({many})",
            )
        )
    notes += _name_waters(residues)
    repeated = [r for r, n in Counter(r.identity[:3] for r in residues if r.letter).items() if n > 1]
    if repeated:
        chain, number, insertion = repeated[0]
        notes.append(
            Note(
                "numbering",
                f"{len(repeated)} residue numbers occur more than once in their chain; they stay as they are",
                chain,
                f"{number}{insertion}",
            )
        )
    for rank, residue in enumerate(residues):
        residue.order = rank
    return residues, notes


def _name_waters(residues: list[ResidueRecord]) -> list[Note]:
    """Give waters the name of waters, where a program has another for them (Desmond: T3P, which is a nucleotide to the
    PDB). Changes their atoms.
    """
    renamed = Counter[str]()
    for residue in residues:
        if not residue.letter and residue.name not in WATERS and 3 <= len(residue.atoms) <= 6:
            elements = Counter(a.element for a in residue.atoms if a.element not in ("X", ""))  # those have no mass
            if elements in ({"O": 1, "H": 2}, {"O": 1, "D": 2}):
                renamed[residue.name] += 1
                for atom in residue.atoms:
                    atom.residue_name = "HOH"
    return [
        Note("water", f"{count} residues {name or '(no name)'} are waters by their atoms: they are called HOH")
        for name, count in renamed.items()
    ]


def _split(records: list[AtomRecord]) -> list[ResidueRecord]:
    residues: list[ResidueRecord] = []
    key: tuple[object, ...] = ()
    named: dict[str, AtomRecord] = {}  # first atom of each name in the last residue: one look for each atom of the file
    for atom in records:
        this = (atom.chain, atom.number, atom.insertion, atom.segment)
        if this != key or _begins_another(residues[-1], named, atom):
            residues.append(ResidueRecord([], len(residues)))
            key, named = this, {}
        residues[-1].atoms.append(atom)
        named.setdefault(atom.name, atom)
    return residues


def _begins_another(residue: ResidueRecord, named: Mapping[str, AtomRecord], atom: AtomRecord) -> bool:
    """Whether ``atom`` opens a new residue although chain and number did not change; ``named`` has the first atom of
    each name in ``residue``.
    """
    if atom.residue_name != residue.name:
        return not (atom.altloc and residue.atoms[-1].altloc)
    twin = named.get(atom.name)
    if twin is None or atom.altloc or twin.altloc:
        return False
    lone = atom.name == "CA" and len(named) == 1
    if atom.name != "N" and not lone:
        return False
    return "CA" in named and math.dist(twin.position, atom.position) > _SEPARATE


def _merge_scattered(residues: list[ResidueRecord]) -> tuple[list[ResidueRecord], list[Note]]:
    """Amino acids whose atoms stand in several places of the file (hydrogens or OXT at its end) become whole again;
    a second residue of the same name and number, with its atoms elsewhere, stays a second one.
    """
    seen: dict[tuple[str, int, str, str], tuple[ResidueRecord, _Places]] = {}
    kept: list[ResidueRecord] = []
    merged = 0
    for residue in residues:
        if not parent(residue.name):
            kept.append(residue)
            continue
        own = {(a.name, a.altloc): a.position for a in residue.atoms}
        first, places = seen.setdefault(residue.identity, (residue, own))
        if first is residue:
            kept.append(residue)
        elif all(math.dist(places[key], place) < _SAME_PLACE for key, place in own.items() if key in places):
            first.atoms.extend(residue.atoms)
            merged += not own.keys() <= places.keys()
            places |= own
        else:
            kept.append(residue)
    notes = (
        [Note("order", f"atoms of {merged} residues stood in several places of the file and were put together")]
        if merged
        else []
    )
    return kept, notes


def _letter(residue: ResidueRecord) -> str:
    letters = [parent(name) for name in dict.fromkeys(a.residue_name for a in residue.atoms)]
    letter = next((one for one in letters if one), None)
    if letter is None:
        return ""
    names = {a.name for a in residue.atoms}
    others = {n for n in names if not is_hydrogen(n, "")} - {"N", "CA", "C", "O"}
    whole = {"N", "CA", "C"} <= names or len(names & {"N", "CA", "C", "O", "CB"}) >= 3
    alone = "CA" in names and not (residue.atoms[0].is_hetatm and others - {"CB"})
    return letter if whole or alone else ""


def _release_free_amino_acids(residues: list[ResidueRecord]) -> None:
    """HETATM amino acids count as protein only where bonded to a neighbour in the chain: a free glutamate is a
    ligand.
    """
    if not any(r.letter and not r.atoms[0].is_hetatm for r in residues):
        return
    linked = np.zeros(len(residues), dtype=np.bool_)
    for i in range(len(residues) - 1):
        if (
            residues[i].letter
            and residues[i + 1].letter
            and residues[i].chain == residues[i + 1].chain
            and _linked(residues[i], residues[i + 1])
        ):
            linked[i] = linked[i + 1] = True
    for residue, bound in zip(residues, linked, strict=True):
        if residue.atoms[0].is_hetatm and not bound:
            residue.letter = ""


def _linked(first: ResidueRecord, second: ResidueRecord) -> bool:
    c, n = first.find("C"), second.find("N")
    if c and n:
        return math.dist(c.position, n.position) <= MAX_PEPTIDE_BOND
    a, b = first.find("CA"), second.find("CA")
    return bool(a and b) and math.dist(a.position, b.position) <= 4.5  # type: ignore[union-attr]


def _bound_conformers(residues: list[ResidueRecord]) -> dict[int, frozenset[str]]:
    """By id of the residue, the altlocs of amino acids in which an atom is as near to one of a hetero group as bonded
    atoms are, in the same conformation or in all.
    """
    several = [r for r in residues if r.letter and len({atom.altloc for atom in r.atoms} - {""}) > 1]
    others = [a for r in residues if not r.letter and r.name not in WATERS for a in r.atoms if _is_placed(a)]
    if not several or not others:
        return {}
    tree = cKDTree([atom.position for atom in others])
    bound: dict[int, frozenset[str]] = {}
    for residue in several:
        labelled = [atom for atom in residue.atoms if atom.altloc and _is_placed(atom)]
        if not labelled:
            continue
        near = tree.query_ball_point([atom.position for atom in labelled], _BOND_REACH)
        found = {
            atom.altloc
            for atom, indices in zip(labelled, near, strict=True)
            if any(others[k].altloc in ("", atom.altloc) and _as_near_as_bonded(atom, others[k]) for k in indices)
        }
        if found:
            bound[id(residue)] = frozenset(found)
    return bound


def _is_placed(atom: AtomRecord) -> bool:
    return atom.element not in ("H", "D", "X") and atom.position != NO_PLACE


def _as_near_as_bonded(one: AtomRecord, other: AtomRecord) -> bool:
    elements = [gemmi.Element(atom.element) for atom in (one, other)]
    slack = METAL_SLACK if any(element.is_metal for element in elements) else COVALENT_SLACK
    return math.dist(one.position, other.position) <= sum(element.covalent_r for element in elements) + slack


def _pick_conformer(residue: ResidueRecord, picked: Counter[str], bound: frozenset[str]) -> list[Note]:
    """Keep one conformation: the altloc of highest mean occupancy (first letter on a tie) among those in ``bound``, if
    any is, unlabelled atoms always. A note where another has a higher occupancy.
    """
    weight: dict[str, list[float]] = {}
    for atom in residue.atoms:
        if atom.altloc:
            weight.setdefault(atom.altloc, []).append(1.0 if atom.occupancy is None else atom.occupancy)
    if not weight:
        return []
    mean = {altloc: sum(weight[altloc]) / len(weight[altloc]) for altloc in sorted(weight)}
    likeliest = max(mean, key=lambda a: mean[a])
    best = max(mean, key=lambda a: (a in bound, mean[a]))
    ranked = [best] + [a for a in sorted(weight, key=lambda a: -mean[a]) if a != best]
    names = [a.residue_name for a in residue.atoms if a.altloc in ("", best) and parent(a.residue_name)]
    name = names[-1] if names else residue.name
    chosen: dict[str, AtomRecord] = {}
    for altloc in ("", *ranked):
        for atom in residue.atoms:
            if atom.altloc == altloc and atom.residue_name == name:
                chosen.setdefault(atom.name, atom)
    if len(weight) > 1:
        picked[residue.chain] += 1
    kept = {id(atom) for atom in chosen.values()}
    residue.atoms = [a for a in residue.atoms if id(a) in kept]
    residue.letter = parent(name) or ""
    if best == likeliest:
        return []
    text = f"conformation {best} is kept, which is bonded to another group, though {likeliest} has a higher occupancy"
    return [Note("altloc", text, residue.chain, residue.label)]


def carried_along(residues: list[ResidueRecord]) -> list[Note]:
    """Notes on what is kept unmoved: a summary, and one for every residue that looks like a part of a protein chain but
    cannot be used.
    """
    notes: list[Note] = []
    count = Counter(r.name for r in residues if not r.letter)
    if count:
        most = ", ".join(f"{n} {name or '(no name)'}" for name, n in count.most_common(8))
        several = count.total() > 1
        what = (
            "residues that are no refinable amino acids are"
            if several
            else "residue that is no refinable amino acid is"
        )
        notes.append(Note("hetero", f"{count.total()} {what} carried along unmoved: {most}"))
    for residue in residues:
        if residue.letter or not (parent(residue.name) or {"N", "CA", "C"} <= {a.name for a in residue.atoms}):
            continue
        reason = residue.reason or "is not known"
        if is_d_amino_acid(residue.name):
            reason = "is a D-amino acid"
        elif parent(residue.name) and not residue.reason:
            reason = "is free" if {"N", "CA", "C"} <= {a.name for a in residue.atoms} else "has too few backbone atoms"
        notes.append(Note("unknown", f"{residue.name} {reason}: carried along unmoved", residue.chain, residue.label))
    return notes
