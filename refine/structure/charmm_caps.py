"""Caps that CHARMM's patches (ACE, ACP, CT2, CT3) add to the ends of a chain, as residues of their own.

Everybody else has acetyl, amine and methylamine as residues ACE, NH2 and NME, which is what the atoms become.
"""

from __future__ import annotations

from collections.abc import Iterable

from refine.structure.atom_record import AtomRecord
from refine.structure.modified_residues import parent
from refine.structure.notes import Note

_Identity = tuple[str, int, str, int]
"""Chain, number, insertion code and segment."""
_ACETYL = {"CAY": "CH3", "CY": "C", "OY": "O", "HY1": "H1", "HY2": "H2", "HY3": "H3"}
_METHYLAMINE = {"NT": "N", "HNT": "H", "CAT": "C", "HT1": "H1", "HT2": "H2", "HT3": "H3"}
_AMINE = {"NT": "N", "HT1": "HN1", "HT2": "HN2"}
"""CHARMM's names and those of the residues."""


def separate_caps(records: list[AtomRecord]) -> tuple[list[AtomRecord], list[Note]]:
    """The atoms with those of CHARMM's caps before and after the others of their residue, under names and numbers of
    residues of their own; changes these atoms. A number is the next free one outward.
    """
    capped = {_identity(a) for a in records if a.name in ("CY", "NT") and parent(a.residue_name)}
    if not capped:
        return records, []
    residues: dict[_Identity, list[AtomRecord]] = {}
    for atom in records:
        residues.setdefault(_identity(atom), []).append(atom)
    taken = {(atom.chain, atom.number) for atom in records}
    out: list[AtomRecord] = []
    notes: list[Note] = []
    for identity, atoms in residues.items():
        if identity not in capped:
            out += atoms
            continue
        names = {atom.name for atom in atoms}
        last = _METHYLAMINE if "CAT" in names else _AMINE
        before = _cap(atoms, _ACETYL, "ACE", -1, taken) if {"CAY", "CY", "OY"} <= names else []
        after = _cap(atoms, last, "NME" if "CAT" in names else "NH2", 1, taken) if "NT" in names else []
        moved = {id(atom) for atom in (*before, *after)}
        own = [atom for atom in atoms if id(atom) not in moved]
        out += [*before, *own, *after]
        for cap in filter(None, (before, after)):
            text = f"its cap becomes a residue of its own, {cap[0].residue_name} {cap[0].number}"
            notes.append(Note("cap", text, own[0].chain, own[0].residue_label))
    return out, notes


def _identity(atom: AtomRecord) -> _Identity:
    return atom.chain, atom.number, atom.insertion, atom.segment


def _cap(
    atoms: Iterable[AtomRecord], names: dict[str, str], residue_name: str, step: int, taken: set[tuple[str, int]]
) -> list[AtomRecord]:
    """The atoms of a cap, renamed; adds its number to ``taken``."""
    cap = [atom for atom in atoms if atom.name in names]
    number = cap[0].number + step
    while (cap[0].chain, number) in taken:
        number += step
    taken.add((cap[0].chain, number))
    for atom in cap:
        atom.name, atom.residue_name, atom.number, atom.insertion = names[atom.name], residue_name, number, ""
    return cap
