"""A protein as read becomes one with all its heavy atoms; gaps stay gaps, and every repair leaves a note."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from refine.constants import ATOM14, ONE_TO_THREE
from refine.errors import InputError
from refine.structure.backbone import complete_backbone, neighbours, place_oxt
from refine.structure.connections import connections
from refine.structure.hands import mend_hands
from refine.structure.notes import Note
from refine.structure.overlaps import refuse_built_overlaps
from refine.structure.peptides import peptide_notes
from refine.structure.protein import Protein, peptide_bonds
from refine.structure.read import ReadResult
from refine.structure.side_chains import complete_side_chains

Mask = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class RepairResult:
    """A protein with all heavy atoms. ``notes`` are those of the repair alone; those of reading are in
    ``ReadResult.notes``.
    """

    protein: Protein
    notes: tuple[Note, ...]


def repair(result: ReadResult, keep_hands: Mask | None = None) -> RepairResult:
    """Place the heavy atoms that a file lacks, and mend wrong hands.

    Backbones are laid by ideal geometry (from CA atoms alone if need be), side chains built from pdbfixer's templates
    (around their centres where the file has these), OXT placed at chain ends. Atoms that are there keep every bit,
    unless their hand is wrong (see ``mend_hands``) or that of a side chain built upon them. No residue is added, no gap
    is closed, the network is never used, hetero atoms stay and keep built atoms out. Atoms placed get occupancy 1 and
    the B factor of their residue's CA. A complete protein comes back as it is.

    Args:
        result: what was read.
        keep_hands: (L,) residues whose hand stays as it is, right or wrong; None for none.

    Raises:
        InputError: a residue has too few backbone atoms to be completed, or what is built would lie on other atoms.
    """
    protein = result.protein
    mask, sequence = protein.mask, protein.sequence
    coords, new_mask, notes = _backbone(protein, result.path)
    bonded = protein.bonded
    if notes:
        bonded = peptide_bonds(coords.astype(np.float32), new_mask, protein.residue_ids)
    traced = dataclasses.replace(protein, coords=coords.astype(np.float32)[None], mask=new_mask, bonded=bonded)
    handed = mend_hands(traced, keep_hands)
    notes += [*handed.notes, *peptide_notes(traced)]
    protein = dataclasses.replace(protein, b_factors=handed.protein.b_factors, occupancies=handed.protein.occupancies)
    centres = {i: np.array(place) for i, place in result.centres.items()}
    completion = complete_side_chains(handed.protein, handed.d_residues, centres)
    coords, new_mask = completion.protein.coords[0].astype(np.float64), completion.protein.mask
    for i in map(int, np.flatnonzero((new_mask & ~mask)[:, 4:].any(1))):
        names = [ATOM14[sequence[i]][slot] for slot in np.flatnonzero(new_mask[i] & ~mask[i]) if slot > 3]
        what = (
            "the side chain was"
            if not mask[i, 4:].any()
            else f"{' '.join(names)} {'were' if len(names) > 1 else 'was'}"
        )
        notes.append(_note("rebuilt", protein, i, f"{what} missing and built"))
    for i in completion.replaced:
        notes.append(
            _note(
                "chirality",
                protein,
                i,
                "the side-chain atoms in the file would have given a wrong hand; the whole side chain was built anew",
            )
        )
    oxt, oxt_mask, more = _oxt(protein, coords)
    notes += more
    if not notes:
        return RepairResult(result.protein, ())
    completed = _completed(protein, coords, new_mask, bonded, oxt, oxt_mask)
    built = np.concatenate((new_mask & ~mask, (oxt_mask & ~protein.oxt_mask)[:, None]), axis=1)
    refuse_built_overlaps(completed, built, result.path)
    table, _ = connections(completed, result.links)
    return RepairResult(dataclasses.replace(completed, connections=table), tuple(notes))


def _note(kind: str, protein: Protein, i: int, message: str) -> Note:
    identity = protein.residue_ids[i]
    return Note(kind, message, identity.chain, _label(protein, i))


def _label(protein: Protein, i: int) -> str:
    identity = protein.residue_ids[i]
    return f"{identity.number}{identity.insertion} {ONE_TO_THREE[protein.sequence[i]]}"


def _backbone(protein: Protein, file: str) -> tuple[NDArray[np.float64], Mask, list[Note]]:
    coords, mask = protein.coords[0].astype(np.float64), protein.mask
    if mask[:, :4].all():
        return coords, mask, []
    near = neighbours(coords, mask, [r.chain for r in protein.residue_ids], [r.number for r in protein.residue_ids])
    coords, new_mask = complete_backbone(coords, mask, near)
    notes = []
    for i in np.flatnonzero(~mask[:, :4].all(1)):
        lost = [name for slot, name in enumerate(ATOM14["G"]) if not new_mask[i, slot]]
        if lost:
            raise InputError(
                f"The backbone atoms {' '.join(lost)} are missing and too little is there to place them",
                file=file or None, chain=protein.residue_ids[i].chain, residue=_label(protein, int(i)),
                remedy="Remove the residue, or give a model with whole backbones",
            )  # fmt: skip
        names = [name for slot, name in enumerate(ATOM14["G"]) if not mask[i, slot]]
        notes.append(
            _note(
                "backbone",
                protein,
                int(i),
                f"{' '.join(names)} {'were' if len(names) > 1 else 'was'} missing and placed",
            )
        )
    return coords, new_mask, notes


def _oxt(protein: Protein, coords: NDArray[np.float64]) -> tuple[NDArray[np.float32], Mask, list[Note]]:
    """Terminal oxygens, added to the last residue of every chain unless something is bonded to its C."""
    oxt, oxt_mask = protein.oxt.copy(), protein.oxt_mask.copy()
    notes = []
    last = {identity.chain: i for i, identity in enumerate(protein.residue_ids)}
    bonded_ends = {s.residue for c in protein.connections for s in (c.first, c.second) if s.slot == 2}
    for i in last.values():
        if oxt_mask[i] or i in bonded_ends:
            continue
        oxt[0, i], oxt_mask[i] = place_oxt(*coords[i, :4]), True
        notes.append(_note("rebuilt", protein, i, "OXT of the chain's end was missing and placed"))
    return oxt, oxt_mask, notes


def _completed(
    protein: Protein, coords: NDArray[np.float64], mask: Mask, bonded: Mask, oxt: NDArray[np.float32], oxt_mask: Mask
) -> Protein:
    """The protein with its new atoms; what was there keeps its float32 bits, new atoms get the B factor of CA and
    occupancy 1.
    """
    added = mask & ~protein.mask
    new = coords.astype(np.float32)
    new[~mask] = 0.0
    return dataclasses.replace(
        protein,
        coords=new[None],
        mask=mask,
        bonded=bonded,
        oxt=oxt,
        oxt_mask=oxt_mask,
        b_factors=np.where(added, protein.b_factors[:, 1:2], protein.b_factors),
        occupancies=np.where(added, np.float32(1), protein.occupancies),
    )
