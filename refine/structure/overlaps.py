"""Atoms on top of others: what a file gives twice, and what would be built where something is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.constants import ATOM14, ONE_TO_THREE, WATERS
from refine.errors import InputError
from refine.structure.notes import Note
from refine.structure.protein import Protein
from refine.structure.residue_record import ResidueRecord

Array = NDArray[Any]

COINCIDENT = 0.1
"""Å below which two atoms are on top of each other."""
_ROUNDING = 0.005
"""Å by which the decimals of files bring two atoms nearer."""


def lift_overlaps(
    coords: Array,
    mask: Array,
    oxt: Array,
    oxt_mask: Array,
    residues: list[ResidueRecord],
    file: str,
) -> list[Note]:
    """Side-chain atoms (and O, OXT) on top of others are taken out, to be rebuilt; backbones on top of each other are
    refused.

    Changes ``mask`` and ``oxt_mask``, which the caller has just made.
    """
    rows, slots = np.nonzero(mask)
    points = np.concatenate((coords[rows, slots], oxt[oxt_mask]))
    owner = np.concatenate((rows, np.flatnonzero(oxt_mask)))
    slot = np.concatenate((slots, np.full(int(oxt_mask.sum()), 14)))
    backbone = np.flatnonzero(slot < 3)
    upon = backbone[upon_another(points[backbone])]
    if len(upon):
        a = upon[0]
        b = next(b for b in backbone[backbone > a] if np.linalg.norm(points[b] - points[a]) <= COINCIDENT)
        one, two = residues[owner[a]], residues[owner[b]]
        raise InputError(
            f"Backbone atoms of residues {one.label} and {two.label} of chain {two.chain or '(blank)'}"
            " are on top of each other",
            file=file, chain=one.chain, residue=one.label, remedy="Remove one copy, or predict the model again",
        )  # fmt: skip
    notes: dict[int, list[str]] = {}
    for index in np.flatnonzero(upon_another(points) & (slot >= 3)):
        i, k = int(owner[index]), int(slot[index])
        notes.setdefault(i, []).append("OXT" if k == 14 else ATOM14[residues[i].letter][k])
        if k == 14:
            oxt_mask[i] = False
        else:
            mask[i, k] = False
    coords[~mask] = 0.0
    oxt[~oxt_mask] = 0.0
    return [
        Note(
            "overlap", f"atoms on top of others are taken out: {' '.join(names)}", residues[i].chain, residues[i].label
        )
        for i, names in sorted(notes.items())
    ]


def refuse_built_overlaps(protein: Protein, built: NDArray[np.bool_], file: str) -> None:
    """Refuse a protein whose built atoms lie on top of others, hetero atoms but waters included: no reader would take
    it, and no force part them.

    Args:
        protein: R = 1, complete.
        built: (L, 15) bool, atoms that were built; the last column is OXT.
        file: its name, for the message.

    Raises:
        InputError: names the first such atom and the one below it.
    """
    there = np.concatenate((protein.mask, protein.oxt_mask[:, None]), axis=1)
    points = np.concatenate((protein.coords[0], protein.oxt[0][:, None]), axis=1)[there].astype(np.float64)
    rows, slots = np.nonzero(there)
    hetero = [h for h in protein.hetero if h.residue_name not in WATERS]
    points = np.concatenate((points, np.array([h.position for h in hetero], np.float64).reshape(-1, 3)))
    lying = np.flatnonzero(upon_another(points, COINCIDENT + _ROUNDING)[: len(rows)] & built[there])
    if not len(lying):
        return
    a = lying[0]
    b = next(k for k in cKDTree(points).query_ball_point(points[a], COINCIDENT + _ROUNDING) if k != a)
    if b < len(rows):
        below = f"{_atom(protein, rows[b], slots[b])} of {_residue(protein, rows[b])}"
    else:
        atom = hetero[b - len(rows)]
        below = f"{atom.name} of {atom.number}{atom.insertion} {atom.residue_name} of chain {atom.chain!r}"
    raise InputError(
        f"{_atom(protein, rows[a], slots[a])} of this residue is missing and would lie on {below}",
        file=file or None, chain=protein.residue_ids[rows[a]].chain, residue=_residue(protein, rows[a]),
        remedy="One of the two is no residue of its own, or stands in a wrong place: remove it",
    )  # fmt: skip


def _residue(protein: Protein, i: int) -> str:
    identity = protein.residue_ids[i]
    return f"{identity.number}{identity.insertion} {ONE_TO_THREE[protein.sequence[i]]}"


def _atom(protein: Protein, i: int, slot: int) -> str:
    return "OXT" if slot == 14 else ATOM14[protein.sequence[i]][slot]


def upon_another(points: Array, within: float = COINCIDENT) -> NDArray[np.bool_]:
    """(n,) bool of the points (n, 3) that have another at most ``within`` Å away.

    Equal points are found first: a tree compares all of them with each other.
    """
    places, index, counts = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    if len(places) < 2:
        return counts[index] > 1
    near = cKDTree(places).query(places, k=2)[0][:, 1] <= within
    return (near | (counts > 1))[index.reshape(-1)]
