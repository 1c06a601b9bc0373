"""All heavy atoms of a protein in a flat list, and how much they overlap."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from refine.structure.chemistry import POLAR_ALLOWANCE, elements, radii, residue_bonds
from refine.structure.protein import Protein


@dataclasses.dataclass(frozen=True)
class AtomList:
    """All heavy atoms of a protein in a flat list, hetero atoms last.

    Attributes:
        residue: (A,) residue index, -1 for hetero atoms.
        slot: (A,) slot in ``Protein.coords``; 14 for OXT, -1 for hetero atoms.
        radius: (A,) Å.
        polar: (A,) N, O, S.
        excluded: (A, A) sparse, non-zero where two atoms are at most three bonds apart.
    """

    residue: NDArray[np.int64]
    slot: NDArray[np.int64]
    radius: NDArray[np.float64]
    polar: NDArray[np.bool_]
    excluded: csr_matrix

    @classmethod
    def from_protein(cls, protein: Protein) -> AtomList:
        """Atoms present in ``protein`` with its covalent graph, its connections included."""
        residue, slot = (x.tolist() for x in np.nonzero(protein.mask))
        symbols = [elements(protein.sequence[i])[k] for i, k in zip(residue, slot, strict=True)]
        for i in np.nonzero(protein.oxt_mask)[0].tolist():
            residue, slot, symbols = [*residue, i], [*slot, 14], [*symbols, "O"]
        at: dict[tuple[int, ...], int] = {(i, k): n for n, (i, k) in enumerate(zip(residue, slot, strict=True))}
        bonds: list[tuple[tuple[int, ...], tuple[int, ...]]]
        bonds = [((i, a), (i, b)) for i, aa in enumerate(protein.sequence) for a, b in residue_bonds(aa)]
        bonds += [((int(i), 2), (int(i) + 1, 0)) for i in np.nonzero(protein.bonded)[0]]
        bonds += [((int(i), 2), (int(i), 14)) for i in np.nonzero(protein.oxt_mask)[0]]
        at |= {(-1, k): len(symbols) + k for k in range(len(protein.hetero))}
        bonds += [(tuple(c.first), tuple(c.second)) for c in protein.connections]
        bonds += [(tuple(rider.parent), (-1, rider.hetero)) for rider in protein.riders]
        edges = np.array([(at[a], at[b]) for a, b in bonds if a in at and b in at], dtype=np.int64).reshape(-1, 2)
        symbols += [h.element for h in protein.hetero]
        count = len(symbols)
        graph = csr_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
        graph = graph + graph.T
        reach = graph + graph @ graph + graph @ graph @ graph
        fill = [-1] * len(protein.hetero)
        return cls(
            residue=np.array([*residue, *fill], dtype=np.int64),
            slot=np.array([*slot, *fill], dtype=np.int64),
            radius=radii(symbols),
            polar=np.isin([s.upper() for s in symbols], ("N", "O", "S")),
            excluded=reach.tocsr(),
        )

    def positions(self, protein: Protein) -> NDArray[np.float64]:
        """Positions (A, 3) in Å of the atoms in replica 0 of ``protein``."""
        all_slots = np.concatenate((protein.coords[0], protein.oxt[0][:, None]), axis=1).astype(np.float64)
        own = self.residue >= 0
        out = np.zeros((len(self.residue), 3))
        out[own] = all_slots[self.residue[own], self.slot[own]]
        if protein.hetero:
            out[~own] = np.array([h.position for h in protein.hetero])
        return out

    def overlaps(self, positions: NDArray[np.float64], least: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Non-bonded pairs that overlap by more than ``least`` Å; hetero–hetero pairs are left out.

        Returns:
            pairs (P, 2) of atom indices and overlaps (P,) in Å.
        """
        pairs = cKDTree(positions).query_pairs(2 * self.radius.max(initial=0.1) - least, output_type="ndarray")
        i, j = pairs[:, 0], pairs[:, 1]
        allowed = self.radius[i] + self.radius[j] - POLAR_ALLOWANCE * (self.polar[i] & self.polar[j])
        overlap = allowed - np.linalg.norm(positions[i] - positions[j], axis=1)
        bonded = np.asarray(self.excluded[i, j]).ravel() > 0
        keep = (overlap > least) & ~bonded & ((self.residue[i] >= 0) | (self.residue[j] >= 0))
        order = np.lexsort((j[keep], i[keep]))
        return pairs[keep][order].astype(np.int64), overlap[keep][order]
