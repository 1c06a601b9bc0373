"""Clashscore: serious overlaps of atoms that are not bonded, per thousand atoms.

After Probe and MolProbity (Word et al. 1999, J Mol Biol 285:1711; Chen et al. 2010): an overlap of the van der Waals
radii of 0.4 Å or more, all atoms and hydrogens counted, atoms up to three bonds apart (four when a hydrogen takes part)
left out, hydrogen bonds allowed 0.6 Å (0.8 Å between charged groups) more.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.spatial import cKDTree

from refine.assess.hydrogens import Hydrogens, add_hydrogens
from refine.constants import ATOM14
from refine.structure.chemistry import (
    CLASH_OVERLAP,
    POLAR_ALLOWANCE,
    PROBE_RADII,
    PROBE_RADIUS_CARBONYL,
    PROBE_RADIUS_H,
    PROBE_RADIUS_H_AROMATIC,
    PROBE_RADIUS_H_POLAR,
    SALT_BRIDGE_ALLOWANCE,
    disulfides,
    residue_bonds,
)
from refine.structure.protein import Protein

DOTS_PER_SQUARE = 16.0
CARBONYL = {"D": ("CG",), "E": ("CD",), "N": ("CG",), "Q": ("CD",)}
"""Side-chain carbons of C=O, beside the backbone's C."""
NEGATIVE = {"D": ("OD1", "OD2"), "E": ("OE1", "OE2")}
POSITIVE = {"K": ("NZ",), "R": ("NE", "NH1", "NH2")}
RING_ACCEPTORS = {"F": "CG CD1 CD2 CE1 CE2 CZ", "Y": "CG CD1 CD2 CE1 CE2 CZ", "W": "CD2 CE2 CE3 CZ2 CZ3 CH2"}
"""Aromatic carbons that may accept hydrogen bonds."""


@dataclasses.dataclass(frozen=True)
class Clash:
    """Two atoms that overlap: residue indices, atom names (hydrogens as ``"H-" + parent``), overlap in Å."""

    residues: tuple[int, int]
    atoms: tuple[str, str]
    overlap: float


@dataclasses.dataclass(frozen=True)
class Clashes:
    """Clashes of replica 0, worst first, of ``atoms`` atoms with hydrogens; ``score`` is clashes per 1000 atoms."""

    score: float
    clashes: tuple[Clash, ...]
    atoms: int

    def per_residue(self, length: int) -> NDArray[np.int64]:
        """How many clashes each residue takes part in (L,)."""
        count = np.zeros(length, dtype=np.int64)
        for clash in self.clashes:
            for residue in set(clash.residues):
                count[residue] += 1
        return count


@dataclasses.dataclass(frozen=True)
class _Atoms:
    """All atoms, heavy ones first; ``bonds`` is their symmetric adjacency."""

    position: NDArray[np.float64]
    radius: NDArray[np.float64]
    residue: NDArray[np.int64]
    name: list[str]
    hydrogen: NDArray[np.bool_]
    donor: NDArray[np.bool_]
    acceptor: NDArray[np.bool_]
    charge: NDArray[np.int64]
    bonds: csr_matrix


def clashes(protein: Protein) -> Clashes:
    """Clashes within the protein; ligands, waters and other hetero atoms are not looked at."""
    atoms = _atoms(protein, add_hydrogens(protein))
    worst_first = tuple(
        Clash((int(atoms.residue[i]), int(atoms.residue[j])), (atoms.name[i], atoms.name[j]), overlap)
        for (i, j), overlap in sorted(_serious(atoms).items(), key=lambda item: -item[1])
    )
    count = len(atoms.position)
    return Clashes(1000 * len(worst_first) / max(count, 1), worst_first, count)


def _atoms(protein: Protein, hydrogens: Hydrogens) -> _Atoms:
    flat = np.flatnonzero(protein.mask.reshape(-1))
    row = np.full(14 * len(protein), -1)
    row[flat] = np.arange(len(flat))
    ends = np.flatnonzero(protein.oxt_mask)
    heavy_residue = np.concatenate([flat // 14, ends])
    names = [ATOM14[protein.sequence[f // 14]][f % 14] for f in flat] + ["OXT"] * len(ends)
    sequence = [protein.sequence[i] for i in heavy_residue]
    carbonyl = [n == "C" or n in CARBONYL.get(aa, ()) for n, aa in zip(names, sequence, strict=True)]
    radius = np.array([PROBE_RADIUS_CARBONYL if c else PROBE_RADII[n[0]] for n, c in zip(names, carbonyl, strict=True)])
    charge = np.array(
        [
            (n in POSITIVE.get(aa, ())) - (n == "OXT" or n in NEGATIVE.get(aa, ()))
            for n, aa in zip(names, sequence, strict=True)
        ]
    )
    parent = row[hydrogens.parent]
    tautomer = np.zeros(len(names), dtype=bool)
    tautomer[parent] = True
    acceptor = [
        n[0] == "O" or n in RING_ACCEPTORS.get(aa, "").split() or (aa == "H" and n in ("ND1", "NE2") and not h)
        for n, aa, h in zip(names, sequence, tautomer, strict=True)
    ]
    radius_h = np.where(
        hydrogens.polar, PROBE_RADIUS_H_POLAR, np.where(hydrogens.aromatic, PROBE_RADIUS_H_AROMATIC, PROBE_RADIUS_H)
    )
    none = np.zeros(len(parent), dtype=bool)
    return _Atoms(
        position=np.concatenate(
            [protein.coords[0].reshape(-1, 3)[flat], protein.oxt[0, ends], hydrogens.positions]
        ).astype(np.float64),
        radius=np.concatenate([radius, radius_h]),
        residue=np.concatenate([heavy_residue, heavy_residue[parent]]),
        name=names + [f"H-{names[p]}" for p in parent],
        hydrogen=np.concatenate([np.zeros(len(names), dtype=bool), ~none]),
        donor=np.concatenate([np.zeros(len(names), dtype=bool), hydrogens.polar]),
        acceptor=np.concatenate([np.array(acceptor, dtype=bool), none]),
        charge=np.concatenate([charge, charge[parent]]),
        bonds=_bonds(protein, row, ends, parent, len(flat)),
    )


def _bonds(
    protein: Protein, row: NDArray[np.int64], ends: NDArray[np.int64], parent: NDArray[np.int64], heavy: int
) -> csr_matrix:
    pairs: list[tuple[int, int]] = []
    for i, aa in enumerate(protein.sequence):
        pairs += [(14 * i + a, 14 * i + b) for a, b in residue_bonds(aa)]
        if protein.bonded[i]:
            pairs.append((14 * i + 2, 14 * (i + 1)))
    pairs += [(14 * i + 5, 14 * j + 5) for i, j in disulfides(protein)]
    bonded = row[np.array(pairs, np.int64).reshape(-1, 2)]
    bonded = bonded[(bonded >= 0).all(1)]
    to_ends = np.stack([row[14 * ends + 2], heavy + np.arange(len(ends))], 1)
    to_hydrogens = np.stack([parent, heavy + len(ends) + np.arange(len(parent))], 1)
    every = np.concatenate([bonded, to_ends[to_ends[:, 0] >= 0], to_hydrogens])
    n = heavy + len(ends) + len(parent)
    half = coo_matrix((np.ones(len(every)), (every[:, 0], every[:, 1])), shape=(n, n)).tocsr()
    return half + half.T


def _excluded(atoms: _Atoms) -> csr_matrix:
    """Pairs of atoms too close along the bonds to clash: up to three bonds, four when a hydrogen is at an end; and each
    atom itself.
    """
    step = atoms.bonds.copy().tolil()
    step.setdiag(1)
    step = step.tocsr()
    three = step @ step @ step
    four = (three @ step).tocoo()
    end = atoms.hydrogen[four.row] | atoms.hydrogen[four.col]
    extra = coo_matrix((np.ones(int(end.sum())), (four.row[end], four.col[end])), shape=four.shape)
    return (three + extra.tocsr()).tocsr()


def _serious(atoms: _Atoms) -> dict[tuple[int, int], float]:
    """Overlaps in Å of the pairs of atoms that clash.

    A pair counts when a dot on one atom's surface lies 0.4 Å or more inside the other, no other atom is nearer to the
    dot, and the dot is not covered by an atom that is bonded to its own.
    """
    tree = cKDTree(atoms.position)
    pairs = tree.query_pairs(2 * atoms.radius.max() - CLASH_OVERLAP, output_type="ndarray")
    a, b = pairs[:, 0], pairs[:, 1]
    raw = atoms.radius[a] + atoms.radius[b] - np.linalg.norm(atoms.position[a] - atoms.position[b], axis=-1)
    excluded = _excluded(atoms)
    touching = (raw >= CLASH_OVERLAP) & (np.asarray(excluded[a, b]).reshape(-1) == 0)
    overlaps: dict[tuple[int, int], float] = {}
    reach = atoms.radius.max()
    for source in np.unique(pairs[touching]):
        near = np.array(tree.query_ball_point(atoms.position[source], atoms.radius[source] + reach), np.int64)
        bonded = np.isin(near, excluded.indices[excluded.indptr[source] : excluded.indptr[source + 1]])
        for target, overlap in _dot_overlaps(
            atoms, int(source), near[~bonded], near[bonded & (near != source)]
        ).items():
            key = (min(int(source), target), max(int(source), target))
            overlaps[key] = max(overlaps.get(key, 0.0), overlap)
    return overlaps


def _dot_overlaps(atoms: _Atoms, source: int, others: NDArray[np.int64], bonded: NDArray[np.int64]) -> dict[int, float]:
    """Largest serious overlap of the dots of ``source`` with each of ``others`` that they meet first."""
    dots = atoms.position[source] + atoms.radius[source] * _sphere(
        round(DOTS_PER_SQUARE * 4 * np.pi * atoms.radius[source] ** 2)
    )
    covered = np.linalg.norm(dots[:, None] - atoms.position[bonded], axis=-1) <= atoms.radius[bonded]
    dots = dots[~covered.any(1)]
    if len(dots) == 0 or len(others) == 0:
        return {}
    depth = atoms.radius[others] - np.linalg.norm(dots[:, None] - atoms.position[others], axis=-1)
    nearest = depth.argmax(1)
    depth = depth[np.arange(len(dots)), nearest] - _allowance(atoms, source, others)[nearest]
    largest = np.full(len(others), -np.inf)
    np.maximum.at(largest, nearest, depth)
    return {int(others[k]): float(largest[k]) for k in np.flatnonzero(largest >= CLASH_OVERLAP)}


def _allowance(atoms: _Atoms, source: int, others: NDArray[np.int64]) -> NDArray[np.float64]:
    """Å that hydrogen bonds may overlap with ``source``; 0 for other contacts and between equal charges."""
    bond = (atoms.donor[source] & atoms.acceptor[others]) | (atoms.acceptor[source] & atoms.donor[others])
    product = atoms.charge[source] * atoms.charge[others]
    return np.where(bond & (product <= 0), np.where(product < 0, SALT_BRIDGE_ALLOWANCE, POLAR_ALLOWANCE), 0.0)


@functools.cache
def _sphere(count: int) -> NDArray[np.float64]:
    """Evenly spread unit vectors (count, 3), a Fibonacci spiral."""
    k = np.arange(count) + 0.5
    z, turn = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    ring = np.sqrt(1 - z**2)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=-1)
