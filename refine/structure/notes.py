"""What was decided or repaired on the way from a file to a ``Protein``, so that nothing happens silently."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Note:
    """One decision or repair.

    Attributes:
        kind: a stable word for programs. Reading: ``model``, ``numbering``, ``order``, ``altloc``, ``modified``,
            ``protonation``, ``hydrogens``, ``occupancy``, ``b_factor``, ``element``, ``duplicate``, ``overlap``,
            ``unknown_atom``, ``unknown``, ``hetero``, ``gap``, ``stretched``, ``segment``, ``misplaced``, ``box``,
            ``bead``, ``water``, ``cap``, ``small_letters``, ``microheterogeneity``.
            Bonds: ``link``, ``connections``. Output: ``format``, ``atom_names``, ``residue_names``.
            Repair: ``rebuilt``, ``backbone``, ``chirality``, ``peptide``.
            What was given besides: ``evidence``, ``conditions``.
        message: one sentence for people.
        chain: author chain id, ``""`` when the note concerns the file (or a blank chain).
        residue: author number with insertion code and name, e.g. ``"52B GLY"``.
    """

    kind: str
    message: str
    chain: str = ""
    residue: str = ""

    def __str__(self) -> str:
        where = f"chain {self.chain or '(blank)'}, residue {self.residue}: " if self.residue else ""
        return where + self.message


_HARMLESS = ("protonation", "hydrogens", "occupancy", "b_factor", "element", "altloc", "duplicate", "order")
"""Kinds by which nothing of the structure is lost or changed; they are shown after the others."""


def summary_lines(notes: Sequence[Note], most: int = 10) -> list[str]:
    """Notes as lines for the terminal: repairs and losses first, at most ``most``, then how many more there are."""
    ranked = sorted(notes, key=lambda note: note.kind in _HARMLESS)
    lines = [str(note) for note in ranked[:most]]
    rest = len(ranked) - most
    return [*lines, f"and {rest} more; log.txt and run.json have them all"] if rest > 0 else lines
