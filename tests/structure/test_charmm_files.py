"""What CHARMM, VMD, GLYCAM and Desmond call caps, ions, metals, sugars' residues and waters is what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from refine.errors import InputError
from refine.structure.connections import described
from refine.structure.prepare import Prepared, prepare
from tests.conftest import ROOT
from tests.structure import files
from tests.structure.test_bad_input import columns, xyz
from tests.structure.test_reading_losses import example, positions

FOLDER = ROOT / "tests" / "data" / "bonded"


def lines_of(name: str) -> list[str]:
    return files.atom_lines((FOLDER / f"{name}.pdb").read_text())


def left(line: str) -> str:
    """The name where CHARMM puts it, from column 14, and no element."""
    name = line[12:16].strip()
    return columns(line, 12, f" {name:<3}" if len(name) < 4 else name)[:66]


def prepared(lines: list[str], folder: Path) -> Prepared:
    (folder / "model.pdb").write_text("\n".join([*lines, "END", ""]))
    return prepare(folder / "model.pdb")


def waters(name: str, numbers: list[str], chain: str = "W") -> list[str]:
    return [
        files.atom_line(900, atom, name, chain, number, (60.0 + 5 * k + j, 0.0, 0.0))
        for k, number in enumerate(numbers)
        for j, atom in enumerate(("O", "H1", "H2"))
    ]


@pytest.mark.parametrize(
    ("name", "bond"),
    [
        ("haem", ("E:297 HIS NE2", "H:401 HEM FE")),
        ("iron_sulphur", ("E:307 CYS SG", "H:401 SF4 FE1")),
        ("zinc", ("A:402 GLU OE1", "A:901 ZN ZN")),
    ],
)
def test_metals_are_metals_without_element_and_padding(name: str, bond: tuple[str, str], tmp_path: Path) -> None:
    rows = described(prepared([left(line) for line in lines_of(name)], tmp_path).protein)
    assert ("metal", *bond) in {(row["kind"], row["first"], row["second"]) for row in rows}


def test_ions_of_charmm(tmp_path: Path) -> None:
    names = {"SOD": "Na", "CLA": "Cl", "POT": "K", "CES": "Cs", "CAL": "Ca"}
    ions = [left(files.atom_line(900, n, n, "I", str(k), (60.0 + 5 * k, 0, 0))) for k, n in enumerate(names)]
    protein = prepared([*example(), *ions], tmp_path).protein
    assert {atom.name: atom.element for atom in protein.hetero} == names


def capped(line: str) -> str:
    """Acetyl and methylamine of the neighbouring residues as CHARMM's patches give them."""
    own = {
        "ACE": ("ALA", " 291", {"C": "CY", "O": "OY", "CH3": "CAY"}),
        "NME": ("CYS", " 330", {"N": "NT", "C": "CAT"}),
    }
    if line[17:20] not in own:
        return line
    residue, number, names = own[line[17:20]]
    line = columns(columns(line, 17, residue), 22, number)
    return columns(line, 12, f" {names[line[12:16].strip()]:<3}")


def test_caps_of_charmm_become_residues(tmp_path: Path) -> None:
    whole = prepare(FOLDER / "caps.pdb").protein
    lines = sorted(map(capped, lines_of("caps")), key=files.number_of)
    result = prepared(["ATOM  " + line[6:] for line in lines], tmp_path)
    protein = result.protein
    assert {note.message.split(", ")[1] for note in result.notes if note.kind == "cap"} == {"ACE 290", "NME 331"}
    assert sorted((h.residue_name, h.number, h.name, h.position) for h in protein.hetero) == sorted(
        (h.residue_name, h.number, h.name, h.position) for h in whole.hetero
    )
    assert described(protein) == described(whole) and protein.sequence == whole.sequence
    assert not protein.oxt_mask.any()


@pytest.mark.parametrize("number", ["****", "    "])
def test_waters_without_a_number_are_numbered_on(number: str, tmp_path: Path) -> None:
    result = prepared([*example(), *waters("SOL", ["9998", "9999", number, number], " ")], tmp_path)
    found = [atom.number for atom in result.protein.hetero]
    assert found == [9998] * 3 + [9999] * 3 + [10000] * 3 + [10001] * 3
    assert any("numbered on" in note.message for note in result.notes)


def test_an_amino_acid_without_a_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no residue number"):
        prepared([columns(line, 22, "****") if files.number_of(line) == 160 else line for line in example()], tmp_path)


def test_waters_of_desmond_are_waters_and_a_nucleotide_of_that_name_is_none(tmp_path: Path) -> None:
    nucleotide = [
        files.atom_line(990, n, "T3P", "L", "1", (90.0, k * 1.5, 0)) for k, n in enumerate(("P", "O1P", "C5"))
    ]
    result = prepared([*example(), *waters("T3P", ["1", "2"]), *nucleotide], tmp_path)
    assert [atom.residue_name for atom in result.protein.hetero] == ["HOH"] * 6 + ["T3P"] * 3
    assert [note.message for note in result.notes if note.kind == "water"][0].startswith("2 residues T3P are waters")


def test_residues_that_carry_a_sugar_of_glycam_are_amino_acids(tmp_path: Path) -> None:
    lines = [columns(line, 17, "NLN") if files.number_of(line) == 303 else line for line in lines_of("sugars")]
    protein = prepared(lines, tmp_path).protein
    assert len(protein) == 40 and ("E:303 ASN ND2", "S:1 NAG C1") in {
        (row["first"], row["second"]) for row in described(protein)
    }


def test_atoms_that_a_patch_has_put_on_a_standard_residue_stay(tmp_path: Path) -> None:
    """Phosphoserine under the name of serine; an atom that is bonded to nothing, or lies on another, is left out."""
    whole = prepare(FOLDER / "phosphoserine.pdb").protein
    lines = [columns(line, 17, "SER") if line[17:20] == "SEP" else line for line in lines_of("phosphoserine")]
    at = next(line for line in lines if files.number_of(line) == 313 and files.name_of(line) == "P")
    astray = [columns(at, 12, " LP1"), xyz(columns(at, 12, " LP2"), (0.0, 0.0, 0.0))]
    last = max(k for k, line in enumerate(lines) if files.number_of(line) == 313)
    result = prepared([*lines[: last + 1], *astray, *lines[last + 1 :]], tmp_path)
    assert {(h.name, h.position) for h in result.protein.hetero} == {(h.name, h.position) for h in whole.hetero}
    assert [row["distance"] for row in described(result.protein)] == [row["distance"] for row in described(whole)]
    (text,) = [str(note) for note in result.notes if note.kind == "modified"]
    assert "313 SER: SER has more atoms" in text and "left out: LP1 LP2" in text


@pytest.mark.parametrize("name", ["HSE", "HIP"])
def test_names_that_the_pdb_has_for_something_else(name: str, tmp_path: Path) -> None:
    """HSE is homoserine to the PDB, HIP a phosphohistidine, and both are histidines to force fields."""
    lines = lines_of("zinc")
    number = 401
    if name == "HSE":
        kept = {"N", "CA", "C", "O", "CB", "CG"}
        own = [line for line in lines if files.number_of(line) == number and files.name_of(line) in kept]
        nitrogen = next(line for line in lines if files.number_of(line) == number and files.name_of(line) == "ND1")
        own.append(columns(nitrogen, 12, " OD "))
    else:
        own = [line for line in lines if files.number_of(line) == number]
        at = {files.name_of(line): np.array(positions(line)) for line in own}
        out = at["NE2"] - at["CG"]
        place = at["NE2"] + 1.75 * out / np.linalg.norm(out)
        own.append(xyz(columns(own[-1], 12, " P  "), tuple(place.tolist())))
    first = min(k for k, line in enumerate(lines) if files.number_of(line) == number)
    rest = [line for line in lines if files.number_of(line) != number]
    protein = prepared([*rest[:first], *(columns(line, 17, name) for line in own), *rest[first:]], tmp_path).protein
    atoms = {h.name for h in protein.hetero if h.residue_name == name}
    assert atoms == ({"N", "CA", "C", "O", "CB", "CG", "OD"} if name == "HSE" else {"P"})
