"""Chains that only the segment names of CHARMM and NAMD (columns 73-76) tell apart get chain ids of their own."""

from __future__ import annotations

import string

from refine.structure.atom_record import AtomRecord
from refine.structure.modified_residues import parent
from refine.structure.notes import Note

_CHAIN_IDS = string.ascii_uppercase + string.ascii_lowercase + string.digits


def separate_segments(records: list[AtomRecord]) -> list[Note]:
    """Give the segments of a chain their own chain ids; changes ``chain`` of ``records``.

    That is done where the chain id is blank, or where residue numbers of amino acids come again in another segment;
    and only where two segments at least hold amino acids.
    """
    notes = []
    chains: dict[str, list[AtomRecord]] = {}
    for atom in records:
        chains.setdefault(atom.chain, []).append(atom)
    used = set(chains)
    for chain, members in chains.items():
        atoms = [atom for atom in members if atom.segid]
        if not _are_chains(chain, atoms):
            continue
        segids = list(dict.fromkeys(atom.segid for atom in atoms))
        ids = _chain_ids(segids, chain, used)
        for atom in atoms:
            atom.chain = ids[atom.segid]
        used = used - ({chain} if len(atoms) == len(members) else set()) | set(ids.values())
        what = "have no chain id" if not chain else f"share the chain id {chain}"
        names = ", ".join(f"{segid}: chain {ids[segid]}" for segid in segids)
        notes.append(Note("segment", f"segments that {what} become chains of their own: {names}"))
    return notes


def _are_chains(chain: str, atoms: list[AtomRecord]) -> bool:
    numbers: dict[str, set[tuple[int, str]]] = {}
    for atom in atoms:
        if parent(atom.residue_name):
            numbers.setdefault(atom.segid, set()).add((atom.number, atom.insertion))
    repeated = sum(map(len, numbers.values())) > len(set().union(*numbers.values()))
    return len(numbers) > 1 and (not chain or repeated)


def _chain_ids(segids: list[str], chain: str, used: set[str]) -> dict[str, str]:
    """Segid → chain id: the last letter of the segid (PROA: A) where that tells them apart, else the next free one."""
    letters = [segid[-1] for segid in segids]
    if not chain and len(set(letters)) == len(letters) and not set(letters) & used and set(letters) <= set(_CHAIN_IDS):
        return dict(zip(segids, letters, strict=True))
    free = iter([one for one in _CHAIN_IDS if one not in used])
    kept = [chain] if chain else []
    return {segid: (kept.pop() if kept else next(free, segid)) for segid in segids}
