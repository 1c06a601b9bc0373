"""What was decided or repaired on the way from a file to a ``Protein``, so that nothing happens silently."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Note:
    """One decision or repair.

    Attributes:
        kind: a stable word for programs. Reading: ``model``, ``numbering``, ``order``, ``altloc``, ``modified``,
            ``protonation``, ``hydrogens``, ``occupancy``, ``b_factor``, ``element``, ``duplicate``, ``overlap``,
            ``unknown_atom``, ``unknown``, ``hetero``, ``gap``. Repair: ``rebuilt``, ``backbone``, ``chirality``,
            ``peptide``.
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
