"""Side chains: missing atoms completed, severely clashing ones repacked by a small rotamer search."""

from __future__ import annotations

import functools
import time
from importlib import resources

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.constants import ATOM14, BOLTZMANN, ONE_TO_THREE
from refine.structure.arrays import dihedral, frames, turned_about
from refine.structure.atom_list import AtomList
from refine.structure.chemistry import POLAR_ALLOWANCE, chi_slots, downstream
from refine.structure.protein import Protein
from refine.structure.reference import rotamers

SEVERE_OVERLAP = 0.7
"""Å of overlap that makes a side chain worth repacking; smaller ones the minimiser resolves."""

_KT = BOLTZMANN * 300.0
_RARE = 0.003
_WIDE_SD = np.radians(15.0)
_WELL_DEPTH = 0.15
_WORST_PAIR = 12.0
_KEEP_BONUS = 1.0
_CONTACT = 6.0


@functools.cache
def ideal_residue(aa: str) -> NDArray[np.float64]:
    """Heavy atoms (14, 3) in Å of residue ``aa`` in pdbfixer's template (network not needed), zeros beyond its
    slots.
    """
    text = resources.files("pdbfixer").joinpath("templates", f"{ONE_TO_THREE[aa]}.pdb").read_text()
    residue = gemmi.read_pdb_string(text)[0][0][0]
    position = {atom.name: atom.pos.tolist() for atom in residue}
    out = np.zeros((14, 3))
    out[: len(ATOM14[aa])] = [position[name] for name in ATOM14[aa]]
    out.setflags(write=False)
    return out


def set_chi(aa: str, residue: NDArray[np.float64], chi: NDArray[np.float64]) -> NDArray[np.float64]:
    """Conformers of a residue with given chi angles; bond lengths and angles stay as they are.

    Args:
        aa: one-letter code.
        residue: (14, 3) Å.
        chi: (K, number of chi angles) in radians; NaN leaves an angle as it is.

    Returns:
        (K, 14, 3) Å.
    """
    x = np.repeat(np.asarray(residue, np.float64)[None], len(chi), axis=0)
    for k, slots in enumerate(chi_slots(aa)[: chi.shape[1]]):
        a, b, c, d = (x[:, slot] for slot in slots)
        turn = chi[:, k] - dihedral(a, b, c, d)
        moving = downstream(aa, k)
        x[:, moving] = turned_about(x[:, moving], c, c - b, np.where(np.isfinite(turn), turn, 0.0))
    return x


@functools.cache
def _library(aa: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Chi angles (K, n) in radians of every rotamer of ``aa`` and its number (K,); wide last angles at mean and ± one
    sd.
    """
    table = rotamers()[aa]
    mean, sd = table.mean, table.sd
    number = np.arange(len(mean))
    wide = number[sd[:, -1] > _WIDE_SD]
    step = np.zeros((len(wide), mean.shape[1]))
    step[:, -1] = sd[wide, -1]
    return np.concatenate((mean, mean[wide] - step, mean[wide] + step)), np.concatenate((number, wide, wide))


def candidates(aa: str, phi: float, psi: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotamers worth trying at a backbone conformation.

    Args:
        aa: one-letter code of a residue with rotatable side chain.
        phi, psi: radians; NaN where there is none.

    Returns:
        chi (K, n) in radians and costs (K,) in kcal/mol, -kT ln p at 300 K relative to the most frequent one.
    """
    chi, number = _library(aa)
    p = rotamers()[aa].given_backbone(phi, psi)[number]
    keep = p > _RARE
    return chi[keep], -_KT * np.log(p[keep] / p.max())


def backbone_angles(protein: Protein) -> NDArray[np.float64]:
    """Phi and psi (L, 2) in radians of replica 0, NaN at ends."""
    x = protein.coords[0].astype(np.float64)
    out = np.full((len(protein), 2), np.nan)
    i = np.nonzero(protein.bonded)[0]
    out[i + 1, 0] = dihedral(x[i, 2], x[i + 1, 0], x[i + 1, 1], x[i + 1, 2])
    out[i, 1] = dihedral(x[i, 0], x[i, 1], x[i, 2], x[i + 1, 0])
    return out


def complete_side_chains(protein: Protein) -> tuple[Protein, tuple[int, ...]]:
    """Build side-chain atoms that are missing (replica 0) where N, CA and C exist.

    The residue's template is laid on its backbone; a chi angle whose atoms all exist is taken over, others get the
    rotamer with the fewest overlaps. Atoms that exist stay where they are. Missing backbone atoms other than O are not
    built.

    Returns:
        the protein and the residues that were completed.
    """
    coords, mask = protein.coords.copy(), protein.mask.copy()
    angles = backbone_angles(protein)
    done = []
    for i, aa in enumerate(protein.sequence):
        wanted = len(ATOM14[aa])
        if mask[i, :wanted].all() or not mask[i, :3].all():
            continue
        around = coords[0][mask & (np.arange(len(protein)) != i)[:, None]].astype(np.float64)
        built = _build(aa, coords[0, i].astype(np.float64), mask[i], around, angles[i])
        absent = ~mask[i, :wanted]
        coords[0, i, :wanted][absent] = built[:wanted][absent]
        mask[i, :wanted] = True
        done.append(i)
    if not done:
        return protein, ()
    return protein.with_coords(coords, oxt=protein.oxt, mask=mask), tuple(done)


def _build(aa: str, known: NDArray, exists: NDArray[np.bool_], around: NDArray, angles: NDArray) -> NDArray[np.float64]:
    """Template conformer (14, 3) of ``aa`` that fits the known atoms and has the fewest overlaps with ``around``."""
    ideal = ideal_residue(aa)
    placed = (ideal - ideal[1]) @ frames(*ideal[:3]) @ frames(*known[:3]).T + known[1]
    slots = chi_slots(aa)
    if not slots:
        return placed
    grid = candidates(aa, *angles)[0].copy()
    for k, quad in enumerate(slots):
        if exists[list(quad)].all():
            grid[:, k] = dihedral(*known[list(quad)])
    conformers = set_chi(aa, placed, grid)
    far = np.linalg.norm(around - known[1], axis=1) > 12.0
    if not len(around) or far.all():
        return conformers[0]
    near = cKDTree(around[~far])
    distance, _ = near.query(conformers[:, 4 : len(ATOM14[aa])])
    return conformers[np.argmin((np.maximum(3.3 - distance, 0.0) ** 2).sum(1))]


def repack(
    protein: Protein, mobile: NDArray[np.bool_], ss_bonds: tuple[tuple[int, int], ...], deadline: float
) -> tuple[Protein, tuple[int, ...]]:
    """Turn chi angles of severely clashing side chains to the sterically best rotamer (replica 0).

    Residues with an overlap above ``SEVERE_OVERLAP`` at atoms beyond CB are visited worst first, twice at most, each
    taking the conformer of least truncated Lennard-Jones energy against everything else; its own conformer is among
    them and preferred. Disulfide cysteines, prolines, ``mobile`` False and residues with missing atoms stay as they
    are.

    Args:
        protein: R = 1.
        mobile: (L,).
        ss_bonds: bonded cysteine pairs.
        deadline: ``time.monotonic()`` value at which the search stops where it is.

    Returns:
        the protein and the residues whose side chain turned.
    """
    atoms = AtomList.from_protein(protein, ss_bonds)
    x = atoms.positions(protein)
    bridged = {i for pair in ss_bonds for i in pair}
    complete = np.array([protein.mask[i, : len(ATOM14[aa])].all() for i, aa in enumerate(protein.sequence)])
    free = [
        bool(mobile[i] and complete[i] and chi_slots(aa) and i not in bridged) for i, aa in enumerate(protein.sequence)
    ]
    angles = backbone_angles(protein)
    turned: set[int] = set()
    for _ in range(2):
        changed = False
        for i in _worst_first(atoms, x, np.array(free)):
            if time.monotonic() > deadline:
                break
            own = np.nonzero(atoms.residue == i)[0]
            best = _best_conformer(protein.sequence[i], angles[i], own, atoms, x)
            if best is not None:
                x[own] = best
                turned.add(i)
                changed = True
        if not changed:
            break
    if not turned:
        return protein, ()
    coords = protein.coords.copy()
    real = (atoms.residue >= 0) & (atoms.slot < 14)
    coords[0, atoms.residue[real], atoms.slot[real]] = x[real]
    return protein.with_coords(coords, oxt=protein.oxt), tuple(sorted(turned))


def _worst_first(atoms: AtomList, x: NDArray[np.float64], free: NDArray[np.bool_]) -> list[int]:
    pairs, overlap = atoms.overlaps(x, SEVERE_OVERLAP)
    score: dict[int, float] = {}
    for pair, depth in zip(pairs, overlap, strict=True):
        for a in pair:
            i = int(atoms.residue[a])
            if i >= 0 and free[i] and 5 <= atoms.slot[a] < 14:
                score[i] = score.get(i, 0.0) + float(depth)
    return sorted(score, key=lambda i: (-score[i], i))


def _best_conformer(
    aa: str, angles: NDArray[np.float64], own: NDArray[np.int64], atoms: AtomList, x: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Positions of the atoms ``own`` in a better conformer, None if the present one is best."""
    slots = atoms.slot[own]
    residue = np.zeros((14, 3))
    body = slots < 14
    residue[slots[body]] = x[own[body]]
    chi, cost = candidates(aa, *angles)
    conformers = np.concatenate((residue[None], set_chi(aa, residue, chi)))
    moving = own[body & (slots >= 5)]
    reach = np.linalg.norm(residue[5:] - residue[4], axis=1)[: len(ATOM14[aa]) - 5].max() + _CONTACT
    others = np.nonzero(np.linalg.norm(x - residue[4], axis=1) < reach)[0]
    others = others[~np.isin(others, moving)]
    allowed = atoms.radius[moving][:, None] + atoms.radius[others][None]
    allowed = allowed - 0.5 * POLAR_ALLOWANCE * (atoms.polar[moving][:, None] & atoms.polar[others][None])
    linked = atoms.excluded[moving][:, others].toarray() > 0
    gap = conformers[:, atoms.slot[moving]][:, :, None] - x[others][None, None]
    ratio6 = (0.95 * allowed / np.maximum(np.sqrt((gap**2).sum(-1)), 0.3)) ** 6
    energy = np.minimum(_WELL_DEPTH * (ratio6**2 - 2 * ratio6), _WORST_PAIR)
    total = np.where(linked, 0.0, energy).sum((1, 2)) + np.concatenate(([-_KEEP_BONUS], cost))
    best = int(np.argmin(total))
    if best == 0:
        return None
    out = x[own].copy()
    out[body] = conformers[best, slots[body]]
    return out
