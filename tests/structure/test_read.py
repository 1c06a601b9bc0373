"""Files as predictors and the PDB write them are read, and what was decided is said in notes."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from refine.constants import ATOM14
from refine.structure.atom_record import hybrid36
from refine.structure.protein import Protein, ResidueId
from refine.structure.read import ReadResult, read_structure
from refine.structure.write import write_cif, write_pdb
from tests.structure import files
from tests.structure.test_bad_input import columns, xyz


@pytest.fixture
def read(tmp_path: Path):  # noqa: ANN201
    def reader(content: str | bytes, name: str = "model.pdb", **options: int) -> ReadResult:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_structure(path, **options)

    return reader


def kinds(result: ReadResult) -> set[str]:
    return {note.kind for note in result.notes}


def note(result: ReadResult, kind: str) -> str:
    return " | ".join(str(n) for n in result.notes if n.kind == kind)


def assert_like_base(protein: Protein) -> None:
    base = files.base_protein()
    assert protein.sequence == base.sequence
    assert np.array_equal(protein.mask, base.mask) and protein.oxt_mask[-1]
    assert np.abs(protein.coords - base.coords).max() < 1.1e-3


# Containers and text encodings: content decides, not the name.


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.pdb", lambda: files.base_pdb()),
        ("model.cif", lambda: files.base_pdb()),
        ("model.pdb", lambda: files.base_cif()),
        ("model", lambda: files.base_cif()),
        ("model.pdb.gz", lambda: gzip.compress(files.base_pdb().encode())),
        ("model.pdb", lambda: gzip.compress(gzip.compress(files.base_pdb().encode()))),
        (
            "model.cif.gz",
            lambda: gzip.compress(files.base_cif()[:999].encode()) + gzip.compress(files.base_cif()[999:].encode()),
        ),
        ("model.pdb", lambda: files.base_pdb().replace("\n", "\r\n")),
        ("model.pdb", lambda: files.base_pdb().replace("\n", "\r")),
        ("model.pdb", lambda: b"\xef\xbb\xbf" + files.base_pdb().encode()),
        ("model.pdb", lambda: files.base_pdb().encode("utf-16")),
        ("model.pdb", lambda: b"REMARK  \xe9t\xe9\n" + files.base_pdb().encode()),
        ("model.pdb", lambda: files.base_pdb().rstrip("\n")),
        ("model.pdb", lambda: files.edit(lambda line: line.rstrip())),
    ],
)
def test_any_container_is_recognised(read, name: str, content) -> None:  # noqa: ANN001
    result = read(content(), name)
    assert result.protein.name == "model"
    assert_like_base(result.protein)
    assert result.format == ("mmcif" if b"_atom_site" in read_back(content()) else "pdb")


def read_back(content: str | bytes) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    while data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    return data


@pytest.mark.parametrize("packed", [False, True])
def test_binary_cif_equals_what_biotite_wrote(read, tmp_path: Path, packed: bool) -> None:  # noqa: ANN001
    pdbx = pytest.importorskip("biotite.structure.io.pdbx")
    (tmp_path / "base.cif").write_text(files.base_cif())
    text = pdbx.CIFFile.read(tmp_path / "base.cif")
    block = pdbx.BinaryCIFBlock()
    block["atom_site"] = pdbx.BinaryCIFCategory(
        {k: pdbx.BinaryCIFColumn(v.as_array(), _mask(v)) for k, v in text.block["atom_site"].items()}
    )
    for column in ("Cartn_x", "Cartn_y", "Cartn_z", "B_iso_or_equiv", "occupancy"):
        block["atom_site"][column] = text.block["atom_site"][column].as_array(float)
    block["atom_site"]["auth_seq_id"] = text.block["atom_site"]["auth_seq_id"].as_array(int)
    binary = pdbx.BinaryCIFFile({"base": block})
    if packed:
        binary = pdbx.compress(binary)
    binary.write(tmp_path / "base.bcif")
    result = read(gzip.compress((tmp_path / "base.bcif").read_bytes()), "x.bcif.gz")
    assert result.format == "bcif" and result.protein.name == "x"
    assert_like_base(result.protein)
    assert result.protein.residue_ids == files.base_protein().residue_ids


def _mask(column):  # noqa: ANN001, ANN202
    return column.mask.array if column.mask is not None and (column.mask.array > 0).any() else None


# Chains, numbers, models.


def test_blank_chain(read) -> None:  # noqa: ANN001
    result = read(files.edit(lambda line: columns(line, 21, " ")))
    assert result.protein.chains == ("",)
    assert_like_base(result.protein)


def test_insertion_codes_and_negative_numbers(read) -> None:  # noqa: ANN001
    def change(line: str) -> str:
        number = files.number_of(line)
        return columns(
            line, 22, {1: "  -3 ", 2: "   0 ", 3: "  52 ", 4: "  52A", 5: "  52B"}.get(number, f"{number + 60:4d} ")
        )

    result = read(files.edit(change))
    ids = [str(i) for i in result.protein.residue_ids[:6]]
    assert ids == ["A:-3", "A:0", "A:52", "A:52A", "A:52B", "A:66"]
    assert result.protein.bonded[:-1].all()


def test_hybrid36_numbers(read) -> None:  # noqa: ANN001
    result = read(
        files.edit(lambda line: columns(line, 22, {21: "9999", 22: "A000"}.get(files.number_of(line), line[22:26])))
    )
    assert [r.number for r in result.protein.residue_ids[-2:]] == [9999, 10000]
    # values from the reference implementation, cci.lbl.gov/hybrid_36
    assert [hybrid36(t, 4) for t in ("9999", "A000", "A00Z", "ZZZZ", "a000", "zzzz", "-999")] == [
        9999,
        10000,
        10035,
        1223055,
        1223056,
        2436111,
        -999,
    ]
    with pytest.raises(ValueError):
        hybrid36("A0 0", 4)


def test_four_letter_chain_ids(read) -> None:  # noqa: ANN001
    result = read(files.base_cif().replace(" A 1\n", " AbC1 1\n"), "model.cif")
    assert result.protein.chains == ("AbC1",)


def test_several_models(read) -> None:  # noqa: ANN001
    atoms = files.atom_lines()
    second = [xyz(line, (float(line[30:38]) + 5, float(line[38:46]), float(line[46:54]))) for line in atoms]
    text = "\n".join(["MODEL        3", *atoms, "ENDMDL", "MODEL        7", *second, "ENDMDL", "END", ""])
    first = read(text)
    assert first.models == 2 and "model 3 is used (the first" in note(first, "model")
    other = read(text, model=7)
    assert other.protein.coords[0, 0, 0, 0] == pytest.approx(first.protein.coords[0, 0, 0, 0] + 5)
    loose = read("\n".join([*atoms, "END", *second, "END", ""]))
    assert loose.models == 2 and "model" in kinds(loose)


def test_one_chain_id_for_two_molecules(read) -> None:  # noqa: ANN001
    """Blank multimers: numbers start again in the same chain."""
    atoms = files.atom_lines()
    second = [xyz(line, (float(line[30:38]) + 15, float(line[38:46]), float(line[46:54]))) for line in atoms]
    result = read("\n".join([*atoms, "TER", *second, "TER", "END", ""]))
    assert len(result.protein) == 44 and result.protein.bonded.sum() == 42
    assert "22 residue numbers occur more than once" in note(result, "numbering")
    whole = read("\n".join([*atoms, *second, "END", ""]))
    assert np.array_equal(whole.protein.coords, result.protein.coords)


def test_chain_id_in_two_segments_keeps_file_order(read) -> None:  # noqa: ANN001
    atoms = files.atom_lines()
    head = [line for line in atoms if files.number_of(line) <= 10]
    tail = [line for line in atoms if files.number_of(line) > 10]
    other = [
        columns(xyz(line, (float(line[30:38]) + 15, 0.5, float(line[46:54]))), 21, "B")
        for line in atoms
        if files.name_of(line) == "CA"
    ]
    result = read("\n".join([*head, *other, *tail, files.water(300), "END", ""]))
    assert [r.chain for r in result.protein.residue_ids] == ["A"] * 10 + ["B"] * 22 + ["A"] * 12
    assert list(result.protein.file_order) == list(range(44)) and result.protein.hetero[0].order == 44


def test_all_residues_numbered_alike(read) -> None:  # noqa: ANN001
    result = read(files.edit(lambda line: columns(line, 22, "   1")))
    assert len(result.protein) == 22 and "numbering" in kinds(result)


# Atoms.


def test_altlocs_take_the_best_occupancy(read) -> None:  # noqa: ANN001
    def change(line: str) -> str:
        if files.number_of(line) != 6 or files.name_of(line) in ("N", "CA", "C", "O"):
            return line
        low = columns(columns(line, 16, "A"), 54, "  0.40")
        high = columns(
            columns(xyz(line, (float(line[30:38]) + 1, float(line[38:46]), float(line[46:54]))), 16, "B"), 54, "  0.60"
        )
        return f"{low}\n{high}"

    result = read(files.edit(change))
    moved = result.protein.coords - files.base_protein().coords
    assert moved[0, 5, 4:8, 0] == pytest.approx(1, abs=2e-3) and abs(moved[0, :5]).max() < 2e-3
    assert result.protein.occupancies[5, 4] == pytest.approx(0.6)
    assert "in 1 residues (chain A: 1)" in note(result, "altloc")


def test_two_residue_types_at_one_place(read) -> None:  # noqa: ANN001
    """Microheterogeneity: serine at 0.3, alanine at 0.7."""

    def change(line: str) -> str:
        if files.number_of(line) != 4:
            return line
        return "\n".join(
            columns(columns(columns(line, 16, alt), 54, occ), 17, name)
            for alt, occ, name in (("A", "  0.30", "SER"), ("B", "  0.70", "ALA"))
        )

    result = read(files.edit(change))
    assert result.protein.sequence == files.SEQUENCE
    assert "4 ALA: the file has SER in its place" in note(result, "microheterogeneity")


@pytest.mark.parametrize(("number", "name", "letter", "kind"), [
    (1, "MSE", "M", "modified"), (15, "SEP", "S", "modified"), (3, "TPO", "T", "modified"), (5, "PTR", "Y", "modified"),
    (21, "CSO", "C", "modified"),
    (20, "HID", "H", "protonation"), (20, "HSE", "H", "protonation"), (21, "CYX", "C", "protonation"),
    (2, "MLY", "K", "modified"),
])  # fmt: skip
def test_modified_residue_becomes_its_parent(
    read: Callable[..., ReadResult], number: int, name: str, letter: str, kind: str
) -> None:
    def change(line: str) -> str:
        if files.number_of(line) != number:
            return line
        line = columns(columns(line, 0, "HETATM"), 17, name)
        return columns(columns(line, 12, "SE  "), 76, "SE") if files.name_of(line) == "SD" and name == "MSE" else line

    extra = files.atom_line(999, "P", name, "A", str(number), (40.0, 0, 0), het=True)
    lines = files.edit(change).splitlines()
    last = max(i for i, line in enumerate(lines) if line.startswith("HETATM"))
    result = read("\n".join([*lines[: last + 1], extra, *lines[last + 1 :]]))
    assert_like_base(result.protein)
    assert f"residue {number} {name}: {name} is read as" in note(result, kind) and "left out: P" in note(result, kind)
    assert result.protein.sequence[number - 1] == letter and not result.protein.hetero


def test_old_hydrogen_names_are_dropped_and_counted(read) -> None:  # noqa: ANN001
    old = [
        files.atom_line(900, name, "ALA", "A", "4", (50.0 + i, 0, 0))
        for i, name in enumerate(("1HB", "2HB", "3HB", "HA", "H", "D", "HB1"))
    ]
    result = read("\n".join([*files.atom_lines(), *old, "END", ""]))
    assert_like_base(result.protein)
    assert note(result, "hydrogens").startswith("7 hydrogens")


@pytest.mark.parametrize(("start", "width", "kind"), [(54, 6, "occupancy"), (60, 6, "b_factor"), (76, 2, "")])
def test_missing_columns(read, start: int, width: int, kind: str) -> None:  # noqa: ANN001
    result = read(files.edit(lambda line: columns(line, start, " " * width)))
    assert_like_base(result.protein)
    assert kind in kinds(result) or not kind
    assert (result.protein.occupancies == 1).all() or kind != "occupancy"


def test_wrong_element_columns(read) -> None:  # noqa: ANN001
    result = read(files.edit(lambda line: columns(line, 76, " N")))
    assert_like_base(result.protein)
    assert "contradicts" in note(result, "element")


def test_left_justified_names(read) -> None:  # noqa: ANN001
    assert_like_base(
        read(files.edit(lambda line: columns(columns(line, 12, f"{files.name_of(line):<4}"), 76, "  "))).protein
    )


def test_names_of_simulation_programs(read) -> None:  # noqa: ANN001
    def change(line: str) -> str:
        new = {
            ("CD1", "ILE"): "CD ",
            ("O", "LEU"): "OT1" if files.number_of(line) == 22 else "O  ",
            ("OXT", "LEU"): "OT2",
        }.get((files.name_of(line), line[17:20]))
        return columns(line, 13, new) if new else line

    assert_like_base(read(files.edit(change)).protein)


def test_duplicated_atoms(read) -> None:  # noqa: ANN001
    result = read(files.edit(lambda line: f"{line}\n{line}" if files.number_of(line) == 8 else line))
    assert_like_base(result.protein)
    assert note(result, "duplicate").startswith("11 atoms")
    again = read("\n".join([*files.atom_lines(), *files.atom_lines()[20:40], "END", ""]))
    assert_like_base(again.protein)
    assert note(again, "duplicate").startswith("20 atoms")


def test_atoms_of_a_residue_in_two_places(read) -> None:  # noqa: ANN001
    atoms = files.atom_lines()
    backbone = [line for line in atoms if files.name_of(line) in ("N", "CA", "C", "O")]
    rest = [line for line in atoms if line not in backbone]
    result = read("\n".join([*backbone, *rest, "END", ""]))
    assert_like_base(result.protein)
    assert "order" in kinds(result)


def test_side_chain_atoms_on_top_of_each_other_are_lifted(read) -> None:  # noqa: ANN001
    result = read(files.edit(lambda line: xyz(line, (0.5, 0.5, 0.5)) if files.name_of(line) == "CG" else line))
    assert "overlap" in kinds(result) and not result.protein.mask[0, 5]


def test_unknown_atom_names(read) -> None:  # noqa: ANN001
    extra = files.atom_line(900, "XX", "ALA", "A", "4", (9.0, 9.0, 9.0), element="C")
    result = read("\n".join([*files.atom_lines(), extra, "END", ""]))
    assert "XX" in note(result, "unknown_atom") and "4 ALA" in note(result, "unknown_atom")


# What is carried along.


def test_ligands_waters_ions_and_nucleic_acid_are_carried_along(read) -> None:  # noqa: ANN001
    others = [
        files.atom_line(900, "P", "DA", "C", "1", (40.0, 0, 0)),
        files.atom_line(901, "C1", "LIG", "A", "401", (41.5, 2, 0), het=True, altloc="A", occupancy="  0.30"),
        files.atom_line(902, "C1", "LIG", "A", "401", (41.8, 2, 0), het=True, altloc="B", occupancy="  0.70"),
        columns(files.atom_line(903, "ZN", " ZN", "A", "402", (45.0, 2, 0), het=True, element="ZN"), 12, "ZN  "),
        files.water(-5),
        files.water(-5, xyz=(33.0, 30.0, 30.0)),
    ]
    others[3] = columns(others[3].ljust(80), 78, "2+")
    result = read("\n".join([*files.atom_lines(), "TER", *others, "END", ""]))
    hetero = result.protein.hetero
    assert [(h.residue_name, h.name, h.element, h.altloc, h.charge, h.is_hetatm) for h in hetero] == [
        ("DA", "P", "P", "", 0, False), ("LIG", "C1", "C", "A", 0, True), ("LIG", "C1", "C", "B", 0, True),
        ("ZN", "ZN", "Zn", "", 2, True), ("HOH", "O", "O", "", 0, True), ("HOH", "O", "O", "", 0, True),
    ]  # fmt: skip
    assert "carried along unmoved" in note(result, "hetero") and len(result.protein) == 22


@pytest.mark.parametrize("name", ["UNK", "DAL", "XYZ"])
def test_unknown_residue_in_a_chain_breaks_it_and_is_carried_along(read, name: str) -> None:  # noqa: ANN001
    result = read(files.edit(lambda line: columns(line, 17, name) if files.number_of(line) == 4 else line))
    assert len(result.protein) == 21 and not result.protein.bonded[2]
    assert f"4 {name}" in note(result, "unknown") and {h.residue_name for h in result.protein.hetero} == {name}


def test_free_amino_acid_is_a_ligand(read) -> None:  # noqa: ANN001
    free = [
        columns(xyz(line, (float(line[30:38]) + 40, 0, float(line[46:54]))), 0, "HETATM")
        for line in files.atom_lines()
        if files.number_of(line) == 19
    ]
    free = [columns(line, 22, " 500") for line in free]
    result = read("\n".join([*files.atom_lines(), *free, "END", ""]))
    assert len(result.protein) == 22 and {h.residue_name for h in result.protein.hetero} == {"GLU"}
    assert "free" in note(result, "unknown")


def test_gap_is_noted_and_stays(read) -> None:  # noqa: ANN001
    result = read(files.edit(lambda line: line if files.number_of(line) not in (9, 10, 11) else None))
    assert len(result.protein) == 19 and np.flatnonzero(~result.protein.bonded).tolist() == [7, 18]
    assert "residue 8 ARG: the chain is broken" in note(result, "gap") and "9" not in note(result, "gap").split(":")[0]


def test_alpha_carbons_only(read) -> None:  # noqa: ANN001
    result = read("\n".join(files.helix(files.SEQUENCE, "A", 0.0)))
    assert result.protein.mask.sum() == 22 and result.protein.mask[:, 1].all()


def test_mmcif_without_author_columns_falls_back_to_label(read) -> None:  # noqa: ANN001
    text = (
        files.base_cif()
        .replace("_atom_site.auth_seq_id", "_atom_site.x1")
        .replace("_atom_site.auth_asym_id", "_atom_site.x2")
    )
    result = read(text, "model.cif")
    assert result.protein.residue_ids[0] == ResidueId("A", 1) and "numbering" in kinds(result)
    assert_like_base(result.protein)


# All of what the project is given.


def test_shared_files_read_and_come_back(shared: Path, tmp_path: Path) -> None:
    paths = (
        sorted((shared / "bench").glob("*/*/*.pdb"))[::60]
        + sorted((shared / "data" / "chains").glob("*.bcif.gz"))[::999]
    )
    assert paths
    for path in paths:
        protein = read_structure(path).protein
        for name, write in (("x.pdb", write_pdb), ("x.cif", write_cif)):
            write(protein, tmp_path / name)
            again = read_structure(tmp_path / name).protein
            assert np.abs(again.coords - protein.coords).max() <= 1e-3, path
            assert again.residue_ids == protein.residue_ids and np.array_equal(again.mask, protein.mask), path
            assert np.array_equal(again.bonded, protein.bonded) and len(again.hetero) == len(protein.hetero), path


def test_every_benchmark_model_reads(shared: Path) -> None:
    paths = sorted((shared / "bench" / "refined150-dev").glob("*/model.pdb")) + sorted(
        (shared / "bench" / "perturbed-40").glob("*/model.pdb")
    )
    assert len(paths) >= 114
    for path in paths:
        protein = read_structure(path).protein
        assert len(protein) > 20 and protein.mask[:, 1].all(), path
        assert all(protein.mask[i, len(ATOM14[letter]) :].sum() == 0 for i, letter in enumerate(protein.sequence))
