"""Bond lengths, bond angles, peptide planes and chiral centres against ideal values.

Ideal values and standard deviations: Engh & Huber (2001), in ``structure/tables/engh_huber.tsv``. An outlier lies more
than 4 standard deviations off, as in MolProbity.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.assess.torsions import Torsions
from refine.constants import ATOM14
from refine.structure.arrays import angle
from refine.structure.chemistry import CIS_LIMIT, TRANS_PLANAR, chiral_volumes, is_cis
from refine.structure.protein import Protein

OUTLIER_SIGMA = 4.0
MIN_BOND_SD, MIN_ANGLE_SD = 0.015, 1.5
"""Floors of the standard deviations in Å and degrees: those of some planar groups (0.5° in arginine) are so narrow that
a fifth of the guanidinium angles of structures at 1.3 Å would be outliers."""
LDDT_SIGMA = 12.0
"""Mariani et al. 2013: beyond this a side chain or residue does not count in lDDT."""
MIN_CHIRAL_VOLUME = 1.2
"""Å³; ideal centres have 2.5–2.7, a flat one 0, an inverted one the negative."""
CLASH_LIMITS = {
    "CC": 1.9,
    "CN": 1.75,
    "CS": 2.0,
    "CO": 1.72,
    "NN": 1.6,
    "NS": 1.85,
    "NO": 1.57,
    "OS": 1.82,
    "OO": 1.54,
    "SS": 1.03,
}
"""Å below which two unbonded atoms of different residues void their lDDT (OpenStructure's distances less their
tolerances).
"""


@dataclasses.dataclass(frozen=True)
class Outlier:
    """One deviation: ``kind`` bond, angle, omega or chirality; Å, degrees, degrees or Å³; ``sigma`` is NaN where no
    deviation is known.
    """

    kind: str
    residue: int
    atoms: tuple[str, ...]
    value: float
    ideal: float
    sigma: float


@dataclasses.dataclass(frozen=True)
class Stereochemistry:
    """What was checked and what deviates.

    Attributes:
        bonds, angles, peptides, centres: how many were checked.
        bond_rmsz, angle_rmsz: root mean square deviations in standard deviations (1 is typical of good structures).
        outliers: sorted by residue; peptides are outliers when twisted (30–150°) or cis before anything but proline.
        cis_prolines: residue indices of prolines after a cis peptide bond (legitimate, about 5 %).
    """

    bonds: int
    angles: int
    peptides: int
    centres: int
    bond_rmsz: float
    angle_rmsz: float
    outliers: tuple[Outlier, ...]
    cis_prolines: tuple[int, ...]

    def count(self, kind: str) -> int:
        return sum(outlier.kind == kind for outlier in self.outliers)


@dataclasses.dataclass(frozen=True)
class _Terms:
    """Bonds (width 2) or angles (width 3) of a protein: flat atom indices (m, width), ideal and deviation (m,), residue
    (m,).
    """

    atoms: NDArray[np.int64]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    residue: NDArray[np.int64]


def stereochemistry(protein: Protein, torsions: Torsions) -> Stereochemistry:
    """Check replica 0; atoms and bonds that do not exist are not checked. ``torsions`` are those of the same
    replica.
    """
    points = protein.coords[0].astype(np.float64).reshape(-1, 3)
    bonds, angles = _terms(protein, torsions.omega)
    bond_value, angle_value = _lengths(points, bonds), _angles(points, angles)
    bond_z, angle_z = (bond_value - bonds.mean) / bonds.sd, (angle_value - angles.mean) / angles.sd
    strained = _far(protein, "bond", bonds, bond_value, bond_z) + _far(protein, "angle", angles, angle_value, angle_z)
    twisted, cis_prolines = _peptides(protein, torsions.omega)
    flat, centres = _chirality(protein)
    return Stereochemistry(
        bonds=len(bond_z),
        angles=len(angle_z),
        peptides=int(np.isfinite(torsions.omega).sum()),
        centres=centres,
        bond_rmsz=_rms(bond_z),
        angle_rmsz=_rms(angle_z),
        outliers=tuple(sorted(strained + twisted + flat, key=lambda outlier: outlier.residue)),
        cis_prolines=cis_prolines,
    )


def lddt_exclusions(protein: Protein, torsions: Torsions) -> NDArray[np.bool_]:
    """Atoms (L, 14) that must not earn lDDT because the model is physically wrong there (Mariani et al. 2013).

    Where a bond or angle is more than 12 standard deviations off, or two atoms of different residues lie closer than
    their radii allow, the side chain is excluded, or the whole residue when a backbone atom takes part.
    """
    points = protein.coords[0].astype(np.float64).reshape(-1, 3)
    bad = np.zeros((len(protein), 14), dtype=bool)
    for terms, value in zip(_terms(protein, torsions.omega), (_lengths, _angles), strict=True):
        z = np.abs((value(points, terms) - terms.mean) / terms.sd)
        bad.reshape(-1)[terms.atoms[z > LDDT_SIGMA].reshape(-1)] = True
    for a, b in _collisions(protein, points):
        bad.reshape(-1)[[a, b]] = True
    excluded = np.zeros_like(bad)
    excluded[:, 4:] = bad[:, 4:].any(1, keepdims=True)
    excluded[bad[:, :4].any(1)] = True
    return excluded


@functools.cache
def ideal_values() -> dict[str, tuple[tuple[tuple[str, ...], float, float], ...]]:
    """Rows (atoms, mean, deviation) of the Engh & Huber table by residue code, ``"P cis"`` and ``"*"`` included; Å and
    degrees.
    """
    rows: dict[str, list[tuple[tuple[str, ...], float, float]]] = defaultdict(list)
    text = resources.files("refine.structure").joinpath("tables", "engh_huber.tsv").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith(("#", "residue\t")):
            continue
        residue, atoms, mean, sd = line.split("\t")
        rows[residue].append((tuple(atoms.split()), float(mean), float(sd)))
    return {residue: tuple(values) for residue, values in rows.items()}


@functools.cache
def _template(aa: str, before: str, cis: bool, width: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Slots relative to the residue's first (previous residue: negative) (m, width) and (m, 2) mean and deviation."""
    table = ideal_values()
    own = list(table[aa])
    if before:
        junction = table["P cis"] if cis and aa == "P" else table[aa] if aa in "GP" else table["*"]
        own = [row for row in own if row[0][0][0] != "<"] + [row for row in junction if row[0][0][0] == "<"]
    else:
        own = [row for row in own if row[0][0][0] != "<"]
    slots, values = [], []
    for atoms, mean, sd in own:
        if len(atoms) == width:
            slots.append([ATOM14[before].index(a[1:]) - 14 if a[0] == "<" else ATOM14[aa].index(a) for a in atoms])
            values.append((mean, max(sd, MIN_BOND_SD if width == 2 else MIN_ANGLE_SD)))
    return np.array(slots, np.int64).reshape(-1, width), np.array(values, np.float64).reshape(-1, 2)


def _terms(protein: Protein, omega: NDArray[np.float64]) -> tuple[_Terms, _Terms]:
    mask = protein.mask.reshape(-1)
    built = []
    for width in (2, 3):
        atoms, values, residue = [], [], []
        for i, aa in enumerate(protein.sequence):
            before = protein.sequence[i - 1] if i and protein.bonded[i - 1] else ""
            slots, ideal = _template(aa, before, bool(before) and bool(is_cis(np.degrees(omega[i]), aa == "P")), width)
            atoms.append(slots + 14 * i)
            values.append(ideal)
            residue.append(np.full(len(slots), i))
        index, ideal = np.concatenate(atoms), np.concatenate(values)
        there = mask[index].all(1)
        built.append(_Terms(index[there], ideal[there, 0], ideal[there, 1], np.concatenate(residue)[there]))
    return built[0], built[1]


def _lengths(points: NDArray[np.float64], terms: _Terms) -> NDArray[np.float64]:
    return np.linalg.norm(points[terms.atoms[:, 0]] - points[terms.atoms[:, 1]], axis=-1)


def _angles(points: NDArray[np.float64], terms: _Terms) -> NDArray[np.float64]:
    return np.degrees(angle(*(points[terms.atoms[:, k]] for k in range(3))))


def _rms(z: NDArray[np.float64]) -> float:
    return float(np.sqrt((z**2).mean())) if len(z) else float("nan")


def _far(
    protein: Protein, kind: str, terms: _Terms, value: NDArray[np.float64], z: NDArray[np.float64]
) -> list[Outlier]:
    outliers = []
    for k in np.flatnonzero(np.abs(z) > OUTLIER_SIGMA):
        names = tuple(_name(protein, int(a), int(terms.residue[k])) for a in terms.atoms[k])
        outliers.append(Outlier(kind, int(terms.residue[k]), names, float(value[k]), float(terms.mean[k]), float(z[k])))
    return outliers


def _name(protein: Protein, atom: int, residue: int) -> str:
    i, slot = divmod(atom, 14)
    return ("" if i == residue else "<") + ATOM14[protein.sequence[i]][slot]


def _peptides(protein: Protein, omega: NDArray[np.float64]) -> tuple[list[Outlier], tuple[int, ...]]:
    outliers, cis_prolines = [], []
    for i in np.flatnonzero(np.isfinite(omega) & (np.abs(np.degrees(omega)) < TRANS_PLANAR)):
        if abs(np.degrees(omega[i])) < CIS_LIMIT and protein.sequence[i] == "P":
            cis_prolines.append(int(i))
        else:
            outliers.append(
                Outlier("omega", int(i), ("<CA", "<C", "N", "CA"), float(np.degrees(omega[i])), 180.0, float("nan"))
            )
    return outliers, tuple(cis_prolines)


def _chirality(protein: Protein) -> tuple[list[Outlier], int]:
    residue, slots, volume = chiral_volumes(protein)
    outliers = []
    for k in np.flatnonzero(volume < MIN_CHIRAL_VOLUME):
        i = int(residue[k])
        names = tuple(ATOM14[protein.sequence[i]][slot] for slot in slots[k])
        outliers.append(Outlier("chirality", i, names, float(volume[k]), 2.6, float("nan")))
    return outliers, len(residue)


def _collisions(protein: Protein, points: NDArray[np.float64]) -> list[tuple[int, int]]:
    present = np.flatnonzero(protein.mask.reshape(-1))
    pairs = present[cKDTree(points[present]).query_pairs(2.0, output_type="ndarray")]
    colliding = []
    for a, b in pairs:
        (i, s), (j, t) = divmod(int(a), 14), divmod(int(b), 14)
        if (
            i == j
            or (j - i == 1 and protein.bonded[i] and s == 2 and t == 0)
            or (i - j == 1 and protein.bonded[j] and t == 2 and s == 0)
        ):
            continue
        elements = "".join(sorted((ATOM14[protein.sequence[i]][s][0], ATOM14[protein.sequence[j]][t][0])))
        if np.linalg.norm(points[a] - points[b]) < CLASH_LIMITS[elements]:
            colliding.append((int(a), int(b)))
    return colliding
