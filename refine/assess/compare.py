"""How close a model is to its native structure."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from refine.assess.lddt import lddt, swap_symmetric_atoms
from refine.assess.matching import Matching, match_residues
from refine.assess.stereochemistry import lddt_exclusions
from refine.assess.superposition import superposition_scores
from refine.assess.torsions import torsions
from refine.constants import ATOM14
from refine.errors import InputError
from refine.structure.protein import Protein

CA = 1


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Scores of replica 0 of a model against a native with L residues; per-residue arrays are in the native's order.

    Attributes:
        gdt_ts, gdt_ha: 0–100, by the native's length: unmatched native residues count as wrong.
        tm_score: 0–1, by the native's length.
        rmsd: Å, matched Cα, all superposed.
        lddt_ca, lddt: 0–1, Cα alone and all heavy atoms (symmetric atoms renamed in the model's favour); unmatched
            native residues count as wrong, atoms the native lacks count nowhere.
        lddt_checked: as ``lddt``, with parts of bad stereochemistry voided (Mariani et al. 2013; ``lddt_exclusions``).
        residue_lddt, residue_lddt_ca: (L,) 0–1; 0 for unmatched residues, NaN where the native has no local distance.
        residue_distance: (L,) Å between Cα in the superposition of the TM-score; NaN for unmatched residues.
        rotation, shift: that superposition, ``model @ rotation.T + shift``.
        matching: which residues were compared; ``matching.summary()`` is the line for reports.
    """

    gdt_ts: float
    gdt_ha: float
    tm_score: float
    rmsd: float
    lddt_ca: float
    lddt: float
    lddt_checked: float
    residue_lddt: NDArray[np.float64]
    residue_lddt_ca: NDArray[np.float64]
    residue_distance: NDArray[np.float64]
    rotation: NDArray[np.float64]
    shift: NDArray[np.float64]
    matching: Matching

    def totals(self) -> dict[str, float]:
        """The numbers of a report's row."""
        return {
            "gdt_ts": self.gdt_ts,
            "gdt_ha": self.gdt_ha,
            "tm_score": self.tm_score,
            "rmsd": self.rmsd,
            "lddt_ca": self.lddt_ca,
            "lddt": self.lddt,
            "lddt_checked": self.lddt_checked,
        }


def compare(model: Protein, native: Protein) -> Comparison:
    """Score replica 0 of a model against replica 0 of a native.

    Residues are matched as ``match_residues`` describes; residues that only the model has are ignored. Chains move as
    one body and are not permuted beyond that matching.

    Raises:
        InputError: fewer than three residues with Cα in both correspond.
    """
    matching = match_residues(model, native)
    both = model.mask[matching.model_index, CA] & native.mask[matching.native_index, CA]
    rows, columns = matching.model_index[both], matching.native_index[both]
    if len(rows) < 3:
        raise InputError(
            f"fewer than three CA atoms of {model.name} have a partner in {native.name}", remedy="Check both files"
        )
    native_length = int(native.mask[:, CA].sum())
    scores = superposition_scores(
        model.coords[0, rows, CA], native.coords[0, columns, CA], native_length, int(model.mask[:, CA].sum())
    )
    distance = np.full(len(native), np.nan)
    distance[columns] = scores.distances
    placed, mask = _in_native_order(model, native, matching)
    renamed = swap_symmetric_atoms(placed, native.coords[0], mask, native.mask, native.sequence)
    all_atoms = lddt(renamed, native.coords[0], mask, native.mask)
    trace = lddt(
        placed[:, CA : CA + 1], native.coords[0, :, CA : CA + 1], mask[:, CA : CA + 1], native.mask[:, CA : CA + 1]
    )
    voided = np.zeros_like(mask)
    voided[matching.native_index] = lddt_exclusions(model, torsions(model))[matching.model_index]
    checked = lddt(renamed, native.coords[0], mask, native.mask, excluded=voided)
    return Comparison(
        gdt_ts=scores.gdt_ts,
        gdt_ha=scores.gdt_ha,
        tm_score=scores.tm_score,
        rmsd=scores.rmsd,
        lddt_ca=trace.score,
        lddt=all_atoms.score,
        lddt_checked=checked.score,
        residue_lddt=all_atoms.per_residue,
        residue_lddt_ca=trace.per_residue,
        residue_distance=distance,
        rotation=scores.rotation,
        shift=scores.shift,
        matching=matching,
    )


def _in_native_order(
    model: Protein, native: Protein, matching: Matching
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The model's atoms (L, 14, 3) and mask (L, 14) in the native's residues and slots; atoms correspond by name."""
    coords, mask = np.zeros((len(native), 14, 3), np.float32), np.zeros((len(native), 14), dtype=bool)
    for i, j in zip(matching.model_index.tolist(), matching.native_index.tolist(), strict=True):
        source, target = model.sequence[i], native.sequence[j]
        if source == target:
            coords[j], mask[j] = model.coords[0, i], model.mask[i]
            continue
        for slot, name in enumerate(ATOM14[target]):
            if name in ATOM14[source]:
                other = ATOM14[source].index(name)
                coords[j, slot], mask[j, slot] = model.coords[0, i, other], model.mask[i, other]
    return coords, mask
