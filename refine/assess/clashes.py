"""Clashscore: serious overlaps of atoms that are not bonded, per thousand atoms.

After Probe and MolProbity (Word et al. 1999, J Mol Biol 285:1711; Chen et al. 2010): an overlap of the van der Waals
radii of 0.4 Å or more, all atoms and hydrogens counted, atoms up to three bonds apart (four when a hydrogen takes part)
left out, hydrogen bonds allowed 0.6 Å (0.8 Å between charged groups) more.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, identity
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
MOST_AT_ONCE = 200_000
"""Distances that are computed at a time, which bounds the memory."""
SLACK = 1e-6
"""Å for rounding: a dot lies no deeper in an atom than the two atoms overlap."""
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
        for i, j, overlap in sorted(zip(*_serious(atoms), strict=True), key=lambda clash: -clash[2])
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
    step = (atoms.bonds + identity(len(atoms.position), format="csr")).tocsr()
    three = step @ step @ step
    four = (three @ step).tocoo()
    end = atoms.hydrogen[four.row] | atoms.hydrogen[four.col]
    extra = coo_matrix((np.ones(int(end.sum())), (four.row[end], four.col[end])), shape=four.shape)
    return (three + extra.tocsr()).tocsr()


def _serious(atoms: _Atoms) -> tuple[list[int], list[int], list[float]]:
    """The pairs of atoms that clash, a smaller and a larger index, and their overlaps in Å.

    A pair counts when a dot on one atom's surface lies 0.4 Å or more inside the other, no other atom is nearer to the
    dot, and the dot is not covered by an atom that is bonded to its own.
    """
    pairs = cKDTree(atoms.position).query_pairs(2 * atoms.radius.max() - CLASH_OVERLAP + SLACK, output_type="ndarray")
    a, b = pairs[:, 0], pairs[:, 1]
    raw = atoms.radius[a] + atoms.radius[b] - np.linalg.norm(atoms.position[a] - atoms.position[b], axis=-1)
    pairs = pairs[raw >= CLASH_OVERLAP - SLACK]
    excluded = _excluded(atoms)
    pairs = pairs[np.asarray(excluded[pairs[:, 0], pairs[:, 1]]).reshape(-1) == 0]
    dots = _inside(atoms, np.concatenate([pairs, pairs[:, ::-1]])).deepest()
    dots = dots.at(~_covered(atoms, dots, excluded))
    depth = dots.depth - _allowance(atoms, dots.source, dots.target)
    clashing = depth >= CLASH_OVERLAP
    i, j = (end(dots.source, dots.target)[clashing] for end in (np.minimum, np.maximum))
    order = np.lexsort((-depth[clashing], j, i))
    i, j, depth = i[order], j[order], depth[clashing][order]
    deepest = np.ones(len(i), dtype=bool)
    deepest[1:] = (np.diff(i) != 0) | (np.diff(j) != 0)
    return i[deepest].tolist(), j[deepest].tolist(), depth[deepest].tolist()


@dataclasses.dataclass(frozen=True)
class _Dots:
    """Dots on the surfaces of atoms ``source`` that lie in atoms ``target``, ``depth`` Å deep (N,); ``number`` is the
    dot's on its atom, ``position`` (N, 3) where it is.
    """

    source: NDArray[np.int64]
    number: NDArray[np.int64]
    target: NDArray[np.int64]
    depth: NDArray[np.float64]
    position: NDArray[np.float64]

    def at(self, which: NDArray[Any]) -> _Dots:
        """Some of them."""
        return _Dots(*(getattr(self, field.name)[which] for field in dataclasses.fields(self)))

    def deepest(self) -> _Dots:
        """Each dot once, in the atom that it lies deepest in, by atoms and dots."""
        sorted_ = self.at(np.lexsort((self.target, -self.depth, self.number, self.source)))
        first = np.ones(len(sorted_.depth), dtype=bool)
        first[1:] = (np.diff(sorted_.source) != 0) | (np.diff(sorted_.number) != 0)
        return sorted_.at(first)


def _inside(atoms: _Atoms, pairs: NDArray[np.int64]) -> _Dots:
    """Dots of atoms (P, 2)[:, 0] that lie far enough in the atoms [:, 1] to clash."""
    none = np.zeros(0, np.int64)
    found = [_Dots(none, none, none, np.zeros(0), np.zeros((0, 3)))]
    for radius in np.unique(atoms.radius[pairs[:, 0]]):
        sphere = radius * _sphere(round(DOTS_PER_SQUARE * 4 * np.pi * radius**2))
        same = pairs[atoms.radius[pairs[:, 0]] == radius]
        for part in np.array_split(same, -(-len(same) * len(sphere) // MOST_AT_ONCE)):
            source, target = part[:, 0], part[:, 1]
            place = atoms.position[source, None] + sphere
            depth = atoms.radius[target, None] - np.linalg.norm(place - atoms.position[target, None], axis=-1)
            k, number = np.nonzero(depth >= CLASH_OVERLAP)
            found.append(_Dots(source[k], number, target[k], depth[k, number], place[k, number]))
    return _Dots(*(np.concatenate([getattr(one, f.name) for one in found]) for f in dataclasses.fields(_Dots)))


def _covered(atoms: _Atoms, dots: _Dots, excluded: csr_matrix) -> NDArray[np.bool_]:
    """Which dots (N,) lie in an atom that is bonded to their own."""
    covered = np.zeros(len(dots.source), dtype=bool)
    begin, count = excluded.indptr[dots.source], np.diff(excluded.indptr)[dots.source]
    for part in np.array_split(np.arange(len(covered)), -(-int(count.sum()) // MOST_AT_ONCE) or 1):
        dot = np.repeat(part, count[part])
        within = np.arange(len(dot)) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
        other = excluded.indices[begin[dot] + within]
        apart = np.linalg.norm(dots.position[dot] - atoms.position[other], axis=-1)
        covered[dot[(apart <= atoms.radius[other]) & (other != dots.source[dot])]] = True
    return covered


def _allowance(atoms: _Atoms, source: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
    """Å (N,) that hydrogen bonds may overlap; 0 for other contacts and between equal charges."""
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
