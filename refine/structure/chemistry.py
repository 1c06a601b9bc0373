"""The chemistry of proteins in one table: bonds, chi angles, radii, chiral centres, cis and trans, disulfides."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from refine.constants import ATOM14, CHI_ATOMS
from refine.structure.arrays import chiral_volume
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

# Radii in Å. Each kind of contact has its own, because each is judged by other atoms; none may stand for another.

HEAVY_ATOM_RADII = {"H": 1.22, "C": 1.75, "N": 1.55, "O": 1.40, "S": 1.80, "P": 1.80, "SE": 1.90}
"""Overlaps without hydrogens (``atom_list``: what finishing repacks, chooses by and is obstructed by): those of Probe
below, carbon averaged over its kinds."""
DEFAULT_RADIUS = 1.6
"""Of the elements that ``HEAVY_ATOM_RADII`` does not list, metals above all."""

PROBE_RADII = {"C": 1.70, "N": 1.55, "O": 1.40, "S": 1.80}
"""Clashscore with explicit hydrogens (``assess.clashes``; the Richardson laboratory's Probe, Word et al. 1999)."""
PROBE_RADIUS_CARBONYL = 1.65
PROBE_RADIUS_H, PROBE_RADIUS_H_AROMATIC, PROBE_RADIUS_H_POLAR = 1.22, 1.05, 1.05

# Contacts of the energy's sites, N, CA, C, O, CB and the centroid of the side chain (``energy.sterics``).
SITE_CONTACTS = (
    (4.12, 4.12, 3.10, 2.78, 3.95),
    (4.12, 4.19, 4.15, 3.22, 4.00),
    (3.10, 4.15, 4.33, 3.50, 3.97),
    (2.78, 3.22, 3.50, 3.32, 3.24),
    (3.95, 4.00, 3.97, 3.24, 3.79),
)
"""Å below which 0.5 % of the N, CA, C, O, CB pairs within 8 Å lie, two or more residues apart
(benchmarks/contact_radii.py).
"""
SITE_RADII = (1.84, 2.08, 2.01, 1.44, 1.92)
"""Radii in Å of N, CA, C, O, CB against side-chain centroids (same source)."""
CENTROID_RADII = {
    "C": 1.69, "D": 1.76, "E": 1.91, "F": 2.09, "H": 1.93, "I": 2.28, "K": 2.10, "L": 2.30, "M": 2.10,
    "N": 1.83, "P": 2.14, "Q": 1.94, "R": 1.94, "S": 1.59, "T": 1.84, "V": 2.21, "W": 1.94, "Y": 2.01,
}  # fmt: skip
"""Radii in Å of the centroids of all side-chain heavy atoms, residues with atoms beyond CB (same source)."""
HETERO_SITE_RADII = (1.35, 1.65, 1.60, 1.35, 1.65)
"""Radii in Å of N, CA, C, O, CB against hetero atoms: the close limits of Ramachandran & Sasisekharan (1968)."""
HETERO_RADII = {
    "C": 1.65, "N": 1.35, "O": 1.35, "S": 1.75, "P": 1.70, "F": 1.35, "CL": 1.65, "BR": 1.75, "I": 1.90, "SE": 1.80,
    "H": 0.90, "D": 0.90, "ZN": 0.70, "MG": 0.75, "CA": 1.00, "MN": 0.80, "FE": 0.75, "CU": 0.70, "NI": 0.75,
    "CO": 0.75,
    "NA": 1.00, "K": 1.30,
}  # fmt: skip
"""Radii in Å of hetero atoms by element: metals so small that the atoms which bind them are not pushed away."""
HETERO_RADIUS = 1.5
"""Å, for elements not listed."""

# Overlaps.

CLASH_OVERLAP = 0.4
"""Å of overlap beyond which two atoms clash (Word et al. 1999)."""
POLAR_ALLOWANCE = 0.6
"""Å that two polar atoms (N, O, S in a hydrogen bond) may come closer than the sum of their radii."""
SALT_BRIDGE_ALLOWANCE = 0.8
"""The same between groups of opposite charge, where hydrogens are explicit."""
DISULFIDE_MAX = 2.5
"""Å, largest SG–SG distance taken as a disulfide bond."""

# Cis and trans: one rule for all stages, see ``is_cis``.

CIS_LIMIT, CIS_LIMIT_BEFORE_PROLINE = 30.0, 90.0
"""Degrees of omega, absolute, below which a peptide bond is cis."""
TRANS_PLANAR = 150.0
"""Degrees of omega, absolute, above which a peptide bond is trans and flat; validation (``assess.stereochemistry``)
calls it twisted from here down to ``CIS_LIMIT``."""
CIS_CA_CA = 3.4
"""Å: where only CA atoms are known (``structure.backbone``), those of a cis peptide are closer than this."""

CHIRAL_CENTRES = {"*": ("CA", "N", "C", "CB"), "T": ("CB", "CA", "OG1", "CG2"), "I": ("CB", "CA", "CG1", "CG2")}
"""Centre and three neighbours whose ``chiral_volume`` is positive in L-amino acids with correct names (about 2.6 Å³);
``*`` is that of every residue but glycine."""

PROCHIRAL_NAMES = {"V": ("CB", "CA", "CG2", "CG1"), "L": ("CG", "CB", "CD2", "CD1")}
"""The same for carbons with two equal branches, where the hand is one of names alone (IUPAC: CG1 and CD1 are pro-R)."""


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
    """Radii (n,) in Å of element symbols, for contacts without hydrogens."""
    return np.array([HEAVY_ATOM_RADII.get(s.upper(), DEFAULT_RADIUS) for s in symbols])


def disulfides(protein: Protein) -> tuple[tuple[int, int], ...]:
    """Residue pairs of replica 0 whose SG atoms lie within ``DISULFIDE_MAX``, each cysteine in one pair at most, the
    closest pairs first.
    """
    slot = ATOM14["C"].index("SG")
    index = [i for i, aa in enumerate(protein.sequence) if aa == "C" and protein.mask[i, slot]]
    if len(index) < 2:
        return ()
    sulfur = protein.coords[0, index, slot].astype(np.float64)
    pairs = cKDTree(sulfur).query_pairs(DISULFIDE_MAX, output_type="ndarray")
    order = np.argsort(np.linalg.norm(sulfur[pairs[:, 0]] - sulfur[pairs[:, 1]], axis=1), kind="stable")
    used: set[int] = set()
    bonds = []
    for a, b in pairs[order]:
        if a not in used and b not in used:
            used |= {a, b}
            bonds.append((index[a], index[b]))
    return tuple(sorted(bonds))


@functools.cache
def chiral_centres(aa: str) -> tuple[tuple[int, int, int, int], ...]:
    """Slots of each chiral centre of residue ``aa``: the centre, then its three neighbours."""
    keys = () if aa == "G" else ("*", aa)
    names = ATOM14[aa]
    return tuple(
        tuple(names.index(atom) for atom in CHIRAL_CENTRES[key])  # type: ignore[misc]
        for key in keys
        if key in CHIRAL_CENTRES
    )


@functools.cache
def prochiral_centre(aa: str) -> tuple[int, int, int, int] | None:
    """Slots of the centre of residue ``aa`` whose two equal branches have names, then of its three neighbours."""
    names = PROCHIRAL_NAMES.get(aa)
    return None if names is None else tuple(ATOM14[aa].index(name) for name in names)  # type: ignore[return-value]


def is_cis(omega: ArrayLike, before_proline: ArrayLike) -> NDArray[np.bool_]:
    """Whether peptide bonds (...) count as cis: below 90° before proline, below 30° elsewhere.

    A cis peptide before anything but proline is rare (about 0.03 %), so that one twisted between the two forms is a
    strained trans one; before proline (about 5 % cis) the nearer form is the likelier one.

    Args:
        omega: degrees within ±180; NaN is not cis.
        before_proline: whether the bond leads to proline.
    """
    limit = np.where(before_proline, CIS_LIMIT_BEFORE_PROLINE, CIS_LIMIT)
    result: NDArray[np.bool_] = np.abs(np.asarray(omega, np.float64)) < limit
    return result


def chiral_volumes(protein: Protein) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Residues (C,), slots (C, 4) and volumes (C,) in Å³ of the chiral centres of replica 0 whose atoms all exist, in
    the order of residues.
    """
    centres = [
        (i, *slots)
        for i, aa in enumerate(protein.sequence)
        for slots in chiral_centres(aa)
        if protein.mask[i, list(slots)].all()
    ]
    table = np.array(centres, np.int64).reshape(-1, 5)
    residue, slots = table[:, 0], table[:, 1:]
    points = protein.coords[0, residue[:, None], slots]
    return residue, slots, chiral_volume(*points.swapaxes(0, 1))
