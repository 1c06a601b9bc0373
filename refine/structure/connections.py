"""What is bonded in a structure besides its residues and the peptides along its chains: one table, made on reading.

Disulfides, metal coordination, links of residues to hetero groups (glycans, caps, cofactors, D- and other residues
inside a chain), and of those to one another; cycles, and bonds between side chains (isopeptides, thioesters, esters).
What the file states (LINK, SSBOND, CONECT, _struct_conn) comes first; the rest is told by elements and places, see
``bonded_atoms``.

A residue that is bonded to something refinement does not move is held where it is: see ``held_residues``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.structure.atom_sites import MOST_BONDS, Atoms, is_water, residue_of
from refine.structure.bonded_atoms import COVALENT_SLACK, bonds_by_distance, leaving_atom
from refine.structure.link_records import AtomAddress, StatedLink
from refine.structure.notes import Note
from refine.structure.protein import Connection, Protein, ResidueId, Site

STATED_SLACK = 1.2
"""Å beyond the sum of the covalent radii up to which a bond that the file states is believed: beyond it the atoms have
come apart, or the record means a symmetry mate."""


def connections(protein: Protein, stated: Sequence[StatedLink] = ()) -> tuple[tuple[Connection, ...], list[Note]]:
    """The table of ``protein``, in the order of its first atoms, and notes on what the file states and does not hold.

    Args:
        protein: R = 1, as read or repaired; peptides along the chains are its ``bonded``.
        stated: links of its file.
    """
    waters = any(is_water(end.residue_name) for link in stated for end in (link.first, link.second))
    atoms = Atoms(protein, waters=waters)
    table: dict[tuple[Site, Site], Connection] = {}
    notes: list[Note] = []
    for link in stated:
        first, second = atoms.site_of(link.first), atoms.site_of(link.second)
        if first is None or second is None:
            notes += _half_there(atoms, link)
            continue
        if atoms.within_one_group(first, second):
            continue
        one = atoms.connection(first, second, link.record)
        if atoms.gap(one) > STATED_SLACK:
            text = f"{link.record} bonds it to {_name(link.second)}, {one.distance:.1f} Å away: not taken for a bond"
            notes.append(Note("link", text, link.first.chain, f"{link.first.number}{link.first.insertion}"))
        elif not atoms.is_peptide(one):
            table.setdefault((one.first, one.second), one)
    for one in bonds_by_distance(atoms):
        table.setdefault((one.first, one.second), one)
    notes += _stretched(atoms, table.values())
    if atoms.heaped:
        text = f"{len(atoms.heaped)} atoms lie in heaps of more than {MOST_BONDS} each: no bonds of theirs are told"
        notes.append(Note("link", text))
    return tuple(sorted(_without_heaps(table.values(), notes), key=lambda one: (one.first, one.second))), notes


def _half_there(atoms: Atoms, link: StatedLink) -> list[Note]:
    """A note on a link of an atom that the file has to a residue that it has not."""
    for here, there in ((link.first, link.second), (link.second, link.first)):
        if atoms.site_of(here) is not None and not atoms.has_residue(there):
            text = f"{link.record} bonds its {here.name} to {_name(there)}, which the file does not have"
            return [Note("link", text, here.chain, f"{here.number}{here.insertion} {here.residue_name}".rstrip())]
    return []


def _stretched(atoms: Atoms, table: Collection[Connection]) -> list[Note]:
    """Notes on covalent bonds to hetero groups that are longer than bonds are."""
    notes = []
    for one in table:
        if one.kind == "covalent" and one.second.residue < 0 and atoms.gap(one) > COVALENT_SLACK:
            here = atoms.address(one.first)
            text = f"its {here.name} is bonded to {atoms.label(one.second)}, {one.distance:.1f} Å away: they stay so"
            label = f"{here.number}{here.insertion} {here.residue_name}"
            notes.append(Note("link", text, here.chain, label))
    return notes


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
    side chains: moving them would take their bonds apart. Disulfides are not among them, they move together, nor are
    modified residues whose own atoms move with them.
    """
    held = np.zeros(len(protein), np.bool_)
    riding = {Site(-1, rider.hetero) for rider in protein.riders}
    for one in protein.connections:
        if one.kind != "disulfide" and one.second not in riding:
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


def described(protein: Protein) -> list[dict[str, Any]]:
    """The table as plain values for run.json: kind, both atoms as ``A:12 CYS SG``, distance in Å, who says so."""
    atoms = Atoms(protein)
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


def left_atoms(protein: Protein) -> NDArray[np.bool_]:
    """(L, 14) atoms of the standard residues that are not there because they left when a bond of the table was made:
    an oxygen of the acid in an isopeptide. They are not to be built.
    """
    left = np.zeros_like(protein.mask)
    for one in protein.connections:
        if one.kind == "covalent":
            for site in (one.first, one.second):
                gone = leaving_atom(protein, site)
                if gone is not None:
                    left[gone.residue, gone.slot] = True
    return left


def _name(address: AtomAddress) -> str:
    return f"{address.chain}:{address.number}{address.insertion} {address.name}"
