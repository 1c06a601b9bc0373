"""Blocks of atoms of a PDB file, closed by ENDMDL or END, become models."""

from __future__ import annotations

import dataclasses

from refine.structure.atom_record import AtomRecord
from refine.structure.modified_residues import parent
from refine.structure.notes import Note

_REPEATED = 0.5
"""Share of the smaller block's amino acids from which two blocks count as the same molecule."""

_AminoAcid = tuple[str, int, str, str]
"""Chain, number, insertion code and name."""


@dataclasses.dataclass(frozen=True)
class Block:
    """Atoms up to a closing record.

    Attributes:
        model: number of the MODEL record before them, None where there is none.
        atoms: in file order.
        ended_by_end: whether END (or the end of the file) closes it, not ENDMDL or the next MODEL.
    """

    model: int | None
    atoms: list[AtomRecord]
    ended_by_end: bool


def models_of(blocks: list[Block]) -> tuple[dict[int, list[AtomRecord]], list[Note]]:
    """Model number → atoms in file order, and notes.

    A block with a MODEL record is a model. Of the others, a block after END that repeats amino acids of the model
    before it is the next model; one that holds other residues is a further part of it: some programs close every chain
    with END.
    """
    models: dict[int, list[AtomRecord]] = {}
    joined = repeated = highest = 0
    number, open_part = 0, False
    own: set[_AminoAcid] = set()
    for block in blocks:
        amino_acids = _amino_acids(block.atoms)
        if open_part and block.model is None:
            if not _repeats(own, amino_acids):
                models[number].extend(block.atoms)
                own |= amino_acids
                joined += 1
                continue
            repeated += 1
        number = len(models) + 1 if block.model is None else block.model
        number = number if number not in models else highest + 1
        highest = max(highest, number)
        models[number], own = list(block.atoms), amino_acids
        open_part = block.model is None and block.ended_by_end
    notes = []
    if joined:
        text = f"END stands between residues that do not repeat ({joined}×): they are read as one model"
        notes.append(Note("model", text))
    if repeated:
        text = f"after END the same residues come again ({repeated}×): they are read as further models"
        notes.append(Note("model", text))
    return models, notes


def _repeats(one: set[_AminoAcid], two: set[_AminoAcid]) -> bool:
    smaller = min(len(one), len(two))
    if not smaller:
        return False
    shared = len(two & one)  # by way of the smaller: a file may have as many blocks as atoms
    return shared >= _REPEATED * smaller


def _amino_acids(atoms: list[AtomRecord]) -> set[_AminoAcid]:
    names = {name for name in {atom.residue_name for atom in atoms} if parent(name)}
    return {(a.chain, a.number, a.insertion, a.residue_name) for a in atoms if a.residue_name in names}
