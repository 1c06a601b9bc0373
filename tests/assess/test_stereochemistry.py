"""Bonds, angles, peptide planes and chiral centres."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from pathlib import Path

import biotite.structure as struc
import numpy as np
import pytest

from refine.assess.stereochemistry import ideal_values, lddt_exclusions, stereochemistry
from refine.assess.torsions import torsions
from refine.constants import AMINO_ACIDS, ATOM14
from refine.structure.protein import Protein
from tests.assess.structures import NATIVES, atom_array, structure


@pytest.fixture(params=NATIVES)
def native(request: pytest.FixtureRequest) -> Protein:
    return structure(request.param)


def moved(protein: Protein, residue: int, slot: int, by: np.ndarray) -> Protein:
    coords = protein.coords.copy()
    coords[0, residue, slot] += by
    return dataclasses.replace(protein, coords=coords)


def bonds_of(aa: str) -> int:
    """Bonds within a residue: a tree of its atoms, and one more for each ring."""
    return len(ATOM14[aa]) - 1 + {"P": 1, "H": 1, "F": 1, "Y": 1, "W": 2}.get(aa, 0)


def test_table_covers_every_heavy_atom_bond() -> None:
    for aa in AMINO_ACIDS:
        bonds = [atoms for atoms, _, _ in ideal_values()[aa] if len(atoms) == 2 and atoms[0][0] != "<"]
        assert len(bonds) == bonds_of(aa), aa
        assert all(name in ATOM14[aa] for atoms in bonds for name in atoms)


def test_rows_within_a_residue_equal_openstructures_table() -> None:
    """SHA-256 of the sorted 327 rows of stereo_chemical_props.txt (OpenStructure's, as in alphafold-colabfold 2.3.27 on
    PyPI).
    """
    rows = [
        f"{residue} {' '.join(min(atoms, atoms[::-1]))} {mean:.3f} {sd:.3f}"
        for residue, values in ideal_values().items()
        for atoms, mean, sd in values
        if atoms[0][0] != "<"
    ]
    expected = "54118981af377c0c45e83cff9aa48f97cd8bba1fddc5ee906a7104c15bf09a55"
    assert len(rows) == 327 and hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest() == expected


def test_rows_across_the_peptide_bond_agree_with_crystal_structures() -> None:
    """All 18 lie within 0.8 deviations of the medians at 1.3 Å or better, and the three angles of a planar atom add up
    to 360°.
    """
    with (Path(__file__).parent / "oracles" / "peptides.csv").open(newline="") as handle:
        measured = {
            (r["residue"], r["atoms"]): float(r["median"])
            for r in csv.DictReader(line for line in handle if not line.startswith("#"))
        }
    table = {
        (aa, " ".join(a)): (mean, sd) for aa, rows in ideal_values().items() for a, mean, sd in rows if a[0][0] == "<"
    }
    assert len(table) == 18 and set(table) == set(measured)
    assert max(abs(measured[key] - mean) / sd for key, (mean, sd) in table.items()) < 0.8
    inside = {(aa, " ".join(min(a, a[::-1]))): mean for aa, rows in ideal_values().items() for a, mean, _ in rows}
    assert table["*", "<CA <C N"][0] + table["*", "<O <C N"][0] + inside["A", "CA C O"] == pytest.approx(360, abs=0.5)
    assert table["P", "<C N CA"][0] + table["P", "<C N CD"][0] + inside["P", "CA N CD"] == pytest.approx(360, abs=1.0)


def test_a_good_crystal_structure(native: Protein) -> None:
    s = stereochemistry(native, torsions(native))
    bonds = struc.connect_via_residue_names(atom_array(native)).get_bond_count()
    assert s.peptides == len(native) - 1 and s.bonds == bonds
    assert s.centres == sum(1 + (aa in "IT") for aa in native.sequence if aa != "G")
    assert s.count("bond") == s.count("omega") == s.count("chirality") == 0 and s.count("angle") <= 3
    assert 0.3 < s.bond_rmsz < 1.0 and 0.3 < s.angle_rmsz < 1.0
    assert not lddt_exclusions(native, torsions(native)).any()


def test_mirror_image_inverts_every_centre(native: Protein) -> None:
    mirror = dataclasses.replace(native, coords=native.coords * np.float32([1, 1, -1]))
    s = stereochemistry(mirror, torsions(mirror))
    assert s.count("chirality") == s.centres
    assert s.bond_rmsz == pytest.approx(stereochemistry(native, torsions(native)).bond_rmsz, abs=1e-4)


def test_a_stretched_bond_is_named(native: Protein) -> None:
    i = native.sequence.index("K")
    bond = native.coords[0, i, 8] - native.coords[0, i, 7]
    bad = moved(native, i, 8, 0.4 * bond / np.linalg.norm(bond))
    (outlier,) = [o for o in stereochemistry(bad, torsions(bad)).outliers if o.kind == "bond"]
    assert outlier.residue == i and set(outlier.atoms) == {"CE", "NZ"} and outlier.sigma > 10
    excluded = lddt_exclusions(bad, torsions(bad))
    assert excluded[i, 4:].all() and not excluded[i, :4].any() and not excluded[np.arange(len(bad)) != i].any()


def test_two_atoms_on_top_of_each_other_void_both_side_chains(native: Protein) -> None:
    i, j = [k for k, aa in enumerate(native.sequence) if aa == "K" and native.mask[k, 8]][:2]
    bad = moved(native, i, 8, native.coords[0, j, 8] - native.coords[0, i, 8])
    excluded = lddt_exclusions(bad, torsions(bad))
    assert excluded[i, 4:].all() and excluded[j, 4:].all()


def test_cis_peptides(native: Protein) -> None:
    """The natives have none; a peptide turned by 90 degrees is a twisted one, a cis proline is listed by itself."""
    angles = torsions(native)
    assert stereochemistry(native, angles).count("omega") == 0
    omega = angles.omega.copy()
    omega[40], omega[50] = np.radians(90), np.radians(5)
    proline = native.sequence.index("P", 1)
    omega[proline] = np.radians(-3)
    s = stereochemistry(native, dataclasses.replace(angles, omega=omega))
    assert sorted(o.residue for o in s.outliers if o.kind == "omega") == [40, 50]
    assert s.cis_prolines == (proline,)
    for degrees in (31, 60, 89, 149):  # twisted is a class of its own, before proline, too
        omega[proline] = np.radians(degrees)
        s = stereochemistry(native, dataclasses.replace(angles, omega=omega))
        assert proline in [o.residue for o in s.outliers if o.kind == "omega"] and s.cis_prolines == ()


def test_an_angle_that_the_wwpdb_lists() -> None:
    """_pdbx_validate_rmsd_angle of 1A7G has one row: CA-CB-CG of Leu 342, 18.16 degrees too wide, deviation 2.30."""
    p = structure("1a7g.pdb")
    beyond_six = [o for o in stereochemistry(p, torsions(p)).outliers if abs(o.sigma) > 6]
    assert [(p.residue_ids[o.residue].number, o.atoms) for o in beyond_six] == [(342, ("CA", "CB", "CG"))]
    assert beyond_six[0].sigma == pytest.approx(18.16 / 2.30, abs=0.1)
