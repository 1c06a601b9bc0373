"""Covalent connectivity, chi angles and radii of the heavy atoms, and the steric overlaps they imply."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from refine.constants import ATOM14, CHI_ATOMS
from refine.structure.protein import Protein

_BONDS = {
    "A": "CA-CB",
    "C": "CA-CB CB-SG",
    "D": "CA-CB CB-CG CG-OD1 CG-OD2",
    "E": "CA-CB CB-CG CG-CD CD-OE1 CD-OE2",
    "F": "CA-CB CB-CG CG-CD1 CG-CD2 CD1-CE1 CD2-CE2 CE1-CZ CE2-CZ",
    "G": "",
    "H": "CA-CB CB-CG CG-ND1 CG-CD2 ND1-CE1 CD2-NE2 CE1-NE2",
    "I": "CA-CB CB-CG1 CB-CG2 CG1-CD1",
    "K": "CA-CB CB-CG CG-CD CD-CE CE-NZ",
    "L": "CA-CB CB-CG CG-CD1 CG-CD2",
    "M": "CA-CB CB-CG CG-SD SD-CE",
    "N": "CA-CB CB-CG CG-OD1 CG-ND2",
    "P": "CA-CB CB-CG CG-CD CD-N",
    "Q": "CA-CB CB-CG CG-CD CD-OE1 CD-NE2",
    "R": "CA-CB CB-CG CG-CD CD-NE NE-CZ CZ-NH1 CZ-NH2",
    "S": "CA-CB CB-OG",
    "T": "CA-CB CB-OG1 CB-CG2",
    "V": "CA-CB CB-CG1 CB-CG2",
    "W": "CA-CB CB-CG CG-CD1 CG-CD2 CD1-NE1 NE1-CE2 CD2-CE2 CD2-CE3 CE2-CZ2 CE3-CZ3 CZ2-CH2 CZ3-CH2",
    "Y": "CA-CB CB-CG CG-CD1 CG-CD2 CD1-CE1 CD2-CE2 CE1-CZ CE2-CZ CZ-OH",
}
VDW_RADII = {"H": 1.22, "C": 1.75, "N": 1.55, "O": 1.40, "S": 1.80, "P": 1.80, "SE": 1.90}
"""Å, heavy-atom radii close to those of the Richardson laboratory's Probe for explicit hydrogens (carbon averaged)."""

DEFAULT_RADIUS = 1.6
CLASH_OVERLAP = 0.4
"""Å of overlap beyond which two atoms clash (Word et al. 1999)."""
POLAR_ALLOWANCE = 0.6
"""Å that two polar atoms (N, O, S in a hydrogen bond) may come closer than the sum of their radii."""
DISULFIDE_MAX = 2.5
"""Å, largest SG–SG distance taken as a disulfide bond."""


@functools.cache
def residue_bonds(aa: str) -> tuple[tuple[int, int], ...]:
    """Bonded slot pairs within residue ``aa`` (one-letter code)."""
    names = ATOM14[aa]
    pairs = ["N-CA", "CA-C", "C-O", *_BONDS[aa].split()]
    return tuple((names.index(a), names.index(b)) for a, b in (p.split("-") for p in pairs))


@functools.cache
def chi_slots(aa: str) -> tuple[tuple[int, int, int, int], ...]:
    """Slots of the four atoms of each chi angle; proline's ring is not rotatable and has none."""
    if aa == "P":
        return ()
    a = ATOM14[aa].index
    return tuple((a(i), a(j), a(k), a(m)) for i, j, k, m in CHI_ATOMS[aa])


@functools.cache
def downstream(aa: str, chi: int) -> NDArray[np.int64]:
    """Slots that turn with chi number ``chi`` (0-based) of residue ``aa``: those beyond its central bond."""
    _, b, c, _ = chi_slots(aa)[chi]
    neighbours: dict[int, set[int]] = {}
    for i, j in residue_bonds(aa):
        neighbours.setdefault(i, set()).add(j)
        neighbours.setdefault(j, set()).add(i)
    seen, todo = {b, c}, [c]
    while todo:
        fresh = neighbours[todo.pop()] - seen
        seen |= fresh
        todo += fresh
    return np.array(sorted(seen - {b, c}), dtype=np.int64)


@functools.cache
def elements(aa: str) -> tuple[str, ...]:
    """Element symbols of the slots of residue ``aa``."""
    return tuple(name[0] for name in ATOM14[aa])


def radii(symbols: tuple[str, ...] | list[str]) -> NDArray[np.float64]:
    """Van der Waals radii in Å of element symbols."""
    return np.array([VDW_RADII.get(s.upper(), DEFAULT_RADIUS) for s in symbols])


def disulfides(protein: Protein, coords: NDArray[np.float32]) -> tuple[tuple[int, int], ...]:
    """Residue pairs whose SG atoms lie within ``DISULFIDE_MAX``, each cysteine at most once, closest pairs first.

    Args:
        protein: gives sequence and mask.
        coords: (L, 14, 3) Å.
    """
    slot = ATOM14["C"].index("SG")
    index = [i for i, aa in enumerate(protein.sequence) if aa == "C" and protein.mask[i, slot]]
    if len(index) < 2:
        return ()
    sulfur = coords[index, slot].astype(np.float64)
    pairs = cKDTree(sulfur).query_pairs(DISULFIDE_MAX, output_type="ndarray")
    order = np.argsort(np.linalg.norm(sulfur[pairs[:, 0]] - sulfur[pairs[:, 1]], axis=1), kind="stable")
    used: set[int] = set()
    found = []
    for a, b in pairs[order]:
        if a not in used and b not in used:
            used |= {a, b}
            found.append((index[a], index[b]))
    return tuple(sorted(found))


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
    def from_protein(cls, protein: Protein, ss_bonds: tuple[tuple[int, int], ...] = ()) -> AtomList:
        """Atoms present in ``protein`` with its covalent graph and the disulfides ``ss_bonds``."""
        residue, slot = (x.tolist() for x in np.nonzero(protein.mask))
        symbols = [elements(protein.sequence[i])[k] for i, k in zip(residue, slot, strict=True)]
        for i in np.nonzero(protein.oxt_mask)[0].tolist():
            residue, slot, symbols = [*residue, i], [*slot, 14], [*symbols, "O"]
        at = {(int(i), int(k)): n for n, (i, k) in enumerate(zip(residue, slot, strict=True))}
        bonds = [((i, a), (i, b)) for i, aa in enumerate(protein.sequence) for a, b in residue_bonds(aa)]
        bonds += [((int(i), 2), (int(i) + 1, 0)) for i in np.nonzero(protein.bonded)[0]]
        bonds += [((int(i), 2), (int(i), 14)) for i in np.nonzero(protein.oxt_mask)[0]]
        bonds += [((i, 5), (j, 5)) for i, j in ss_bonds]
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
