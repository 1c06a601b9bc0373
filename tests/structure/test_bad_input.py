"""Files that cannot be refined are refused with file, place and remedy; nothing crashes with another error."""

from __future__ import annotations

import dataclasses
import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgpack
import numpy as np
import pytest

from refine.errors import InputError
from refine.structure.read import read_structure
from refine.structure.repair import repair
from refine.structure.source import open_source
from tests.structure import files


@dataclasses.dataclass(frozen=True)
class Bad:
    """A broken file: what to write, and what the error must say."""

    name: str
    content: Callable[[], bytes | str]
    says: str
    remedy: str
    chain: str | None = None
    residue: str | None = None
    model: int | None = None


def pdb(change: Callable[[str], str | None]) -> Callable[[], str]:
    return lambda: files.edit(change)


def at(number: int, name: str, change: Callable[[str], str]) -> Callable[[], str]:
    """The base file with one atom line changed."""
    return pdb(lambda line: change(line) if (files.number_of(line), files.name_of(line)) == (number, name) else line)


def columns(line: str, start: int, text: str) -> str:
    return line[:start] + text + line[start + len(text) :]


def xyz(line: str, values: tuple[float, float, float]) -> str:
    return columns(line, 30, "".join(f"{v:8.3f}" for v in values))


def cif(old: str, new: str) -> Callable[[], str]:
    def content() -> str:
        text = files.base_cif()
        assert old in text
        return text.replace(old, new, 1)

    return content


def cif_atom(column: int, value: str) -> Callable[[], str]:
    """The base mmCIF with one value of its third atom replaced."""

    def content() -> str:
        lines = files.base_cif().split("\n")
        row = next(i for i, line in enumerate(lines) if line.startswith("ATOM 3 "))
        fields = lines[row].split()
        fields[column] = value
        lines[row] = " ".join(fields)
        return "\n".join(lines)

    return content


def greedy_bcif() -> bytes:
    data = {
        "data": np.array([1, 2_000_000_000], "<i4").tobytes(),
        "encoding": [{"kind": "RunLength"}, {"kind": "ByteArray", "type": 3}],
    }
    table = {"name": "_atom_site", "rowCount": 2_000_000_000, "columns": [{"name": "id", "data": data, "mask": None}]}
    return msgpack.packb({"version": "0.3.0", "dataBlocks": [{"header": "x", "categories": [table]}]})


def nanometres(line: str) -> str:
    return xyz(line, tuple(float(line[c : c + 8]) / 10 for c in (30, 38, 46)))  # type: ignore[arg-type]


def ligand_at(x: str) -> Callable[[], str]:
    """A ligand of one atom, whose place nothing tells."""
    line = columns(files.atom_line(99, "C1", "LIG", "L", "1", (1.0, 2.0, 3.0), het=True), 30, x)
    return lambda: files.base_pdb().replace("END", f"{line}\nEND")


def twice_as_b() -> str:
    lines = files.atom_lines()
    return "\n".join(lines + [columns(line, 21, "B") for line in lines] + ["END", ""])


BAD = [
    Bad("empty", lambda: "", "empty", "again"),
    Bad("white space", lambda: " \n\n\t\n", "empty", "again"),
    Bad("zeros", lambda: b"\x00" * 4096, "empty", "again"),
    Bad("binary", lambda: bytes(range(256)) * 20, "binary", "PDB, mmCIF"),
    Bad("empty gzip", lambda: gzip.compress(b""), "empty", "again"),
    Bad("cut gzip", lambda: gzip.compress(files.base_pdb().encode())[:-300], "cut off", "again"),
    Bad("damaged gzip", lambda: b"\x1f\x8b\x08\x00" + b"\xff" * 200, "damaged", "again"),
    Bad("zip", lambda: b"PK\x03\x04" + b"\x00" * 50, "zip", "Unpack"),
    Bad("bzip2", lambda: b"BZh91AY" + b"\x01" * 50, "bzip2", "bunzip2"),
    Bad("xz", lambda: b"\xfd7zXZ\x00" + b"\x01" * 50, "xz", "unxz"),
    Bad("pdf", lambda: b"%PDF-1.7\n" + b"\x01" * 50, "PDF", "PDB or mmCIF"),
    Bad("web page", lambda: "<!DOCTYPE html>\n<html><body>404 Not Found</body></html>", "web page", "Download"),
    Bad("old web page", lambda: "\n\n<HTML><HEAD><TITLE>Error</TITLE></HEAD></HTML>", "web page", "Download"),
    Bad("xml", lambda: '<?xml version="1.0"?><PDBx:datablock/>', "XML", "PDB or mmCIF"),
    Bad("json", lambda: '{"error": "not found"}', "JSON", "PDB or mmCIF"),
    Bad("fasta", lambda: ">P12345\nMKTAYIAKQR\n", "sequence", "coordinates"),
    Bad("prose", lambda: "The requested model could not be found.\n", "neither PDB nor mmCIF", "PDB, mmCIF"),
    Bad("header only", lambda: "HEADER    TRANSFERASE\nTITLE     NOTHING\nEND\n", "no ATOM", "again"),
    Bad("cut in a coordinate", lambda: "\n".join(files.atom_lines()[:30])[:-38], "ends in the middle", "copy",
        "A", "5 TYR"),
    Bad("short line", at(5, "CB", lambda line: line[:45]), "columns missing", "copy", "A", "5 TYR"),
    Bad("NaN", ligand_at("     nan"), "coordinate nan", "remove", "L", "1 LIG"),
    Bad("infinite", ligand_at("     inf"), "coordinate inf", "remove", "L", "1 LIG"),
    Bad("stars", ligand_at("********"), "no coordinate", "columns", "L", "1 LIG"),
    Bad("letters for coordinates", at(9, "N", lambda line: columns(line, 38, "   x.yyy")), "no coordinate",
        "columns", "A", "9 GLN"),
    Bad("shifted columns", at(9, "N", lambda line: line[:26] + " " + line[26:]), "no coordinate", "columns", "A",
        "9 GLN"),
    Bad("no residue number", at(3, "CA", lambda line: columns(line, 22, "    ")), "no residue number", "Number",
        "A", "THR"),
    Bad("no protein, water only", lambda: "\n".join(files.water(i) for i in range(5)), "no protein, only: HOH",
        "amino acids"),
    Bad(
        "no protein, RNA only",
        lambda: "\n".join(files.atom_line(i, "P", "U", "A", str(i), (6.0 * i, 0, 0)) for i in range(1, 6)),
        "no protein, only: U", "amino acids",
    ),
    Bad("all unknown", pdb(lambda line: columns(line, 17, "UNK")), "no protein, only: UNK", "standard names"),
    Bad("no names", pdb(lambda line: columns(line, 17, "   ")), "no protein", "standard names"),
    Bad("one residue", pdb(lambda line: line if files.number_of(line) == 4 else None), "only 1 residue;",
        "whole chain", "A", "4 ALA"),
    Bad("two residues", pdb(lambda line: line if files.number_of(line) < 3 else None), "only 2 residues",
        "whole chain", "A", "1 MET"),
    Bad("all at the origin", pdb(lambda line: xyz(line, (0, 0, 0))), "all alike", "predict again"),
    Bad("nanometres", pdb(nanometres), "nanometres", "by 10"),
    Bad("one chain upon another", twice_as_b, "on top of each other", "Remove one copy", "A", "1 MET"),
    Bad("no such model", files.base_pdb, "no model 3; the file has only model 1", "--model", model=3),
    Bad("small-molecule CIF", lambda: "data_x\n_cell_length_a 5.0\n_atom_site_label C1\n", "no atoms", "mmCIF"),
    Bad("mmCIF without atoms", lambda: "data_x\n_entry.id x\n", "no atoms", "mmCIF"),
    Bad("mmCIF cut off", lambda: files.base_cif()[:-40], "damaged or cut off", "again"),
    Bad("mmCIF with a stray tag in its loop", cif("_atom_site.B_iso", "_atom_zite.B_iso"), "damaged or cut off",
        "another program"),
    Bad("mmCIF without coordinates", cif("_atom_site.Cartn_y", "_atom_site.nothing"),
        "no column _atom_site.cartn_y", "another program"),
    Bad("mmCIF with letters for x", cif_atom(10, "x.yy"), "no x coordinate", "Remove", "A", "1 MET"),
    Bad("mmCIF far away", cif_atom(11, "12345.6"), "y coordinate 12345.6", "Move", "A", "1 MET"),
    Bad("mmCIF with a bad number", cif_atom(16, "one"), "no residue number", "Number", "A", "one MET"),
    Bad("mmCIF with a long insertion code", cif_atom(9, "XY"), "cannot be written back", "one letter", "A", "1XY MET"),
    Bad("BinaryCIF that asks for all memory", greedy_bcif, "damaged", "again"),
    Bad("BinaryCIF cut off", lambda: b"\x83\xa7version\xa50.3.0\xaadataBlocks\x91", "damaged or cut off", "again"),
    Bad("BinaryCIF without atoms", lambda: msgpack.packb({"version": "0.3.0", "dataBlocks": []}), "no _atom_site",
        "coordinate file"),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_bad_file_is_refused_with_place_and_remedy(bad: Bad, tmp_path: Path) -> None:
    path = tmp_path / "model.pdb"
    content = bad.content()
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as caught:
        read_structure(path, model=bad.model)
    error = caught.value
    assert bad.says in error.message
    assert bad.remedy in (error.remedy or "")
    assert error.file == str(path)
    if bad.residue is not None:
        assert (error.chain, error.residue) == (bad.chain, bad.residue)
    assert list(tmp_path.iterdir()) == [path]


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_structure(tmp_path / "nothing.pdb")
    with pytest.raises(InputError, match="folder"):
        read_structure(tmp_path)


def test_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pdb.gz"
    path.write_bytes(gzip.compress(b"ATOM  " * 4_000_000))
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    with pytest.raises(InputError, match="more than 1 MB") as caught:
        open_source(path, max_bytes=1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "Cut out" in (caught.value.remedy or "") and peak < 6_000_000


def test_limit_is_a_parameter(tmp_path: Path) -> None:
    path = tmp_path / "base.pdb"
    path.write_text(files.base_pdb())
    with pytest.raises(InputError, match="the limit is 10"):
        read_structure(path, max_residues=10)


def test_a_residue_that_cannot_be_completed_is_named(tmp_path: Path) -> None:
    lines = [line for line in files.atom_lines() if files.number_of(line) not in (9, 10, 12, 13)]
    lines = [line for line in lines if files.number_of(line) != 11 or files.name_of(line) == "CA"]
    path = tmp_path / "island.pdb"
    path.write_text("\n".join([*lines, "END", ""]))
    with pytest.raises(InputError) as caught:
        repair(read_structure(path))
    assert caught.value.residue == "11 GLY" and caught.value.chain == "A" and caught.value.file == str(path)
    assert "Remove the residue" in (caught.value.remedy or "")
