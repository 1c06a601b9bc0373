"""Hydrogens and clashscore."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from refine.assess.clashes import clashes
from refine.assess.hydrogens import add_hydrogens
from refine.constants import ATOM14
from refine.structure.chemistry import disulfides
from refine.structure.protein import Protein
from refine.structure.read import read_structure

ORACLE = Path(__file__).parent / "oracles" / "clashscore.csv"

# Hydrogens of a residue inside a chain: Asp, Glu deprotonated, Lys, Arg protonated, His neutral.
HYDROGENS = dict(
    zip("ACDEFGHIKLMNPQRSTVWY", (5, 5, 4, 6, 9, 3, 7, 11, 13, 11, 9, 6, 7, 8, 13, 5, 7, 9, 10, 9), strict=True)
)


def read(shared: Path, name: str) -> Protein:
    return read_structure(shared / "bench" / name).protein


def test_every_residue_has_its_hydrogens(shared: Path) -> None:
    p = read(shared, "refined150-dev/1a00A/native.pdb")
    assert disulfides(p) == ()
    h = add_hydrogens(p)
    count = np.bincount(h.parent // 14, minlength=len(p))
    expected = np.array([HYDROGENS[aa] for aa in p.sequence])
    expected[0] += 2
    assert np.array_equal(count, expected)
    assert set(p.sequence) >= set("ACDEFGHKLMNPQRSTVWY")


def test_hydrogens_sit_at_ideal_places(shared: Path) -> None:
    p = read(shared, "refined150-dev/1a00A/native.pdb")
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


def test_clashscore_against_probe(shared: Path) -> None:
    """Deviations have three causes: where rotors end up, the tautomer of histidine, overlaps within 0.02 Å of the
    limit.
    """
    with ORACLE.open(newline="") as handle:
        rows = list(csv.DictReader(line for line in handle if not line.startswith("#")))
    assert len(rows) >= 10
    ours = np.array([clashes(read(shared, row["structure"])).score for row in rows])
    theirs = np.array([float(row["clashscore"]) for row in rows])
    assert (np.abs(ours - theirs) <= np.maximum(2.5, 0.08 * theirs)).all(), list(
        zip(ours.round(1), theirs, strict=True)
    )
    assert np.corrcoef(ours, theirs)[0, 1] > 0.995


def test_atom_count_equals_the_oracles(shared: Path) -> None:
    with ORACLE.open(newline="") as handle:
        rows = list(csv.DictReader(line for line in handle if not line.startswith("#")))
    for row in rows[:4]:
        assert abs(clashes(read(shared, row["structure"])).atoms - int(row["atoms"])) <= 3


def test_clashes_name_their_residues(shared: Path) -> None:
    p = read(shared, "refined150-dev/101m_/native.pdb")
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


@pytest.mark.parametrize("count", [1, 2])
def test_tiny_inputs(shared: Path, count: int) -> None:
    p = read(shared, "refined150-dev/101m_/native.pdb").select(np.arange(30, 30 + count))
    assert clashes(p).score >= 0
