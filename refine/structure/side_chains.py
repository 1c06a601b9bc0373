"""Missing side-chain atoms, built from templates in the rotamer that has most room.

The template of a residue is right-handed and keeps its bonds and angles; it is turned to the rotamers that the
backbone makes likely and laid over the atoms that are there. Where hardly any side chain is there (coarse models) the
rotamers are chosen together (``rotamer_field``), else one after the other. Nothing is minimised: that is left to the
finishing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.constants import ATOM14
from refine.structure.arrays import chiral_volume, dihedral, superpose, transformed
from refine.structure.chemistry import chi_slots, chiral_centres, elements, radii, residue_bonds
from refine.structure.conformers import backbone_angles, ideal_residue, likely_rotamers, set_chi
from refine.structure.connections import left_atoms
from refine.structure.protein import Protein
from refine.structure.rotamer_field import Bare, Surroundings, packed

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_REACH = 12.0
"""Å from a CA within which other atoms can be in the way of its side chain."""
_CONTACT = 3.3
"""Å below which a built atom is in the way of another."""
_JUNCTION = 10.0
"""How much more an atom that missing ones hang on counts when a conformer is laid over the atoms that are there."""
_MISFIT = 10.0
"""How much more Å² at atoms that are there count than Å² of overlap."""

_MOSTLY_BARE = 0.5
"""Share of the residues with rotatable side chains that lack theirs from which on they are chosen together."""

_MIRROR = np.array([1.0, 1.0, -1.0])


@dataclasses.dataclass(frozen=True)
class Completion:
    """A protein with its side chains built.

    Attributes:
        protein: R = 1.
        built: residues that got atoms.
        replaced: those among them whose side chain was built anew as a whole, because the atoms that were there would
            have given it the wrong hand.
    """

    protein: Protein
    built: tuple[int, ...]
    replaced: tuple[int, ...]


def complete_side_chains(
    protein: Protein, d_residues: frozenset[int] = frozenset(), centres: Mapping[int, Array] | None = None
) -> Completion:
    """Build the side-chain atoms, and a missing O of the backbone, that replica 0 lacks where N, CA and C are there.

    Atoms that are there stay where they are, but for side chains that are ``replaced``. A chi angle whose atoms are
    there is kept; of the others the rotamer is taken that runs least into other atoms of the protein and its heavy
    hetero atoms. What left when a bond was made (``connections.left_atoms``) stays away. A whole protein comes back as
    it is. What ``d_residues`` lack is built with their hand.

    Args:
        protein: its replica 0 is completed.
        d_residues: those with a D-handed CA.
        centres: mean positions (3,) of the side-chain heavy atoms of residues that have no atom beyond CB, where they
            are known (beads of coarse models).
    """
    counts = np.array([len(ATOM14[aa]) for aa in protein.sequence])
    wanted = (np.arange(14) < counts[:, None]) & ~left_atoms(protein)
    due = np.flatnonzero((wanted & ~protein.mask).any(1) & protein.mask[:, :3].all(1)).tolist()
    if not due:
        return Completion(protein, (), ())
    coords, mask = protein.coords[0].astype(np.float64), protein.mask.copy()
    obstacles = np.array([h.position for h in protein.hetero if h.element not in ("H", "D", "X")]).reshape(-1, 3)
    hetero = cKDTree(obstacles)
    angles = backbone_angles(protein)
    for i in due:
        if protein.sequence[i] != "G" and not mask[i, 4]:
            template = ideal_residue(protein.sequence[i])
            coords[i, 4] = transformed(template, *superpose(template[:3], coords[i, :3]))[4]
            mask[i, 4] = True
    together = _chosen_together(protein, due, d_residues, centres or {})
    replaced: list[int] = []
    for i in [i for i in due if i not in together] + together:
        if i == next(iter(together), None):
            _pack(protein, together, coords, mask, angles, centres or {})
        aa = protein.sequence[i]
        others = coords[mask & (np.arange(len(protein)) != i)[:, None]]
        around = others[np.linalg.norm(others - coords[i, 1], axis=1) < _REACH]
        around = np.concatenate((around, obstacles[sorted(hetero.query_ball_point(coords[i, 1], _REACH))]))
        if i in d_residues:
            coords[i] = _MIRROR * _built(aa, _MIRROR * coords[i], mask[i], _MIRROR * around, -angles[i])
            mask[i] = wanted[i]
            continue
        built = _built(aa, coords[i], mask[i], around, angles[i])
        if not is_natural(built, aa) and not _hand_is_given(aa, protein.mask[i]):
            replaced.append(i)
            built = _built(aa, coords[i], mask[i] & (np.arange(14) < 4), around, angles[i])
        coords[i], mask[i] = built, wanted[i]
    complete = protein.with_coords(coords[None].astype(np.float32), oxt=protein.oxt, mask=mask)
    return Completion(complete, tuple(due), tuple(replaced))


def _chosen_together(
    protein: Protein, due: Sequence[int], d_residues: frozenset[int], centres: Mapping[int, Array]
) -> list[int]:
    """Residues whose rotatable side chain is missing beyond CB as a whole, when they are most of those that have one,
    or where the centre of the side chain is known.
    """
    rotatable = sum(bool(chi_slots(aa)) for aa in protein.sequence)
    bare = [i for i in due if chi_slots(protein.sequence[i]) and not protein.mask[i, 5:].any() and i not in d_residues]
    return bare if len(bare) > _MOSTLY_BARE * rotatable else [i for i in bare if i in centres]


def _pack(
    protein: Protein, due: Sequence[int], coords: Array, mask: Mask, angles: Array, centres: Mapping[int, Array]
) -> None:
    """Put the side chains of ``due`` into ``coords`` (L, 14, 3) and ``mask`` (L, 14), chosen together."""
    residue, slot = np.nonzero(mask)
    symbols = [elements(protein.sequence[i])[k] for i, k in zip(residue.tolist(), slot.tolist(), strict=True)]
    hetero = [h for h in protein.hetero if h.element not in ("H", "D", "X")]
    symbols += [h.element for h in hetero]
    around = Surroundings(
        positions=np.concatenate((coords[residue, slot], np.array([h.position for h in hetero]).reshape(-1, 3))),
        radius=radii(symbols),
        polar=np.isin([s.upper() for s in symbols], ("N", "O", "S")),
        residue=np.concatenate((residue, np.full(len(hetero), -1))),
    )
    unknown = np.full(3, np.nan)
    bare = {
        i: Bare(protein.sequence[i], coords[i], float(angles[i, 0]), float(angles[i, 1]), centres.get(i, unknown))
        for i in due
    }
    for i, atoms in packed(bare, around).items():
        coords[i] = atoms
        mask[i, 5 : len(ATOM14[protein.sequence[i]])] = True


def _built(aa: str, residue: Array, there: Mask, around: Array, angles: Array) -> Array:
    """The residue (14, 3) with the atoms not ``there`` (14,) taken from the conformer that fits best."""
    conformers = _conformers(aa, residue, there, angles)
    anchors = _anchors(there)
    missing = ~there & (np.arange(14) < len(ATOM14[aa]))
    hang_on = [b for pair in residue_bonds(aa) for a, b in (pair, pair[::-1]) if missing[a] and there[b]]
    weights = np.where(np.isin(anchors, hang_on), _JUNCTION, 1.0)
    fixed = residue[anchors]
    rot, shift = superpose(conformers[:, anchors], fixed, np.broadcast_to(weights, (len(conformers), len(anchors))))
    laid = transformed(conformers, rot, shift)
    misfit = ((laid[:, anchors] - fixed) ** 2).sum((1, 2))
    gap = cKDTree(around).query(laid[:, missing])[0] if len(around) else np.full((len(laid), 1), np.inf)
    overlap = (np.maximum(_CONTACT - gap, 0.0) ** 2).sum(1)
    best = laid[np.argmin(overlap + _MISFIT * misfit)]
    return np.where(missing[:, None], best, residue)


def _conformers(aa: str, residue: Array, there: Mask, angles: Array) -> Array:
    """Templates (K, 14, 3) with the chi angles that the atoms ``there`` have, and likely ones for the rest."""
    slots = chi_slots(aa)
    if not slots:
        return ideal_residue(aa)[None]
    chi, _ = likely_rotamers(aa, *angles)
    chi = chi.copy()
    for k, four in enumerate(slots):
        if there[list(four)].all():
            chi[:, k] = dihedral(*residue[list(four)])
    return set_chi(aa, ideal_residue(aa), chi)


def _anchors(there: Mask) -> NDArray[np.int64]:
    """Slots over which a conformer is laid: CA and the side chain when it is long enough, else the backbone, too.

    O is left out: it turns with psi, which no template has.
    """
    side = np.flatnonzero(there & (np.arange(14) >= 4))
    return np.array([1, *side]) if len(side) > 1 else np.array([0, 1, 2, *side])


def _hand_is_given(aa: str, in_input: Mask) -> bool:
    """Whether the input itself holds all atoms of every chiral centre: its hand is not ours to judge here."""
    return all(in_input[slot] for centre in chiral_centres(aa) for slot in centre)


def is_natural(residue: Array, aa: str) -> bool:
    """Whether the chiral centres of a complete residue (14, 3), CA and in Ile and Thr CB, have their natural hand."""
    return all(chiral_volume(*residue[list(centre)]) > 0 for centre in chiral_centres(aa))
