"""Wrong hands of an input are mended: a D centre under the name of an L residue, an inverted CB, swapped names.

A residue whose CA is D-handed keeps its N, CA, C and O; its side chain is built anew on the L side. A threonine or
isoleucine whose CB is inverted is built anew from CB on. Where the hand is one of names alone (the two branches of
valine and leucine, and those of isoleucine and threonine where the bonds tell that they were swapped) the atoms stay
and the names change places. Residues whose own name is that of a D-amino acid are hetero atoms and no matter of this
module.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.constants import ATOM14, ONE_TO_THREE
from refine.structure.arrays import chiral_volume, superpose, transformed
from refine.structure.bonded_atoms import DISULFIDE_REACH
from refine.structure.chemistry import chiral_centres, prochiral_centre
from refine.structure.conformers import ideal_residue, set_chi
from refine.structure.connections import disulfide_pairs
from refine.structure.notes import Note
from refine.structure.protein import Protein
from refine.structure.side_chains import complete_side_chains, is_natural

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_CA, _CB, _NAMES = "CA", "CB", "names"
_BRANCHES = {"V": ("CG1", "CG2"), "L": ("CD1", "CD2"), "I": ("CG1", "CG2"), "T": ("OG1", "CG2")}
_CO_SHORTER = 0.04
"""Å by which C–O is shorter than C–C at the least (1.43 and 1.52): tells which branch of a threonine is the oxygen."""
_BONDED = 1.9
"""Å up to which CD1 of isoleucine is bonded to a branch."""
_CLOSE = 2.2
"""Å below which a rebuilt atom lies on another one, which is worth a word: the ring of an L proline comes so near to
the residue before when it stands on the backbone of a D one. Finishing parts them."""
_DISULFIDE = 2.05
"""Å, SG–SG."""
_MIRROR_LEAST = 5
"""D-handed residues from which on a chain that has more of them than L-handed ones is called a mirror image."""


@dataclasses.dataclass(frozen=True)
class _WrongHand:
    """``kinds``: ``CA``, or out of ``CB`` and ``names``."""

    residue: int
    kinds: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Handed:
    """A protein after its hands were looked at.

    Attributes:
        protein: R = 1, hands mended; it may have more atoms than before where a side chain was built anew.
        d_residues: those whose CA is still D-handed.
        notes: one ``chirality`` for each wrong hand, mended or kept.
    """

    protein: Protein
    d_residues: frozenset[int]
    notes: tuple[Note, ...]


def mend_hands(protein: Protein, keep: Mask | None = None) -> Handed:
    """Mend the wrong hands of replica 0; a centre of which an atom is missing has no hand.

    Kept are residues whose side chain is bonded to something else than a cysteine, and those whose backbone is so bent
    that no natural side chain can be laid on it. A half-cystine is built towards the sulfur it is bonded to, or kept
    when it does not reach it.

    Args:
        protein: R = 1, its backbone complete, its connections known.
        keep: (L,) residues that stay as they are in any case; None for none.
    """
    wrong = list(_wrong_hands(protein))
    if not wrong:
        return Handed(protein, frozenset(), ())
    reasons = _reasons_to_keep(protein, keep)
    due = [hand for hand in wrong if hand.residue not in reasons]
    mended, unfit = _built_anew(_with_names_swapped(protein, due), due)
    reasons |= unfit
    notes = []
    for hand in wrong:
        i = hand.residue
        outcome = f"kept, {reasons[i]}" if i in reasons else _mending(mended, hand)
        notes.append(Note("chirality", f"{_fault(protein, hand)}: {outcome}", *_address(protein, i)))
    d_residues = frozenset(hand.residue for hand in wrong if _CA in hand.kinds and hand.residue in reasons)
    return Handed(mended, d_residues, (*_mirror_images(protein, wrong), *notes))


def _wrong_hands(protein: Protein) -> Iterator[_WrongHand]:
    x = protein.coords[0].astype(np.float64)
    for i, aa in enumerate(protein.sequence):
        centres = chiral_centres(aa)
        if centres and _volume(x[i], protein.mask[i], centres[0]) < 0:
            yield _WrongHand(i, frozenset((_CA,)))
            continue
        branched = centres[1] if len(centres) > 1 else prochiral_centre(aa)
        if branched is None:
            continue
        volume = _volume(x[i], protein.mask[i], branched)
        swapped = _names_swapped(aa, x[i], protein.mask[i], volume)
        kinds = {_NAMES} if swapped else set()
        if (-volume if swapped else volume) < 0:
            kinds.add(_CB)
        if kinds:
            yield _WrongHand(i, frozenset(kinds))


def _volume(residue: Array, there: Mask, centre: tuple[int, ...]) -> float:
    """Chiral volume in Å³, NaN where an atom of the centre is missing."""
    return float(chiral_volume(*residue[list(centre)])) if there[list(centre)].all() else float("nan")


def _names_swapped(aa: str, residue: Array, there: Mask, volume: float) -> bool:
    """Whether the names of the two branches belong to each other: by the bonds, else by the hand they give."""
    if not np.isfinite(volume):
        return False
    first, second = (residue[ATOM14[aa].index(name)] for name in _BRANCHES[aa])
    if aa == "T":
        cb = residue[ATOM14[aa].index("CB")]
        return bool(np.linalg.norm(first - cb) - np.linalg.norm(second - cb) > _CO_SHORTER)
    if aa == "I" and there[ATOM14[aa].index("CD1")]:
        tip = residue[ATOM14[aa].index("CD1")]
        return bool(np.linalg.norm(second - tip) < _BONDED < np.linalg.norm(first - tip))
    return volume < 0


def _reasons_to_keep(protein: Protein, keep: Mask | None) -> dict[int, str]:
    reasons = dict.fromkeys(np.flatnonzero(keep).tolist() if keep is not None else (), "as asked for")
    for one in protein.connections:
        for site in (one.first, one.second):
            if one.kind != "disulfide" and site.residue >= 0 and 4 <= site.slot < 14:
                reasons.setdefault(site.residue, "because its side chain is bonded to something else")
    return reasons


def _with_names_swapped(protein: Protein, hands: list[_WrongHand]) -> Protein:
    coords, b, occupancies = protein.coords.copy(), protein.b_factors.copy(), protein.occupancies.copy()
    for hand in hands:
        if _NAMES in hand.kinds:
            i, aa = hand.residue, protein.sequence[hand.residue]
            pair = [ATOM14[aa].index(name) for name in _BRANCHES[aa]]
            for values in (coords[0, i], b[i], occupancies[i]):
                values[pair] = values[pair[::-1]]
    return dataclasses.replace(protein, coords=coords, b_factors=b, occupancies=occupancies)


def _built_anew(protein: Protein, hands: list[_WrongHand]) -> tuple[Protein, dict[int, str]]:
    """The protein with the side chains of inverted centres built anew, and why some could not be."""
    coords, mask = protein.coords.copy(), protein.mask.copy()
    first = {hand.residue: 4 if _CA in hand.kinds else 5 for hand in hands if hand.kinds & {_CA, _CB}}
    for i, slot in first.items():
        mask[i, slot:] = False
    bare = protein.with_coords(np.where(mask[..., None], coords, 0), oxt=protein.oxt, mask=mask)
    complete = complete_side_chains(bare).protein
    partners = {a: b for pair in disulfide_pairs(protein) for a, b in (pair, pair[::-1])}
    unfit: dict[int, str] = {}
    for i in first:
        residue = complete.coords[0, i].astype(np.float64)
        if i in partners:
            residue = _half_cystine(residue, coords[0, partners[i], 5].astype(np.float64))
            if np.linalg.norm(residue[5] - coords[0, partners[i], 5]) > DISULFIDE_REACH:
                unfit[i] = "because its disulfide bond cannot be reached from the L side"
        if not is_natural(residue, protein.sequence[i]):
            unfit[i] = "because no side chain of the right hand fits its backbone"
        if i not in unfit:
            coords[0, i], mask[i] = residue, complete.mask[i]
        else:
            mask[i] = protein.mask[i]
    return protein.with_coords(coords, oxt=protein.oxt, mask=mask), unfit


def _half_cystine(residue: Array, sulfur: Array) -> Array:
    """The cysteine (14, 3) with its CB ideal and its SG as near as can be to bonding distance from ``sulfur``."""
    ideal = ideal_residue("C")
    conformers = set_chi("C", ideal, np.radians(np.arange(0.0, 360.0, 5.0))[:, None])
    laid = transformed(conformers, *superpose(ideal[:3], residue[:3]))
    best = np.argmin(np.abs(np.linalg.norm(laid[:, 5] - sulfur, axis=-1) - _DISULFIDE))
    return np.concatenate((residue[:4], laid[best, 4:]))


def _fault(protein: Protein, hand: _WrongHand) -> str:
    aa = protein.sequence[hand.residue]
    if _CA in hand.kinds:
        return "its CA is D-handed under the name of an L residue"
    swapped = f"the names of {' and '.join(_BRANCHES[aa])} are swapped" if _NAMES in hand.kinds else ""
    inverted = "the hand of its CB is inverted" if _CB in hand.kinds else ""
    return " and ".join(filter(None, (swapped, inverted)))


def _mending(mended: Protein, hand: _WrongHand) -> str:
    if hand.kinds == {_NAMES}:
        return "put right, the atoms stay where they are"
    start = 4 if _CA in hand.kinds else 5
    text = "the side chain was built anew" + (" on the L side" if _CA in hand.kinds else " from CB on")
    return text + _close_contact(mended, hand.residue, start)


def _close_contact(protein: Protein, i: int, start: int) -> str:
    """What the side chain of residue ``i`` lies on from slot ``start``, in words; ``""`` when it has room."""
    x, there = protein.coords[0], protein.mask
    rows, slots = np.nonzero(there & (np.arange(len(protein)) != i)[:, None])
    if not len(rows):
        return ""
    own = start + np.flatnonzero(there[i, start:])
    distances, nearest = cKDTree(x[rows, slots]).query(x[i, own])
    partners = {a: b for pair in disulfide_pairs(protein) for a, b in (pair, pair[::-1])}
    k = int(np.argmin(distances))
    j = int(rows[nearest[k]])
    if distances[k] >= _CLOSE or partners.get(i) == j:
        return ""
    name = ATOM14[protein.sequence[j]][slots[nearest[k]]]
    return f", {distances[k]:.1f} Å from {protein.residue_ids[j]} {name}: there is little room on this backbone"


def _mirror_images(protein: Protein, wrong: list[_WrongHand]) -> list[Note]:
    """A note for each chain most of whose residues are D-handed."""
    chiral = Counter(
        identity.chain
        for identity, aa, there in zip(protein.residue_ids, protein.sequence, protein.mask, strict=True)
        if aa != "G" and there[:5].all()
    )
    d_handed = Counter(protein.residue_ids[hand.residue].chain for hand in wrong if _CA in hand.kinds)
    return [
        Note(
            "chirality",
            f"{count} of the {chiral[chain]} residues of chain {chain or '(blank)'} that have a hand are D-handed: it "
            "looks like a mirror image; reflect the model (x to -x) before it is refined",
        )
        for chain, count in d_handed.items()
        if count >= _MIRROR_LEAST and count > chiral[chain] / 2
    ]


def _address(protein: Protein, i: int) -> tuple[str, str]:
    identity = protein.residue_ids[i]
    return identity.chain, f"{identity.number}{identity.insertion} {ONE_TO_THREE[protein.sequence[i]]}"
