"""Energy of a peptide in amber14, evaluated from the force field's XML by numpy alone: an oracle for what OpenMM sums.

Nothing of OpenMM is used but the file of parameters. Units are those of the file: nm, kJ/mol, radians, elementary
charges. Formulas: Ponder & Case 2003 (bonded terms, 1-4 scaling by the file), OpenMM's user guide for the reaction
field (dielectric 1 makes it a Coulomb energy shifted to 0 at the cutoff), Onufriev, Bashford & Case 2004 for the
generalised Born energy with radii by OBC's second set of constants (1, 0.8, 4.85).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

COULOMB = 138.935456
"""kJ nm/(mol e^2), 1 / (4 pi eps0)."""
WATER = 78.3
"""Dielectric constant of the solvent, OpenMM's default."""
OFFSET = 0.009
"""nm between a Born radius and the radius used in the integral."""


@dataclasses.dataclass(frozen=True)
class Template:
    """A residue of the force field: atom names in order, type and charge of each, bonds by name."""

    types: dict[str, str]
    charges: dict[str, float]
    bonds: tuple[tuple[str, str], ...]


class Peptide:
    """One chain of residues in the force field.

    Args:
        file: of the force field.
        residues: names as the file has them, the ends as ``N…`` and ``C…``.
        atoms: (residue index, atom name) of every atom, in the order of the positions.
    """

    def __init__(self, file: Path, residues: Sequence[str], atoms: Sequence[tuple[int, str]]) -> None:
        self.field = ElementTree.parse(file).getroot()
        templates = [self._template(name) for name in residues]
        number = {atom: k for k, atom in enumerate(atoms)}
        assert len(number) == len(atoms) == sum(len(t.types) for t in templates)
        self.atoms = list(atoms)
        self.types = [templates[i].types[name] for i, name in atoms]
        self.charges = np.array([templates[i].charges[name] for i, name in atoms])
        self.rank = [list(templates[i].types).index(name) for i, name in atoms]
        within = [(number[i, a], number[i, b]) for i, t in enumerate(templates) for a, b in t.bonds]
        self.bonds = within + [(number[i, "C"], number[i + 1, "N"]) for i in range(len(residues) - 1)]
        self.neighbours = [sorted({a + b - k for a, b in self.bonds if k in (a, b)}) for k in range(len(atoms))]

    def _template(self, name: str) -> Template:
        residue = self.field.find(f"./Residues/Residue[@name='{name}']")
        assert residue is not None
        atoms = residue.findall("Atom")
        return Template(
            {a.attrib["name"]: a.attrib["type"] for a in atoms},
            {a.attrib["name"]: float(a.attrib["charge"]) for a in atoms},
            tuple((b.attrib["atomName1"], b.attrib["atomName2"]) for b in residue.findall("Bond")),
        )

    @property
    def angles(self) -> Iterator[tuple[int, int, int]]:
        for b, around in enumerate(self.neighbours):
            yield from ((a, b, c) for a, c in itertools.combinations(around, 2))

    @property
    def dihedrals(self) -> Iterator[tuple[int, int, int, int]]:
        for b, c in self.bonds:
            for a, d in itertools.product(self.neighbours[b], self.neighbours[c]):
                if a != c and d != b and a != d:
                    yield a, b, c, d

    def bond_energy(self, x: NDArray[np.float64]) -> float:
        rows = self.field.findall("./HarmonicBondForce/Bond")
        table = {frozenset((r.attrib["type1"], r.attrib["type2"])): r.attrib for r in rows}
        total = 0.0
        for a, b in self.bonds:
            row = table[frozenset((self.types[a], self.types[b]))]
            total += 0.5 * float(row["k"]) * (np.linalg.norm(x[a] - x[b]) - float(row["length"])) ** 2
        return total

    def angle_energy(self, x: NDArray[np.float64]) -> float:
        table = {}
        for row in self.field.findall("./HarmonicAngleForce/Angle"):
            key = tuple(row.attrib[f"type{k}"] for k in (1, 2, 3))
            table[key] = table[key[::-1]] = row.attrib
        total = 0.0
        for a, b, c in self.angles:
            row = table[self.types[a], self.types[b], self.types[c]]
            u, v = x[a] - x[b], x[c] - x[b]
            angle = np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))
            total += 0.5 * float(row["k"]) * (angle - float(row["angle"])) ** 2
        return total

    def torsion_energy(self, x: NDArray[np.float64]) -> float:
        """Of proper torsions; a row without wildcards goes before one with."""
        rows = [r.attrib for r in self.field.findall("./PeriodicTorsionForce/Proper")]
        total = 0.0
        for atoms in self.dihedrals:
            types = [self.types[k] for k in atoms]
            fitting = [r for r in rows if _fits(r, types) or _fits(r, types[::-1])]
            if fitting:
                total += _cosines(min(fitting, key=_wildcards), dihedral(*x[list(atoms)]))
        return total

    def improper_energy(self, x: NDArray[np.float64]) -> float:
        """Of atoms with three neighbours; the centre is first in the file and third in the torsion (Amber)."""
        rows = [r.attrib for r in self.field.findall("./PeriodicTorsionForce/Improper")]
        total = 0.0
        for centre, around in enumerate(self.neighbours):
            if len(around) != 3:
                continue
            orders = [
                (row, order)
                for row in rows
                for order in itertools.permutations(around)
                if _fits(row, [self.types[k] for k in (centre, *order)])
            ]
            if orders:
                row = min((row for row, _ in orders), key=_wildcards)
                first, second, last = self._ordered(row, next(order for r, order in orders if r is row))
                total += _cosines(row, dihedral(x[first], x[second], x[centre], x[last]))
        return total

    def _ordered(self, row: dict[str, str], order: Sequence[int]) -> list[int]:
        """The outer atoms of an improper: where the row does not tell two apart, by residue and place in it."""
        by_type = _wildcards(row) == 0
        out = list(order)
        for i, j in ((0, 2), (1, 2), (0, 1)):
            a, b = out[i], out[j]
            alike = self.types[a] == self.types[b] if by_type else self._element(a) == self._element(b) or j == 1
            if alike and (self.atoms[a][0], self.rank[a]) > (self.atoms[b][0], self.rank[b]):
                out[i], out[j] = b, a
        return out

    def _element(self, atom: int) -> str:
        return self.atoms[atom][1][0]

    def nonbonded_energy(self, x: NDArray[np.float64], cutoff: float) -> tuple[float, float]:
        """Lennard-Jones and Coulomb energy. Pairs one or two bonds apart feel nothing, 1-4 pairs a part of it."""
        force = self.field.find("./NonbondedForce")
        assert force is not None
        kinds = {a.attrib["type"]: a.attrib for a in force.findall("Atom")}
        sigma = [float(kinds[t]["sigma"]) for t in self.types]
        depth = [float(kinds[t]["epsilon"]) for t in self.types]
        scale_lj, scale_charge = (float(force.attrib[f"{name}14scale"]) for name in ("lj", "coulomb"))
        apart = self._bonds_apart()
        lennard_jones = coulomb = 0.0
        for a, b in itertools.combinations(range(len(x)), 2):
            r = float(np.linalg.norm(x[a] - x[b]))
            sixth = (0.5 * (sigma[a] + sigma[b]) / r) ** 6
            lj = 4 * np.sqrt(depth[a] * depth[b]) * (sixth**2 - sixth)
            charge = COULOMB * self.charges[a] * self.charges[b]
            if apart[a, b] == 3:
                lennard_jones += scale_lj * lj
                coulomb += scale_charge * charge / r
            elif apart[a, b] > 3 and r < cutoff:
                lennard_jones += lj
                coulomb += charge * (1 / r - 1 / cutoff)
        return lennard_jones, coulomb

    def _bonds_apart(self) -> NDArray[np.int64]:
        """(A, A) bonds between atoms on the shortest way, 4 for more than three."""
        apart = np.full((len(self.atoms), len(self.atoms)), 4)
        for start in range(len(self.atoms)):
            reached, front = {start}, {start}
            for steps in (1, 2, 3):
                front = {n for k in front for n in self.neighbours[k]} - reached
                reached |= front
                apart[start, list(front)] = steps
        return apart

    def born_energy(
        self, x: NDArray[np.float64], radii: NDArray[np.float64], scales: NDArray[np.float64], cutoff: float
    ) -> float:
        """Generalised Born energy without surface term; pairs within the cutoff, shifted to 0 there."""
        born = born_radii(x, radii, scales, cutoff)
        total = 0.0
        for a, b in itertools.combinations_with_replacement(range(len(x)), 2):
            r2 = float(((x[a] - x[b]) ** 2).sum())
            if r2 < cutoff**2:
                f = np.sqrt(r2 + born[a] * born[b] * np.exp(-r2 / (4 * born[a] * born[b])))
                pair = 0.5 / f if a == b else 1 / f - 1 / cutoff
                total -= COULOMB * (1 - 1 / WATER) * self.charges[a] * self.charges[b] * pair
        return total


def born_radii(
    x: NDArray[np.float64], radii: NDArray[np.float64], scales: NDArray[np.float64], cutoff: float
) -> NDArray[np.float64]:
    """(A,) nm, by pairwise descreening by atoms within the cutoff and the OBC correction."""
    out = np.empty(len(x))
    for i, own in enumerate(radii - OFFSET):
        integral = 0.0
        for j in range(len(x)):
            r, other = float(np.linalg.norm(x[i] - x[j])), scales[j] * (radii[j] - OFFSET)
            if i == j or r >= cutoff or own >= r + other:
                continue
            upper, lower = r + other, max(own, abs(r - other))
            integral += 0.5 * (
                1 / lower - 1 / upper + 0.25 * (r - other**2 / r) * (1 / upper**2 - 1 / lower**2)
                + 0.5 * np.log(lower / upper) / r + (2 * (1 / own - 1 / lower) if own < other - r else 0.0)
            )  # fmt: skip
        psi = integral * own
        out[i] = 1 / (1 / own - np.tanh(psi - 0.8 * psi**2 + 4.85 * psi**3) / radii[i])
    return out


def dihedral(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]) -> float:
    """Radians, IUPAC sign."""
    first, second = np.cross(b - a, c - b), np.cross(c - b, d - c)
    return float(np.arctan2(np.cross(first, second) @ (c - b) / np.linalg.norm(c - b), first @ second))


def _fits(row: dict[str, str], types: Sequence[str]) -> bool:
    return all(row[f"type{k + 1}"] in ("", kind) for k, kind in enumerate(types))


def _wildcards(row: dict[str, str]) -> int:
    return int(any(row[f"type{k}"] == "" for k in (1, 2, 3, 4)))


def _cosines(row: dict[str, str], angle: float) -> float:
    """k (1 + cos(n angle - phase)) of every line of a row."""
    lines = (k for k in range(1, 7) if f"k{k}" in row)
    return sum(
        float(row[f"k{k}"]) * (1 + np.cos(int(row[f"periodicity{k}"]) * angle - float(row[f"phase{k}"]))) for k in lines
    )
