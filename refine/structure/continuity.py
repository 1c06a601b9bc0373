"""Whether the chains of a protein as read hang together and lie apart: a note wherever they do not."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from refine.constants import MAX_PEPTIDE_BOND, ONE_TO_THREE
from refine.structure.notes import Note
from refine.structure.periodic_box import JUMP
from refine.structure.protein import Protein, are_consecutive

_CA_TOO_CLOSE = 3.0
"""Å between CA atoms of two chains that no contact of folded chains reaches."""
_FEWEST_PAIRS = 2
"""CA pairs that close from which chains count as lying in each other."""


def breaks(protein: Protein) -> list[Note]:
    """A note for every place where consecutive residues of a chain are not bonded, or only by a stretched bond."""
    notes = []
    linked = {one.first.residue for one in protein.connections if one.kind == "covalent" and one.first.slot == 2}
    for i in range(len(protein) - 1):
        one, two = protein.residue_ids[i], protein.residue_ids[i + 1]
        if one.chain != two.chain or not (protein.mask[i, 2] and protein.mask[i + 1, 0]):
            continue
        gap = float(np.linalg.norm(protein.coords[0, i, 2] - protein.coords[0, i + 1, 0]))
        if i in linked or (protein.bonded[i] and gap <= MAX_PEPTIDE_BOND):
            continue  # linked: the chain goes on with a residue that is carried along
        label = f"{one.number}{one.insertion} {ONE_TO_THREE[protein.sequence[i]]}"
        to = f"C to N of {two.number}{two.insertion}"
        if protein.bonded[i]:
            text = f"consecutive numbers, {gap:.1f} Å apart ({to}): read as a stretched peptide bond, to be closed"
            notes.append(Note("stretched", text, one.chain, label))
            continue
        text = f"the chain is broken after this residue ({to}: {gap:.1f} Å); the gap stays"
        if gap > JUMP and are_consecutive(one, two):
            text += " (consecutive numbers: wrapped into a periodic box? Make it whole first, or keep CRYST1)"
        notes.append(Note("gap", text, one.chain, label))
    return notes


def interpenetrating_chains(protein: Protein) -> list[Note]:
    """A note for every pair of chains that lie in each other."""
    chains = np.array([identity.chain for identity in protein.residue_ids])
    index = np.flatnonzero(protein.mask[:, 1])
    pairs = index[cKDTree(protein.coords[0, index, 1]).query_pairs(_CA_TOO_CLOSE, output_type="ndarray")]
    between = chains[np.sort(pairs, axis=1)]
    named, number = np.unique(between[between[:, 0] != between[:, 1]], axis=0, return_counts=True)
    counts = {(str(one), str(two)): int(count) for (one, two), count in zip(named, number, strict=True)}
    return [
        Note(
            "overlap",
            f"chains {one or '(blank)'} and {two or '(blank)'} lie in each other: {count} pairs of CA atoms closer than"
            f" {_CA_TOO_CLOSE:g} Å; refinement cannot part them, check how the model was put together",
        )
        for (one, two), count in sorted(counts.items())
        if count >= _FEWEST_PAIRS
    ]
