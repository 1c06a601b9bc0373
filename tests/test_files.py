"""Files: names of structures, hashes, writing in one step, CSV and JSON."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from refine.errors import InputError
from refine.files import (
    STRUCTURE_SUFFIXES,
    csv_rows,
    csv_text,
    file_hash,
    is_structure_name,
    is_there,
    json_text,
    plain,
    replacing,
    stem,
    structure_files,
    write_output,
    write_text,
)


def test_stems_of_structure_files() -> None:
    names = {"x.PDB": "x", "y.cif.gz": "y", "x.1.pdb.gz": "x.1", "z.pdb1": "z", "noending": "noending", ".pdb": ".pdb"}
    assert {name: stem(Path(name)) for name in names} == names
    assert all(stem(Path(f"a{suffix}{packed}")) == "a" for suffix in STRUCTURE_SUFFIXES for packed in ("", ".gz"))
    assert stem(Path("/")) == "model"


def test_structure_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.pdb", "a.CIF.gz", "c.bcif", "notes.txt", "weights.gz", "below/d.ent"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "folder.pdb").mkdir()
    assert [p.name for p in structure_files(tmp_path)] == ["a.CIF.gz", "b.pdb", "c.bcif"]
    assert [p.name for p in structure_files(tmp_path, below=True)] == ["a.CIF.gz", "b.pdb", "d.ent", "c.bcif"]
    assert not is_structure_name(Path("pdb")) and is_structure_name(Path("x.mmcif.gz"))


def test_hash_is_that_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert file_hash(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(InputError, match="cannot read the input: No such file"):
        file_hash(tmp_path / "gone")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyError
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["x.npz"]
    with replacing(path) as temporary, replacing(path) as other:
        assert temporary != other and temporary.suffix == ".npz" and temporary.name.startswith(".partial-")
        np.savez(temporary, a=1)
        other.write_bytes(b"other")
    with np.load(path) as arrays:
        assert arrays["a"] == 1
    assert os.listdir(tmp_path) == ["x.npz"]


def test_text_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "Å\n")
    (tmp_path / "y").write_text("")
    assert (tmp_path / "x").read_bytes() == "Å\n".encode()
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "x.csv"
    with pytest.raises(InputError, match="cannot write: No such file or directory") as caught:
        write_output(path, "")
    assert str(path) in str(caught.value) and "--out" in str(caught.value)


def test_csv_cells() -> None:
    lines = [[1, 1 / 3, None], ["a,b", float("nan"), float("inf")]]
    assert csv_text(["x", "y", "z"], lines) == 'x,y,z\n1,0.333333,\n"a,b",,\n'


def test_csv_cells_are_no_formulas() -> None:
    odd = ["=cmd|' /C calc'!A0", "+A1", "-A1", "@SUM(A1)", "\tx", "\rx", "'=1", "''=1", "--", "-"]
    plain_ones = ["A", "'", "'A", "-1", "+2.5", "-1e-05", "1", "", "a=b", "x\ny"]
    text = csv_text(["chain", "=odd"], [[one, -1.5] for one in [*odd, *plain_ones]])
    cells = [row[0] for row in csv.reader(io.StringIO(text, newline=""))][1:]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells[: len(odd)])
    assert cells[len(odd) :] == plain_ones and "chain,'=odd\n" in text and ",-1.5\n" in text
    rows = csv_rows(io.StringIO(text, newline=""))
    assert [row["chain"] for row in rows] == [*odd, *plain_ones] and rows[0]["=odd"] == "-1.5"


def test_rows_of_damaged_tables() -> None:
    assert csv_rows(io.StringIO("a,b\n1\n1,2,3\n")) == [{"a": "1", "b": ""}, {"a": "1", "b": "2"}]
    assert csv_rows(io.StringIO("")) == []


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    assert not is_there(tmp_path / ("x" * 5000)) and not is_there(Path("\x00")) and is_there(tmp_path)


def test_json_knows_no_other_numbers_than_finite_ones() -> None:
    value = {1: (np.float32(0.5), float("nan")), "a": np.array([1.0, np.inf]), "p": Path("x"), "n": np.int64(3)}
    expected = {"1": [0.5, None], "a": [1.0, None], "p": "x", "n": 3}
    assert plain(value) == expected and json.loads(json_text(value)) == expected
    assert json_text({"x": "Å"}) == '{\n "x": "\\u00c5"\n}\n' and "Å" in json_text({"x": "Å"}, ascii_only=False)
