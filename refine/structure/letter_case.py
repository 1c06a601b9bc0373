"""Residue and atom names in small letters, as some programs write them, become those of the PDB."""

from __future__ import annotations

from collections import Counter

import gemmi

from refine.constants import WATERS
from refine.structure.atom_record import AtomRecord
from refine.structure.modified_residues import parent
from refine.structure.notes import Note


def in_capitals(records: list[AtomRecord]) -> list[Note]:
    """Give residues whose name is known in capitals that name, and the atoms of amino acids and waters theirs; GLYCAM's
    names, which tell sugars apart by small letters, stay. Changes the records.
    """
    small = {name for name in {atom.residue_name for atom in records} if name != name.upper()}
    known = {name: name.upper() for name in small if _is_known(name.upper())}
    named = {atom.residue_name for atom in records if atom.name != atom.name.upper()}
    whole = {name for name in named if _has_names_in_capitals(name.upper())}
    if not known and not whole:
        return []
    renamed = Counter[str]()
    last: tuple[object, ...] = ()
    for atom in records:
        if atom.residue_name in whole:
            atom.name = atom.name.upper()
        if atom.residue_name in known:
            this = (atom.chain, atom.number, atom.insertion, atom.residue_name)
            renamed[atom.residue_name] += this != last
            last = this
            atom.residue_name = known[atom.residue_name]
    notes = []
    if renamed:
        most = ", ".join(f"{name} is {known[name]}" for name, _ in renamed.most_common(6))
        more = f" and {len(renamed) - 6} more" if len(renamed) > 6 else ""
        text = f"{renamed.total()} residue names in small letters are read in capitals: {most}{more}"
        notes.append(Note("small_letters", text))
    if whole:
        notes.append(Note("small_letters", "atom names in small letters are read in capitals"))
    return notes


def _has_names_in_capitals(residue_name: str) -> bool:
    return parent(residue_name) is not None or residue_name in WATERS


def _is_known(name: str) -> bool:
    """Whether it is the name of an amino acid, a water, or another component that gemmi has."""
    info = gemmi.find_tabulated_residue(name)
    return _has_names_in_capitals(name) or (info is not None and info.kind != gemmi.ResidueKind.UNKNOWN)
