"""Peptide bonds: their omega, which of them are cis, and what an input holds that is out of the ordinary."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refine.constants import ONE_TO_THREE
from refine.structure.arrays import dihedral
from refine.structure.chemistry import CIS_LIMIT_BEFORE_PROLINE, is_cis
from refine.structure.notes import Note
from refine.structure.protein import Protein


def omega(protein: Protein) -> NDArray[np.float64]:
    """Omega (L,) in degrees of the peptide bond from each residue to the next in replica 0; NaN where there is none."""
    out = np.full(len(protein), np.nan)
    i = np.nonzero(protein.bonded)[0]
    i = i[protein.mask[i, 1] & protein.mask[i, 2] & protein.mask[i + 1, 0] & protein.mask[i + 1, 1]]
    x = protein.coords[0].astype(np.float64)
    out[i] = np.degrees(dihedral(x[i, 1], x[i, 2], x[i + 1, 0], x[i + 1, 1]))
    return out


def cis_peptides(protein: Protein) -> NDArray[np.bool_]:
    """(L,) whether the peptide bond from each residue to the next is cis in replica 0, by ``is_cis``."""
    return is_cis(omega(protein), np.array([aa == "P" for aa in protein.sequence[1:]] + [False]))


def strained_trans(protein: Protein) -> NDArray[np.bool_]:
    """(L,) whether the peptide bond from each residue to the next is trans by ``is_cis``, but nearer to cis."""
    near: NDArray[np.bool_] = np.abs(omega(protein)) < CIS_LIMIT_BEFORE_PROLINE
    return near & ~cis_peptides(protein)


def peptide_notes(protein: Protein) -> list[Note]:
    """A note ``peptide`` for each strained trans bond, and for each cis one before anything but proline."""
    angle, strained, cis = omega(protein), strained_trans(protein), cis_peptides(protein)
    notes = []
    for i in np.flatnonzero(strained | cis).tolist():
        follower = protein.residue_ids[i + 1]
        where = f"omega of the peptide bond to {follower} {ONE_TO_THREE[protein.sequence[i + 1]]} is {angle[i]:.0f}°: "
        if strained[i]:
            text = where + "taken for a strained trans one, which finishing makes trans"
        elif protein.sequence[i + 1] != "P":
            text = where + "cis, which is rare where no proline follows; it stays cis"
        else:
            continue
        identity = protein.residue_ids[i]
        label = f"{identity.number}{identity.insertion} {ONE_TO_THREE[protein.sequence[i]]}"
        notes.append(Note("peptide", text, identity.chain, label))
    return notes
