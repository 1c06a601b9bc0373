"""Hydrogens and clashscore."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit

from refine.assess.clashes import DOTS_PER_SQUARE, _allowance, _atoms, _excluded, _sphere, clashes
from refine.assess.hydrogens import add_hydrogens
from refine.constants import ATOM14
from refine.structure.chemistry import CLASH_OVERLAP, disulfides
from refine.structure.protein import Protein
from tests.assess.structures import DATA, NATIVES, structure

ORACLE = Path(__file__).parent / "oracles" / "clashscore.csv"

# Hydrogens of a residue inside a chain: Asp, Glu deprotonated, Lys, Arg protonated, His neutral.
HYDROGENS = dict(
    zip("ACDEFGHIKLMNPQRSTVWY", (5, 5, 4, 6, 9, 3, 7, 11, 13, 11, 9, 6, 7, 8, 13, 5, 7, 9, 10, 9), strict=True)
)


COMPLETE = ("1a7g.pdb", "refined150-dev/1a00A/native.pdb")
"""Structures with (nearly) every kind of residue and without disulfides."""


@pytest.mark.parametrize("name", COMPLETE)
def test_every_residue_has_its_hydrogens(name: str) -> None:
    p = structure(name)
    assert disulfides(p) == ()
    h = add_hydrogens(p)
    count = np.bincount(h.parent // 14, minlength=len(p))
    expected = np.array([HYDROGENS[aa] for aa in p.sequence])
    expected[0] += 2
    assert np.array_equal(count, expected)
    assert set(p.sequence) >= set("ACDEFGHKLMNPQRSTVWY")


@pytest.mark.parametrize("name", COMPLETE)
def test_hydrogens_sit_at_ideal_places(name: str) -> None:
    p = structure(name)
    h = add_hydrogens(p)
    points = p.coords[0].reshape(-1, 3)
    lengths = np.linalg.norm(h.positions - points[h.parent], axis=1)
    assert lengths.min() > 0.83 and lengths.max() < 1.21
    names = [ATOM14[p.sequence[k // 14]][k % 14] for k in h.parent]
    for k, (parent, name) in enumerate(zip(h.parent, names, strict=True)):
        if name == "CA" and p.sequence[parent // 14] != "G":
            direction = h.positions[k] - points[parent]
            for slot in (0, 2, 4):
                other = points[parent - 1 + slot] - points[parent]
                cosine = direction @ other / np.linalg.norm(direction) / np.linalg.norm(other)
                assert 95 < np.degrees(np.arccos(cosine)) < 122
    same = h.parent[:, None] == h.parent[None]
    apart = np.linalg.norm(h.positions[:, None] - h.positions[None], axis=-1)
    assert apart[same & ~np.eye(len(same), dtype=bool)].min() > 1.3


def test_clashscore_against_probe() -> None:
    """Deviations have three causes: where rotors end up, the tautomer of histidine, overlaps within 0.02 Å of the
    limit.
    """
    with ORACLE.open(newline="") as handle:
        rows = list(csv.DictReader(line for line in handle if not line.startswith("#")))
    assert len(rows) >= 10
    ours = np.array([clashes(structure(row["structure"])).score for row in rows])
    theirs = np.array([float(row["clashscore"]) for row in rows])
    assert (np.abs(ours - theirs) <= np.maximum(2.5, 0.08 * theirs)).all(), list(
        zip(ours.round(1), theirs, strict=True)
    )
    assert np.corrcoef(ours, theirs)[0, 1] > 0.995


def test_atom_count_equals_the_oracles() -> None:
    with ORACLE.open(newline="") as handle:
        rows = list(csv.DictReader(line for line in handle if not line.startswith("#")))
    for row in rows[:4]:
        assert abs(clashes(structure(row["structure"])).atoms - int(row["atoms"])) <= 3


@pytest.mark.parametrize("name", NATIVES)
def test_clashes_name_their_residues(name: str) -> None:
    p = structure(name)
    coords = p.coords.copy()
    i, j = 20, 90
    shift = coords[0, j, 1] - coords[0, i, 1] + np.float32([0.5, 0.5, 0.5])
    coords[0, i] = np.where(p.mask[i][:, None], coords[0, i] + shift, 0)
    crowded = clashes(p.with_coords(coords))
    before = clashes(p)
    assert crowded.score > before.score + 5
    assert any(set(c.residues) == {i, j} for c in crowded.clashes)
    assert crowded.per_residue(len(p))[j] > before.per_residue(len(p))[j]
    assert [c.overlap for c in crowded.clashes] == sorted((c.overlap for c in crowded.clashes), reverse=True)


def dot_by_dot(p: Protein) -> dict[frozenset[int], float]:
    """Clashes as the definition has them, from every dot to every atom: atoms → overlap in Å."""
    atoms = _atoms(p, add_hydrogens(p))
    bonded = _excluded(atoms).toarray() > 0
    found: dict[frozenset[int], float] = {}
    for i, (centre, radius) in enumerate(zip(atoms.position, atoms.radius, strict=True)):
        dots = centre + radius * _sphere(round(DOTS_PER_SQUARE * 4 * np.pi * radius**2))
        depth = atoms.radius - np.linalg.norm(dots[:, None] - atoms.position, axis=-1)
        depth[:, i] = -np.inf
        free = depth[(depth[:, bonded[i]] < 0).all(1)]
        free[:, bonded[i]] = -np.inf
        for row in free:
            j = int(row.argmax())
            overlap = row[j] - _allowance(atoms, np.array([i]), np.array([j]))[0]
            if overlap >= CLASH_OVERLAP:
                found[frozenset((i, j))] = max(found.get(frozenset((i, j)), 0.0), overlap)
    return found


def test_dots_looked_at_together_say_what_each_says_alone() -> None:
    p = structure("1a7g.pdb").select(np.arange(30))
    crowded = p.with_coords(p.coords * np.float32(0.9))
    expected = sorted(dot_by_dot(crowded).values(), reverse=True)
    assert len(expected) > 30
    assert [c.overlap for c in clashes(crowded).clashes] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("count", [1, 2])
def test_tiny_inputs(count: int) -> None:
    p = structure("4cup.pdb").select(np.arange(30, 30 + count))
    assert clashes(p).score >= 0


def openmm_hydrogens(path: Path) -> dict[tuple[int, str], list[np.ndarray]]:
    """Bonds to hydrogens (Å), by residue index and name of the heavy atom, as OpenMM with amber14 places them."""
    read = app.PDBFile(str(path))
    modeller = app.Modeller(read.topology, read.positions)
    field, platform = app.ForceField("amber14/protein.ff14SB.xml"), openmm.Platform.getPlatformByName("CPU")
    modeller.addHydrogens(field, pH=7.0, platform=platform)
    x = np.array([[*place] for place in modeller.positions.value_in_unit(unit.angstrom)])
    bonds: dict[tuple[int, str], list[np.ndarray]] = defaultdict(list)
    for one, two in modeller.topology.bonds():
        heavy, light = (two, one) if one.element.symbol == "H" else (one, two)
        if light.element.symbol == "H":
            bonds[heavy.residue.index, heavy.name].append(x[light.index] - x[heavy.index])
    return bonds


def test_hydrogens_against_openmm() -> None:
    """As many on every atom (but for the tautomer of histidine), and those that cannot turn in the same direction."""
    p, theirs = structure("1a7g.pdb"), openmm_hydrogens(DATA / "1a7g.pdb")
    h, points = add_hydrogens(p), p.coords[0].reshape(-1, 3)
    ours: dict[tuple[int, str], list[np.ndarray]] = defaultdict(list)
    for parent, place in zip(h.parent.tolist(), h.positions, strict=True):
        ours[parent // 14, ATOM14[p.sequence[parent // 14]][parent % 14]].append(place - points[parent])
    differing = {key for key in ours.keys() | theirs.keys() if len(ours[key]) != len(theirs[key])}
    assert all(p.sequence[i] == "H" and name in ("ND1", "NE2") for i, name in differing)
    assert sum(map(len, ours.values())) == sum(map(len, theirs.values())) == 668
    apart = []
    for i, name in ours.keys() - differing:
        turns = name in ("OG", "OG1", "OH", "SG", "NZ") or len(ours[i, name]) == 3 or (i, name) == (0, "N")
        for bond in [] if turns else ours[i, name]:
            cosine = [bond @ other / np.linalg.norm(bond) / np.linalg.norm(other) for other in theirs[i, name]]
            apart.append(np.degrees(np.arccos(min(1.0, max(cosine)))))
    # OpenMM starts from random places and may leave a hydrogen on the wrong side of its atom
    assert len(apart) > 400 and np.median(apart) < 4 and np.quantile(apart, 0.98) < 20
