"""Blocks of atoms of a PDB file, closed by ENDMDL or END, become models."""

from __future__ import annotations

import dataclasses

from refine.structure.atom_record import AtomRecord
from refine.structure.modified_residues import parent
from refine.structure.notes import Note

_REPEATED = 0.5
"""Share of the smaller block's amino acids from which two blocks count as the same molecule."""


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
    joined = repeated = 0
    number, open_part = 0, False
    for block in blocks:
        if open_part and block.model is None:
            if not _repeats(models[number], block.atoms):
                models[number] = [*models[number], *block.atoms]
                joined += 1
                continue
            repeated += 1
        number = len(models) + 1 if block.model is None else block.model
        number = number if number not in models else max(models) + 1
        models[number] = block.atoms
        open_part = block.model is None and block.ended_by_end
    notes = []
    if joined:
        text = f"END stands {joined} times between residues that do not repeat: they are read as one model"
        notes.append(Note("model", text))
    if repeated:
        text = f"after END the same residues come again ({repeated} times): they are read as further models"
        notes.append(Note("model", text))
    return models, notes


def _repeats(first: list[AtomRecord], second: list[AtomRecord]) -> bool:
    one, two = _amino_acids(first), _amino_acids(second)
    smaller = min(len(one), len(two))
    return smaller > 0 and len(one & two) >= _REPEATED * smaller


def _amino_acids(atoms: list[AtomRecord]) -> set[tuple[str, int, str, str]]:
    names = {name for name in {atom.residue_name for atom in atoms} if parent(name)}
    return {(a.chain, a.number, a.insertion, a.residue_name) for a in atoms if a.residue_name in names}
