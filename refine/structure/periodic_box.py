"""Molecules that a simulation wrapped into its periodic box, atom by atom, are made whole by lattice vectors."""

from __future__ import annotations

import itertools
import re

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.constants import MAX_CA_CA
from refine.errors import InputError
from refine.structure.atom_record import AtomRecord
from refine.structure.bcif import read_category
from refine.structure.notes import Note
from refine.structure.residue_record import ResidueRecord
from refine.structure.source import Source

JUMP = 10.0
"""Å between bonded residues, or within one, from which the molecule counts as torn."""
_EXTENT = 8.0
"""Å from CA to the farthest atom of its amino acid (arginine's NH1: 7.4)."""
_LINKED = 2.2
"""Å between atoms of two hetero residues up to which they move together."""
_FEWEST_ATOMS = 4
"""Heavy atoms of a hetero residue from which it may be linked to its neighbour: neither water nor ion."""

_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")

Points = NDArray[np.float64]


class PeriodicBox:
    """Lattice of a unit cell.

    Attributes:
        vectors: (3, 3) Å, one lattice vector a row.
    """

    def __init__(self, cell: gemmi.UnitCell) -> None:
        self.vectors: Points = np.array(cell.orth.mat.tolist()).T
        self._inverse = np.linalg.inv(self.vectors)
        around = np.array(list(itertools.product((0, -1, 1), repeat=3)), np.float64)
        self.shifts: Points = around @ self.vectors

    @property
    def width(self) -> float:
        """Å between opposite faces of the cell, the smallest of the three."""
        return float((1 / np.linalg.norm(self._inverse, axis=0)).min())

    def nearest(self, points: Points, reference: Points) -> Points:
        """The images of ``points`` (n, 3) next to ``reference`` (3,)."""
        fraction = (points - reference) @ self._inverse
        delta = (fraction - np.round(fraction)) @ self.vectors
        images = delta[:, None] + self.shifts
        best = np.linalg.norm(images, axis=-1).argmin(1)
        moved = reference + images[np.arange(len(points)), best]
        stays = np.abs(moved - points).max(-1, initial=0) < 1e-3
        return np.where(stays[:, None], points, moved)


def read_box(source: Source) -> PeriodicBox | None:
    """The cell of CRYST1 or _cell; None where there is none or it is too small to hold an amino acid twice."""
    try:
        values = [float(value) for value in _cell_fields(source)]
    except (ValueError, InputError):
        return None
    if len(values) != 6 or min(values) <= 0 or not np.isfinite(values).all():
        return None
    cell = gemmi.UnitCell(*values)
    if not np.isfinite(cell.volume) or cell.volume < 1.0:
        return None
    box = PeriodicBox(cell)
    return box if box.width > 2 * _EXTENT else None


def _cell_fields(source: Source) -> list[str]:
    if source.format == "pdb":
        line = re.search(r"^CRYST1.{48}", source.text, re.MULTILINE)
        columns = ((6, 15), (15, 24), (24, 33), (33, 40), (40, 47), (47, 54))
        return [line[0][a:b] for a, b in columns] if line else []
    if source.format == "bcif":
        table = read_category(source.data, "_cell", source.path, _CELL)
        return [str(table[name][0]) for name in _CELL if name in table]
    flags = re.MULTILINE | re.IGNORECASE
    found = [re.search(rf"^[ \t]*_cell\.{name}\s+([\d.]+)", source.text, flags) for name in _CELL]
    return [match[1] for match in found if match]


def is_torn(residues: list[ResidueRecord]) -> bool:
    """Whether a residue of the protein, or neighbours of one chain, lie more than ``JUMP`` apart."""
    members = [r for r in residues if r.letter]
    counts = np.array([len(r.atoms) for r in members])
    points = np.array([atom.position for r in members for atom in r.atoms], np.float64)
    if not len(points):
        return False
    anchors = points[np.cumsum(counts) - counts + np.array([_anchor(r) for r in members])]
    within = np.linalg.norm(points - np.repeat(anchors, counts, axis=0), axis=1) > JUMP
    steps = np.linalg.norm(np.diff(anchors, axis=0), axis=1) > JUMP
    same = np.array([one.chain == two.chain for one, two in itertools.pairwise(members)], np.bool_)
    return bool(within.any() or (steps & same).any())


def make_whole(residues: list[ResidueRecord], box: PeriodicBox) -> list[Note]:
    """Move atoms by lattice vectors, so that chains are whole and everything lies beside the first chain.

    Nothing is moved unless a chain is torn in places that a lattice vector mends. Every chain is walked from its first
    residue, which stays. Changes ``position`` of the atoms.

    Args:
        residues: in file order, protein marked.
        box: the periodic box.
    """
    chains: dict[str, list[ResidueRecord]] = {}
    for residue in residues:
        if residue.letter:
            chains.setdefault(residue.chain, []).append(residue)
    jumps = {chain: _jumps(members, box) for chain, members in chains.items()}
    if not any(jumps.values()):
        return []
    placed: list[Points] = []
    for members in chains.values():
        points = _walk(members, box)
        if placed:
            points = [p + _shift_to(np.concatenate(points), np.concatenate(placed), box) for p in points]
        _put(members, points)
        placed += points
    _bring_along([r for r in residues if not r.letter], np.concatenate(placed), box)
    torn = ", ".join(f"{number} in chain {chain or '(blank)'}" for chain, number in jumps.items() if number)
    text = f"the atoms were wrapped into the periodic box (jumps: {torn}); its lattice vectors make the molecules whole"
    return [Note("box", text)]


def _anchor(residue: ResidueRecord) -> int:
    """Index of CA, of the first atom where there is none."""
    return next((k for k, atom in enumerate(residue.atoms) if atom.name == "CA"), 0)


def _points(residue: ResidueRecord) -> Points:
    return np.array([atom.position for atom in residue.atoms], np.float64)


def _jumps(members: list[ResidueRecord], box: PeriodicBox) -> int:
    """Places where a chain is torn by more than ``JUMP`` and a lattice vector makes it whole."""
    count, last = 0, None
    for residue in members:
        points = _points(residue)
        anchor = points[_anchor(residue)]
        torn = np.linalg.norm(points - anchor, axis=1) > JUMP
        if torn.any():
            count += bool((np.linalg.norm(box.nearest(points[torn], anchor) - anchor, axis=1) < _EXTENT).all())
        if last is not None and np.linalg.norm(anchor - last) > JUMP:
            count += bool(np.linalg.norm(box.nearest(anchor[None], last) - last) <= MAX_CA_CA)
        last = anchor
    return count


def _walk(members: list[ResidueRecord], box: PeriodicBox) -> list[Points]:
    """Positions of a chain made whole from its first residue on."""
    whole: list[Points] = []
    last: Points | None = None
    for residue in members:
        points = _points(residue)
        own = points[_anchor(residue)]
        last = own if last is None else box.nearest(own[None], last)[0]
        whole.append(box.nearest(points, last))
    return whole


def _put(members: list[ResidueRecord], points: list[Points]) -> None:
    for residue, places in zip(members, points, strict=True):
        for atom, place in zip(residue.atoms, places, strict=True):
            _move(atom, place)


def _move(atom: AtomRecord, place: Points) -> None:
    atom.position = (float(place[0]), float(place[1]), float(place[2]))


def _shift_to(points: Points, placed: Points, box: PeriodicBox) -> Points:
    """The lattice vector (3,) that brings ``points`` next to ``placed``; zero where none is better."""
    start = box.nearest(points.mean(0)[None], placed.mean(0))[0] - points.mean(0)
    tree = cKDTree(placed)
    candidates = np.concatenate((np.zeros((1, 3)), start + box.shifts))
    gaps = [tree.query(points + shift)[0].min() for shift in candidates]
    best = int(np.argmin(gaps))
    return candidates[best if gaps[best] < gaps[0] - 1e-3 else 0]


def _bring_along(hetero: list[ResidueRecord], protein: Points, box: PeriodicBox) -> None:
    """Hetero residues made whole and moved next to the protein, those linked to each other together."""
    units = _units(hetero, box)
    if not units:
        return
    whole = [_walk(unit, box) for unit in units]
    first = np.array([points[0][0] for points in whole])
    centre = protein.mean(0)
    base = box.nearest(first, centre) - first
    tree = cKDTree(protein)
    gaps = np.array([tree.query(first + base + shift)[0] for shift in box.shifts])
    now, best = tree.query(first)[0], gaps.argmin(0)
    shifts = np.where((gaps.min(0) < now - 1e-3)[:, None], base + box.shifts[best], 0.0)
    for unit, points, shift in zip(units, whole, shifts, strict=True):
        _put(unit, [p + shift for p in points])


def _units(hetero: list[ResidueRecord], box: PeriodicBox) -> list[list[ResidueRecord]]:
    """Neighbours in the file that are linked, e.g. nucleotides or sugars, as one unit; every other residue alone."""
    units: list[list[ResidueRecord]] = []
    for residue in hetero:
        last = units[-1][-1] if units else None
        if last is not None and last.chain == residue.chain and _are_linked(last, residue, box):
            units[-1].append(residue)
        else:
            units.append([residue])
    return units


def _are_linked(one: ResidueRecord, two: ResidueRecord, box: PeriodicBox) -> bool:
    if min(len(one.atoms), len(two.atoms)) < _FEWEST_ATOMS:
        return False
    heavy = [_points(r)[[a.element not in ("H", "D") for a in r.atoms]] for r in (one, two)]
    if min(map(len, heavy)) < _FEWEST_ATOMS:
        return False
    return any(np.linalg.norm(box.nearest(heavy[1], p) - p, axis=1).min() <= _LINKED for p in heavy[0])
