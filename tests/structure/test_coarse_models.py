"""Models of CA atoms, backbones and side-chain centres become whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from refine.assess.torsions import torsions
from refine.assess.validate import validate
from refine.constants import ATOM14, ONE_TO_THREE
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.repair import RepairResult, repair

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "1a8o_native.pdb"


@pytest.fixture(scope="module")
def native() -> Protein:
    return repair(read_structure(EXAMPLE)).protein.with_hetero(())


def coarse(native: Protein, folder: Path, bead: str = "", backbone: bool = False, shift: float = 0.0) -> Path:
    """File of CA atoms, with the backbone, or with a bead ``shift`` Å from the centre of each side chain."""
    lines = []
    for i, aa in enumerate(native.sequence):
        atoms = [(ATOM14[aa][k], native.coords[0, i, k]) for k in range(4) if backbone or k == 1]
        if bead and aa != "G":
            atoms.append((bead, native.coords[0, i, 4 : len(ATOM14[aa])].mean(0) + shift))
        for name, (x, y, z) in atoms:
            lines.append(
                f"ATOM  {len(lines) + 1:5d}  {name:<3s} {ONE_TO_THREE[aa]} A{i + 1:4d}    {x:8.3f}{y:8.3f}{z:8.3f}"
                "  1.00  0.00           C"
            )
    path = folder / "coarse.pdb"
    path.write_text("\n".join((*lines, "END", "")))
    return path


def built(path: Path) -> RepairResult:
    result = repair(read_structure(path))
    protein = result.protein
    assert all(protein.mask[i, : len(protein.atom_names(i))].all() for i in range(len(protein)))
    assert validate(protein).chirality_outliers == 0
    return result


def chi1_right(native: Protein, protein: Protein) -> float:
    change = torsions(protein).chi[:, 0] - torsions(native).chi[:, 0]
    error = np.abs(np.degrees(np.angle(np.exp(1j * change))))
    return float((error[np.isfinite(error)] < 40).mean())


def test_ca_atoms_stay_and_the_backbone_comes_near(native: Protein, tmp_path: Path) -> None:
    protein = built(coarse(native, tmp_path)).protein
    assert np.abs(protein.coords[0, :, 1] - native.coords[0, :, 1]).max() < 2e-3
    assert np.sqrt(((protein.coords - native.coords)[0, :, :4] ** 2).sum(-1).mean()) < 0.6


@pytest.mark.parametrize("bead", ["SC", "SCM", "CEN"])
def test_centres_of_side_chains_choose_the_rotamers(native: Protein, tmp_path: Path, bead: str) -> None:
    path = coarse(native, tmp_path, bead)
    read = read_structure(path)
    assert len(read.centres) == sum(aa != "G" for aa in native.sequence)
    assert [n for n in read.notes if n.kind == "bead"] and not [n for n in read.notes if n.kind == "unknown_atom"]
    with_centres = chi1_right(native, built(path).protein)
    assert with_centres > 0.75
    assert with_centres > chi1_right(native, built(coarse(native, tmp_path)).protein)


def test_a_bead_far_away_or_beside_real_atoms_is_no_centre(native: Protein, tmp_path: Path) -> None:
    far = read_structure(coarse(native, tmp_path, "SC", shift=20.0))
    assert not far.centres and [n for n in far.notes if n.kind == "unknown_atom"]
    whole = EXAMPLE.read_text().splitlines()
    place = next(k for k, line in enumerate(whole) if line.startswith("ATOM") and line[12:16].strip() == "CG")
    bead = whole[place][:12] + " SC " + whole[place][16:]
    path = tmp_path / "beside.pdb"
    path.write_text("\n".join((*whole[: place + 1], bead, *whole[place + 1 :], "")))
    assert not read_structure(path).centres


def test_backbones_get_their_side_chains_together(native: Protein, tmp_path: Path) -> None:
    protein = built(coarse(native, tmp_path, backbone=True)).protein
    assert np.abs(protein.coords[0, :, :4] - native.coords[0, :, :4]).max() < 2e-3
    assert chi1_right(native, protein) > 0.5
    again = built(coarse(native, tmp_path, backbone=True)).protein
    assert np.array_equal(protein.coords, again.coords)
