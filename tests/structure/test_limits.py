"""Numbers, sizes and nesting of files are bounded before work is done on them, and reading takes time linear in the
file. Times are of CPU, and far above what is needed: they tell quadratic work from linear.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from reliability_shapes import SHAPES

from refine.errors import InputError
from refine.structure.prepare import prepare
from refine.structure.read import read_structure
from refine.structure.repair import repair
from refine.structure.write import write_cif
from tests.structure import files
from tests.structure.test_bad_input import cif_atom, columns


def read(folder: Path, content: str | bytes) -> Any:
    path = folder / "model"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_structure(path)


def refused(folder: Path, content: str | bytes, *words: str) -> InputError:
    with pytest.raises(InputError) as caught:
        read(folder, content)
    assert caught.value.file == str(folder / "model") and caught.value.remedy
    for word in words:
        assert word in str(caught.value)
    return caught.value


def bytes_of(values: list[int], kind: int, dtype: str) -> dict[str, Any]:
    return {"data": np.array(values, dtype).tobytes(), "encoding": [{"kind": "ByteArray", "type": kind}]}


def texts(values: list[str]) -> dict[str, Any]:
    offsets = bytes_of(np.cumsum([0, *map(len, values)]).tolist(), 3, "<i4")
    index = bytes_of(list(range(len(values))), 3, "<i4")
    encoding = {"kind": "StringArray", "dataEncoding": index["encoding"], "stringData": "".join(values)}
    return {
        "data": index["data"],
        "encoding": [encoding | {"offsets": offsets["data"], "offsetEncoding": offsets["encoding"]}],
    }


def binary(rows: int = 3, **columns_: dict[str, Any]) -> bytes:
    """A BinaryCIF of three alanine CA atoms, some columns exchanged."""
    table = {
        "label_atom_id": texts(["CA"] * 3),
        "label_comp_id": texts(["ALA"] * 3),
        "auth_asym_id": texts(["A"] * 3),
        "auth_seq_id": bytes_of([1, 2, 3], 3, "<i4"),
        **{f"Cartn_{axis}": bytes_of([0, 3, 6] if axis == "x" else [0, 2, 0], 3, "<i4") for axis in "xyz"},
    }
    cells = [{"name": name, "data": data, "mask": None} for name, data in {**table, **columns_}.items()]
    category = {"name": "_atom_site", "rowCount": rows, "columns": cells}
    return bytes(msgpack.packb({"dataBlocks": [{"header": "X", "categories": [category]}]}))


def with_step(**step: Any) -> dict[str, Any]:
    data = bytes_of([32767, 1, 2, 3], 2, "<i2")
    return {"data": data["data"], "encoding": [step, *data["encoding"]]}


def test_a_good_binary_cif_is_read(tmp_path: Path) -> None:
    assert len(read(tmp_path, binary()).protein) == 3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (with_step(kind="IntegerPacking", byteCount=2**31, isUnsigned=False), "byteCount is 2147483648"),
        (with_step(kind="IntegerPacking", byteCount=-1, isUnsigned=False), "byteCount is -1"),
        (with_step(kind="IntegerPacking", byteCount=1, isUnsigned=False), "more than 1 bytes"),
        (with_step(kind="RunLength", srcSize=3), "run lengths"),
        (with_step(kind="Delta", origin=2**80 // 2**20), "origin"),
        (with_step(kind="Delta"), "origin is None"),
        (with_step(kind="FixedPoint", factor=0), "factor is 0"),
        (with_step(kind="IntervalQuantization", min=0.0, max=float("inf"), numSteps=9), "max is inf"),
        (with_step(kind="StringArray"), "StringArray"),
        (with_step(kind=7), "not known"),
        ({"data": b"\x00" * 9, "encoding": []}, "0 encodings"),
        ({"data": b"\x00" * 9, "encoding": [{"kind": "ByteArray", "type": 3}]}, "9 bytes"),
        ({"data": None, "encoding": [{"kind": "ByteArray", "type": 3}]}, "do not end in bytes"),
        ({"data": b"", "encoding": None}, "no encoding"),
        (bytes_of([1, 2], 3, "<i4"), "2 values in 3 rows"),
        (texts(["a" * 2000, "b", "c"]), "a text of 2000 letters"),
    ],
)
def test_damage_of_binary_cif_names_file_category_and_column(tmp_path: Path, data: dict[str, Any], words: str) -> None:
    refused(tmp_path, binary(Cartn_x=data), "_atom_site, column cartn_x", words)


def test_sizes_that_binary_cif_declares_take_no_memory(tmp_path: Path) -> None:
    refused(tmp_path, binary(rows=2_000_000_000), "_atom_site declares 2000000000 rows")
    refused(tmp_path, binary(Cartn_x=bytes_of([0, 3, 6], 3, "<i4"), cartn_X=texts(["1"] * 3)), "cartn_x twice")
    for head in (b"\xdd", b"\xdf", b"\xdb", b"\xc6"):
        refused(tmp_path, b"\x81\xaadataBlocks" + head + b"\xff\xff\xff\xff", "_atom_site")
    refused(tmp_path, b"\x81\xaadataBlocks" + b"\x91" * 5000, "MessagePack")


@pytest.mark.parametrize("value", ["1e155", "1e39", "1e20", "1e7", "10000.1"])
def test_coordinates_beyond_the_sense_of_the_format(tmp_path: Path, value: str) -> None:
    line = next(line for line in files.atom_lines() if files.number_of(line) == 7)
    text = files.base_pdb().replace(line, columns(line, 30, f"{value:>8}"))
    error = refused(tmp_path, text, "10000 Å", "origin")
    assert (error.chain, error.residue) == ("A", "7 ALA")
    refused(tmp_path, cif_atom(10, value)(), "10000 Å", "1 MET")


def test_b_factors_and_occupancies_out_of_bounds_are_left_out_with_a_note(tmp_path: Path) -> None:
    columns_ = [i for i, line in enumerate(files.base_cif().split("\n")) if line.startswith("_atom_site.")]
    names = files.base_cif().split("\n")[columns_[0] : columns_[-1] + 1]
    for tag, kind in (("_atom_site.B_iso_or_equiv", "b_factor"), ("_atom_site.occupancy", "occupancy")):
        result = read(tmp_path, cif_atom(names.index(tag), "1e300")())
        assert np.isfinite(result.protein.b_factors).all() and result.protein.occupancies.max() <= 1
        assert [n.message for n in result.notes if n.kind == kind][0].startswith("1 atoms have no usable")


def test_small_altlocs_are_told(tmp_path: Path) -> None:
    water = files.water(1).replace(" O   HOH", " O  aHOH")
    path = tmp_path / "model"
    path.write_text("\n".join([*files.atom_lines(), water, "END", ""]))
    assert "altlocs a of hetero atoms are capital" in "\n".join(str(note) for note in prepare(path).notes)


def test_b_factors_that_pdb_columns_cut_are_told(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_text(files.base_cif().replace(" 1 20 ? 1 A", " 1 1500 ? 1 A", 1))
    assert "1 B factors are above 999.99" in "\n".join(str(note) for note in prepare(path).notes)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: "\n".join(files.atom_lines()[1:2] * 100_000), "100,000 atoms; the limit is 5,000"),
        (lambda: gzip.compress("\n".join(files.atom_lines()[1:2] * 100_000).encode()), "the limit is 5,000"),
        (lambda: "\n" * 300_000 + files.base_pdb(), ""),
        (lambda: "\n" * 300_000 + files.base_cif(), ""),
        (lambda: "".join(f"MODEL 1\n{files.atom_lines()[1]}\nENDMDL\n" for _ in range(20_000)), "only 1 residue"),
        (lambda: "".join(f"{line}\nEND\n" for line in files.atom_lines()[:4] * 5_000), "no protein"),
        (lambda: gzip.compress(b"") * 100_001, "more than"),
        (lambda: alternating(20_000), "the limit is 5,000"),
    ],
    ids=["one line", "one line, packed", "empty lines", "empty lines, mmCIF", "MODEL 1", "END", "members", "in turns"],
)
def test_time_is_linear_in_the_file(tmp_path: Path, content: Callable[[], str | bytes], words: str) -> None:
    data = content()
    start = time.process_time()
    if words:
        refused(tmp_path, data, words)
    else:
        read(tmp_path, data)
    assert time.process_time() - start < 10


def alternating(count: int) -> str:
    """Atoms of two residues by turns, each of another name."""
    one, two = files.atom_lines()[1], files.atom_lines()[20]
    return "\n".join(line[:12] + f"{k:04X}" + line[16:] for k in range(count) for line in (one, two))


def test_many_ligands_are_written_in_linear_time(tmp_path: Path) -> None:
    ions = [
        files.atom_line(1, "ZN", "ZN", "C", str(k), (99.0 + k, 0, 0), het=True, element="ZN") for k in range(1, 8000)
    ]
    protein = read(tmp_path, "\n".join([*files.atom_lines(), *ions, "END", ""])).protein
    start = time.process_time()
    write_cif(protein, tmp_path / "x.cif")
    assert time.process_time() - start < 10


def test_a_heap_of_atoms_beside_a_residue_is_no_heap_of_bonds(tmp_path: Path) -> None:
    line = next(line for line in files.atom_lines() if (files.number_of(line), files.name_of(line)) == (22, "CB"))
    x, y, z = (float(line[c : c + 8]) for c in (30, 38, 46))
    heap = [files.atom_line(1, "C", "XXX", "C", str(k), (x + 1.0, y + 1.0, z + 0.5), het=True) for k in range(1, 9000)]
    start = time.process_time()
    result = read(tmp_path, "\n".join([*files.atom_lines(), *heap, "END", ""]))
    write_cif(result.protein, tmp_path / "x.cif")
    assert time.process_time() - start < 10 and not result.protein.connections
    assert any("heaps of more than 40 each" in note.message for note in result.notes)


def test_atoms_beside_are_found_without_walking_through_a_group(tmp_path: Path) -> None:
    """Two groups of thousands of atoms with bonds between them: quadratic work took a minute."""
    content = SHAPES["two residues of 4,000 hetero atoms in a box"]()
    start = time.process_time()
    read(tmp_path, content)
    assert time.process_time() - start < 10


def test_too_many_atoms_or_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refine.structure.atom_record.MAX_ATOMS", 100)
    for content in (files.base_pdb(), files.base_cif(), gzip.compress(files.base_pdb().encode())):
        refused(tmp_path, content, "atoms; the limit is 100")
    monkeypatch.setattr("refine.structure.atom_record.MAX_ATOMS", 10_000)
    monkeypatch.setattr("refine.structure.atom_record.MAX_MODELS", 2)
    models = "".join(f"MODEL {k}\n{files.atom_lines()[0]}\nENDMDL\n" for k in range(1, 5))
    refused(tmp_path, "REMARK\n" + models, "4 models; the limit is 2")
    monkeypatch.setattr("refine.structure.source.MAX_LINES", 100)
    refused(tmp_path, files.base_pdb(), "lines; the limit is 100")


def test_a_model_number_of_thousands_of_digits(tmp_path: Path) -> None:
    assert read(tmp_path, f"MODEL {'9' * 5000}\n" + files.base_pdb()).models == 1


def test_the_remedy_for_too_many_residues_names_nothing_that_cannot_be_given(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_text(files.base_pdb())
    with pytest.raises(InputError) as caught:
        read_structure(path, max_residues=10)
    assert "max_residues" not in str(caught.value)


def test_a_blank_chain_is_named_in_words(tmp_path: Path) -> None:
    text = files.edit(lambda line: columns(line[:21] + " " + line[22:], 30, "   x.yyy"))
    assert "chain (blank), residue 1 MET" in str(refused(tmp_path, text))
    first = files.atom_lines()[0]
    odd = files.base_pdb().replace(first, columns(first[:21] + "\x1b" + first[22:], 30, "   x.yyy"))
    assert "chain ?, residue 1 MET" in str(refused(tmp_path, odd))


def repaired(folder: Path, content: str) -> Any:
    return repair(read(folder, content)).protein


def test_an_atom_of_a_residue_of_its_own_is_refused_not_built_upon(tmp_path: Path) -> None:
    """A CA under another insertion code: both residues would be completed at the same place."""
    line = next(line for line in files.atom_lines() if (files.number_of(line), files.name_of(line)) == (7, "CA"))
    text = files.base_pdb().replace(line, columns(line, 26, "L"))
    with pytest.raises(InputError, match="is missing and would lie on") as caught:
        repaired(tmp_path, text)
    assert (
        caught.value.chain == "A" and caught.value.residue in ("7 ALA", "7L ALA") and "remove it" in str(caught.value)
    )


def test_an_atom_of_another_chain_is_refused_not_built_upon(tmp_path: Path) -> None:
    """Atoms of a residue that went to another chain by damage: the residue would be completed upon them."""

    def moved(line: str) -> str:
        return columns(line, 21, "Z") if files.number_of(line) == 7 and files.name_of(line) in ("C", "N") else line

    text = files.edit(moved)
    with pytest.raises(InputError, match="would lie on (N|C) of 7 ALA of chain 'Z'"):
        repaired(tmp_path, text)


@pytest.mark.parametrize("code", ["'", '"', "#", "_", "?"])
def test_codes_that_no_mmcif_gives_back_are_refused(tmp_path: Path, code: str) -> None:
    text = files.edit(lambda line: columns(line, 16, code))
    refused(tmp_path, text, "cannot be written back")


def test_records_of_one_ligand_are_one_kind(tmp_path: Path) -> None:
    pair = [
        files.atom_line(1, name, "LIG", "B", "1", (40.0 + k, 0, 0), het=bool(k)) for k, name in enumerate(("C1", "C2"))
    ]
    first = read(tmp_path, "\n".join([*files.atom_lines(), *pair, "END", ""])).protein
    write_cif(first, tmp_path / "x.cif")
    again = read_structure(tmp_path / "x.cif").protein
    assert [h.is_hetatm for h in again.hetero] == [h.is_hetatm for h in first.hetero] == [False, False]


@pytest.mark.parametrize("name", ["_x", "", "x'"])
def test_bonds_of_odd_names_are_quoted(tmp_path: Path, name: str) -> None:
    sulfur = next(line for line in files.atom_lines() if files.name_of(line) == "SG")
    beta = next(
        x for x in files.atom_lines() if files.name_of(x) == "CB" and files.number_of(x) == files.number_of(sulfur)
    )
    s, b = (np.array([float(line[c : c + 8]) for c in (30, 38, 46)]) for line in (sulfur, beta))
    across = np.cross(s - b, [0.0, 0.0, 1.0])
    place = s + 0.5 * (s - b) / np.linalg.norm(s - b) + 1.72 * across / np.linalg.norm(across)
    odd = files.atom_line(1, "C1", name, "'", "1", tuple(place), het=True)
    protein = read(tmp_path, "\n".join([*files.atom_lines(), odd, "END", ""])).protein
    assert protein.connections
    write_cif(protein, tmp_path / "x.cif")
    again = read_structure(tmp_path / "x.cif").protein
    assert [(c.kind, c.first, c.second) for c in again.connections] == [
        (c.kind, c.first, c.second) for c in protein.connections
    ]


def test_a_fragment_before_its_residue_is_put_together_with_it(tmp_path: Path) -> None:
    """An N that stands alone before, and again within, its residue: the same atom, given twice."""
    lines = files.atom_lines()
    n = next(line for line in lines if (files.number_of(line), files.name_of(line)) == (9, "N"))
    result = read(tmp_path, "\n".join([n, *lines, "END", ""]))
    assert not result.protein.hetero and len(result.protein) == 22
    assert [note.message for note in result.notes if note.kind == "duplicate"] == [
        "1 atoms are given twice; the first is taken"
    ]
