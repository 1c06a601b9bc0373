"""From a file to a protein that can be scored and moved: read, repaired, its frozen residues marked."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refine.structure.connections import held_residues
from refine.structure.file_estimate import FileEstimate
from refine.structure.notes import Note
from refine.structure.pdb_short_names import long_names, short_residue_names
from refine.structure.protein import Protein, find_riders
from refine.structure.read import read_structure
from refine.structure.repair import repair
from refine.structure.riding_groups import PACKAGE, phosphate_files
from refine.structure.selection import parse_selection
from refine.structure.write import MAX_PDB_B, fits_pdb


@dataclasses.dataclass(frozen=True)
class Prepared:
    """An input that is ready to be scored or moved.

    Attributes:
        path: of the file; protein: R = 1, backbones and side chains complete.
        notes: every repair, in order.
        mobile: (L,) bool, False for residues that must not move: frozen by the user, or held by their bonds.
        estimate: what the B column of the file says of its accuracy, for the L residues.
        usual: the protein as it is repaired without options; what is said of the input itself is said of this one.
    """

    path: Path
    protein: Protein
    notes: tuple[Note, ...]
    mobile: NDArray[np.bool_]
    estimate: FileEstimate
    usual: Protein


def prepare(path: Path, *, model: int | None = None, freeze: str = "", keep_hands: bool = False) -> Prepared:
    """Read and repair an input.

    Args:
        path: PDB, mmCIF or BinaryCIF, plain or gzipped.
        model: number of the MODEL that is read, None for the first.
        freeze: residues that must not move, as ``parse_selection`` reads them; their hand stays, too.
        keep_hands: leave every residue its hand, even a wrong one.

    Raises:
        InputError: it cannot be used.
    """
    with _collector_paused():
        return _prepared(path, model, freeze, keep_hands=keep_hands)


def _prepared(path: Path, model: int | None, freeze: str, *, keep_hands: bool) -> Prepared:
    read = read_structure(path, model=model)
    frozen = parse_selection(freeze, read.protein) if freeze else np.zeros(len(read.protein), np.bool_)
    repaired = repair(read, frozen | keep_hands)
    protein = repaired.protein
    usual = repair(read).protein if keep_hands or frozen.any() else protein
    held = held_residues(protein)
    notes = (
        *read.notes,
        *repaired.notes,
        *_held_notes(protein, held),
        *_phosphate_notes(protein),
        *_about_output(protein),
    )
    return Prepared(path, protein, notes, ~(frozen | held), read.estimate, usual)


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Without garbage collection: it would walk again and again through the atoms, none of which can be freed."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def immobile(protein: Protein, freeze: str) -> NDArray[np.bool_]:
    """(L,) residues of a repaired protein that a run leaves where they are: those of the selection ``freeze``, as
    ``parse_selection`` reads it, and those held by their bonds.
    """
    held = held_residues(protein)
    return held | parse_selection(freeze, protein) if freeze else held


def _held_notes(protein: Protein, held: NDArray[np.bool_]) -> list[Note]:
    """What is bonded besides the chain, and which residues stay for it."""
    if not protein.connections:
        return []
    counts = Counter(connection.kind for connection in protein.connections)
    text = "bonds besides the chain's: " + ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    if held.any():
        names = [str(protein.residue_ids[i]) for i in np.flatnonzero(held)]
        listed = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        text += f"; the residues in them are held where they are: {listed}"
    return [Note("connections", text)]


def _phosphate_notes(protein: Protein) -> list[Note]:
    """What would let phosphorylated residues move that are held for want of their parameters."""
    if phosphate_files() or not protein.connections:
        return []
    held = {r.residue for r in find_riders(protein, phosphates=True)} - {r.residue for r in protein.riders}
    if not held:
        return []
    names = ", ".join(str(protein.residue_ids[i]) for i in sorted(held)[:12])
    names += f" and {len(held) - 12} more" if len(held) > 12 else ""
    text = f"phosphorylated residues stay where they are: {names}; pip install {PACKAGE} lets them move"
    return [Note("modified", text)]


def _about_output(protein: Protein) -> list[Note]:
    """What the PDB format cannot hold."""
    reason = fits_pdb(protein)
    if reason:
        return [Note("format", f"the outputs are mmCIF alone, no PDB files: {reason}")]
    notes = []
    long = long_names(protein.hetero)
    if long:
        text = (
            f"{long} atom names are longer than four letters: PDB outputs give them short ones (REMARK 99 says which)"
        )
        notes.append(Note("atom_names", text))
    residues = short_residue_names(protein.hetero)
    if residues:
        names = ", ".join(f"{old} is {new}" for old, new in residues.items())
        notes.append(Note("residue_names", f"residue names that are too long for PDB outputs are short there: {names}"))
    small = sorted({h.altloc for h in protein.hetero if h.altloc.islower()})
    if small:
        notes.append(Note("format", f"altlocs {' '.join(small)} of hetero atoms are capital letters in PDB outputs"))
    large = int((protein.b_factors > MAX_PDB_B).sum()) + sum(h.b_factor > MAX_PDB_B for h in protein.hetero)
    if large:
        notes.append(
            Note("format", f"{large} B factors are above {MAX_PDB_B:g}: PDB outputs give them as {MAX_PDB_B:g}")
        )
    return notes
