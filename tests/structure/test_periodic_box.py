"""Molecules that a simulation wrapped into its box are made whole again."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest

from refine.structure.read import ReadResult, read_structure
from tests.structure import files
from tests.structure.test_bad_input import columns, xyz
from tests.structure.test_reading_losses import example, moved, note, positions

CELLS = {
    "dodecahedron": (50.0, 50.0, 50.0, 60.0, 60.0, 90.0),
    "octahedron": (45.0, 45.0, 45.0, 70.53, 109.47, 70.53),
    "cube": (40.0, 40.0, 40.0, 90.0, 90.0, 90.0),
}


def cryst1(cell: tuple[float, ...]) -> str:
    a, b, c, alpha, beta, gamma = cell
    return f"CRYST1{a:9.3f}{b:9.3f}{c:9.3f}{alpha:7.2f}{beta:7.2f}{gamma:7.2f} P 1           1"


def wrapped(lines: list[str], cell: tuple[float, ...]) -> list[str]:
    """Every atom put into the cell by itself."""
    vectors = np.array(gemmi.UnitCell(*cell).orth.mat.tolist()).T
    out = []
    for line in lines:
        fraction = np.array(positions(line)) @ np.linalg.inv(vectors)
        out.append(xyz(line, tuple((fraction - np.floor(fraction)) @ vectors)))
    return out


def written(tmp_path: Path, lines: list[str]) -> ReadResult:
    (tmp_path / "box.pdb").write_text("\n".join([*lines, "END", ""]))
    return read_structure(tmp_path / "box.pdb")


def two_chains() -> list[str]:
    """Chains A and B beside each other, across the faces of every cell, with a ligand and a water at chain A."""
    a = example(lambda line: moved(line, 10.0, 20.0, 30.0))
    b = [columns(moved(line, 18.0), 21, "B") for line in a]
    x, y, z = positions(a[100])
    ligand = [files.atom_line(900 + k, f"C{k}", "LIG", "L", "1", (x + 4 + 1.5 * k, y, z), het=True) for k in range(4)]
    return [*a, "TER", *b, "TER", *ligand, files.water(1, "W", (x, y + 4, z))]


def shape(result: ReadResult) -> np.ndarray:
    """Distances between all atoms, hetero atoms too."""
    protein = result.protein
    points = np.concatenate((protein.coords[0][protein.mask], [h.position for h in protein.hetero]))
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


@pytest.mark.parametrize("name", CELLS)
def test_a_wrapped_model_is_made_whole(tmp_path: Path, name: str) -> None:
    cell = CELLS[name]
    lines = [line for line in two_chains() if line != "TER"]
    whole = written(tmp_path, lines)
    result = written(tmp_path, [cryst1(cell), *wrapped(lines, cell)])
    assert "made" not in note(whole, "box") and "make the molecules whole" in note(result, "box")
    assert np.array_equal(result.protein.bonded, whole.protein.bonded)
    assert np.abs(shape(result) - shape(whole)).max() < 0.01
    assert not note(result, "misplaced")


def test_linked_hetero_residues_stay_together(tmp_path: Path) -> None:
    """A chain of three sugars, away from the protein and through a face of the cell."""
    cell = CELLS["cube"]
    protein = example(lambda line: moved(line, 10.0, 20.0, 30.0))
    sugars = [
        files.atom_line(900 + k, f"C{k % 6 + 1}", "NAG", "A", str(900 + k // 6), (30.0, 30.0, 30.0 + 1.5 * k), het=True)
        for k in range(18)
    ]
    whole = written(tmp_path, [*protein, *sugars])
    result = written(tmp_path, [cryst1(cell), *wrapped([*protein, *sugars], cell)])
    places = [np.array([h.position for h in of.protein.hetero]) for of in (whole, result)]
    steps = [np.linalg.norm(np.diff(place, axis=0), axis=1) for place in places]
    assert len(places[1]) == 18 and np.abs(steps[1] - steps[0]).max() < 0.01


def test_a_whole_model_in_a_box_is_not_moved(tmp_path: Path) -> None:
    """Neither one that reaches over the faces of its cell nor one with a real gap."""
    lines = [line for line in example() if not 160 <= files.number_of(line) <= 166]
    lines = [moved(line, 30.0) if files.number_of(line) > 166 else line for line in lines]
    without = written(tmp_path, lines)
    within = written(tmp_path, [cryst1(CELLS["dodecahedron"]), *lines])
    assert np.array_equal(within.protein.coords, without.protein.coords) and not note(within, "box")


def test_mmcif_cells_are_used(tmp_path: Path) -> None:
    cell = CELLS["dodecahedron"]
    structure = gemmi.read_pdb_string("\n".join([cryst1(cell), *wrapped(example(), cell), "END", ""]))
    structure.setup_entities()
    structure.make_mmcif_document().write_file(str(tmp_path / "box.cif"))
    result = read_structure(tmp_path / "box.cif")
    assert result.protein.bonded.sum() == 29 and note(result, "box")


def test_without_a_cell_the_jump_is_named(tmp_path: Path) -> None:
    whole = example(lambda line: moved(line, 10.0, 20.0, 30.0))
    result = written(tmp_path, wrapped(whole, CELLS["dodecahedron"]))
    assert "residues are torn apart" in note(result, "box") and "wrapped into a periodic box?" in note(result, "gap")
    assert result.protein.mask.sum() == written(tmp_path, whole).protein.mask.sum()
