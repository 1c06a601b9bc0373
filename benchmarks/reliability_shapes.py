"""Structure files that are odd as a whole: encodings, line ends, sizes, repetitions, bombs; and all odd files."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator
from typing import Any

from reliability_corpus import (
    OddFile,
    atom_line,
    base,
    base_cif,
    base_pdb,
    base_tree,
    bytes_of,
    odd_cif_values,
    odd_pdb_values,
    odd_trees,
    packed_bcif,
)  # fmt: skip


def odd_files(seed: int = 0) -> Iterator[OddFile]:
    """Well over a thousand files, each odd in one way: a value in one atom, in all atoms, or the whole file."""
    rng = random.Random(seed)
    yield from odd_pdb_values(rng)
    yield from odd_cif_values(rng)
    yield from odd_trees()
    for name, make in SHAPES.items():
        data = make()
        yield OddFile(name, data)
        if len(data) < 1_000_000:
            yield OddFile(f"{name}, gzipped", gzip.compress(data))
            yield OddFile(f"{name}, cut in half", data[: len(data) // 2])


def _atoms() -> list[str]:
    return [line for line in base_pdb().split("\n") if line.startswith(("ATOM", "HETATM"))]


def _pdb(lines: list[str]) -> bytes:
    return "\n".join([*lines, "END", ""]).encode()


def _numbered(line: str, k: int) -> str:
    return f"{line[:22]}{k % 9999:4d}{line[26:]}"


def _cif_loop(tags: list[str], rows: list[str]) -> bytes:
    return "\n".join(["data_x", "loop_", *tags, *rows, ""]).encode()


def _column_tree(**column: Any) -> bytes:
    tree = base_tree()
    columns = tree["dataBlocks"][0]["categories"][0]["columns"]
    columns[next(k for k, c in enumerate(columns) if c["name"] == "Cartn_x")] |= column
    return packed_bcif(tree)


def _deep(levels: int) -> bytes:
    return b"\x81\xaadataBlocks" + b"\x91" * levels + b"\xc0"


def _run_length_bomb(rows: int) -> bytes:
    tree = base_tree()
    table = tree["dataBlocks"][0]["categories"][0]
    table["rowCount"] = rows
    for column in table["columns"]:
        column["data"] = bytes_of([1, rows], 3, "<i4")
        column["data"]["encoding"].insert(0, {"kind": "RunLength", "srcType": 3, "srcSize": rows})
        column["mask"] = None
    return packed_bcif(tree)


def _on_a_grid(k: int, step: float) -> tuple[float, float, float]:
    return k % 99 * step, k // 99 % 99 * step, k // 9801 * step


def _renamed(tag: str) -> bytes:
    return base_cif().replace("_atom_site.label_atom_id", tag).encode()


def _with_cell(text: str) -> bytes:
    return f"CRYST1{text}\n{base_pdb()}".encode()


def _many_chains(count: int) -> bytes:
    """Glycines of their own chains, in the two columns that hold a chain id."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz"
    rows = []
    for k in range(count):
        chain = letters[k % 62] + letters[k // 62 % 62] + str(k)
        x, y, z = 5.0 * (k % 100), 5.0 * (k // 100 % 100), 5.0 * (k // 10000)
        for name, dx in (("N", 0.0), ("CA", 1.45), ("C", 2.5)):
            rows.append(f"ATOM {name[0]} {name} GLY {chain} {k + 1} {x + dx:.3f} {y:.3f} {z:.3f}")
    names = ("group_PDB", "type_symbol", "label_atom_id", "label_comp_id", "auth_asym_id", "auth_seq_id")
    return _cif_loop([f"_atom_site.{n}" for n in (*names, "Cartn_x", "Cartn_y", "Cartn_z")], rows)


_BOX = "   80.000   80.000   80.000  90.00  90.00  90.00"
_BYTES = {"kind": "ByteArray", "type": 1}
_DISTANCES = (("N", 0.0), ("CA", 1.5), ("C", 2.6), ("O", 3.3), ("CB", 1.7))
_BONES = (("N", 0.0, 0.0), ("CA", 1.5, 0.0), ("C", 2.6, 0.0), ("CB", 0.0, 9.0), ("CG", 0.0, 9.0))
_PAIRS = (b"label_atom_id", b"label_comp_id", b"Cartn_x", b"Cartn_y", b"Cartn_z")

SHAPES: dict[str, Callable[[], bytes]] = {
    "carriage returns alone": lambda: base_pdb().replace("\n", "\r").encode(),
    "carriage returns and line feeds": lambda: base_pdb().replace("\n", "\r\n").encode(),
    "mmCIF with carriage returns alone": lambda: base_cif().replace("\n", "\r").encode(),
    "UTF-16": lambda: base_pdb().encode("utf-16"),
    "UTF-16 of the other end": lambda: b"\xfe\xff" + base_pdb().encode("utf-16-be"),
    "UTF-16, one byte lost": lambda: base_pdb().encode("utf-16")[:-1],
    "UTF-32": lambda: base_pdb().encode("utf-32"),
    "byte order mark": lambda: b"\xef\xbb\xbf" + base_pdb().encode(),
    "NUL bytes between": lambda: base_pdb().replace("  ", " \x00").encode(),
    "NUL bytes at the end": lambda: base_pdb().encode() + b"\x00" * 5000,
    "NUL bytes after 200 kB": lambda: b"REMARK\n" * 30000 + base_pdb().replace("CA", "C\x00").encode(),
    "one long line": lambda: (base_pdb().replace("\n", " ") + " " * 10**6).encode(),
    "long lines": lambda: "\n".join(line + " " * 50000 for line in _atoms()).encode(),
    "a line of tabs": lambda: b"ATOM" + b"\t" * 10**6 + b"\n" + base("pdb"),
    "empty lines": lambda: b"\n" * 2_000_000 + base("pdb"),
    "empty lines before mmCIF": lambda: b"\n" * 2_000_000 + base("cif"),
    "blanks before _atom_site": lambda: b" " * 5_000_000 + base("cif"),
    "six million empty lines": lambda: b"\n" * 6_000_000,
    "tabs as separators": lambda: "\n".join("\t".join(line.split()) for line in _atoms()).encode(),
    "the first line 230,000 times": lambda: _pdb(_atoms()[1:2] * 230_000),
    "the first line 4,000 times": lambda: _pdb(_atoms()[1:2] * 4000 + _atoms()),
    "a zinc line 200,000 times": lambda: _pdb([*_atoms(), *(_atoms()[-4:-3] * 200_000)]),
    "a residue of 200,000 hetero atoms": lambda: _pdb(
        [*_atoms(), *(atom_line(1, "HETATM", f"{k:04X}"[-4:], "XXX", "C", 1, (k % 99, k // 99 % 99, k // 9801), "C")
              for k in range(200_000))]),
    "two residues of 4,000 hetero atoms in a box": lambda: _with_cell(_BOX) + _pdb(
        [atom_line(1, "HETATM", f"{k:04X}", "XXX", "C", 1 + k // 4000, (k % 70, k // 70 % 70, k // 4900), "C")
         for k in range(8000)]),
    "zinc ions 30,000 times, each its own": lambda: _pdb(
        [*_atoms(), *(atom_line(1, "HETATM", "ZN", "ZN", "C", k % 9999, _on_a_grid(k, 3.0), "ZN")
                      for k in range(30_000))]),
    "zinc ions on one another": lambda: _pdb(
        [*_atoms(), *(atom_line(1, "HETATM", "ZN", "ZN", "C", k % 9999, (60, 40, 20), "ZN") for k in range(30_000))]),
    "carbons on one another beside a residue": lambda: _pdb(
        [*_atoms(), *(atom_line(1, "HETATM", "C", "XXX", "C", k % 9999, _near(), "C") for k in range(30_000))]),
    "atoms in turns 100,000 times": lambda: _pdb((_atoms()[1:2] + _atoms()[20:21]) * 50_000),
    "names in turns 60,000 times": lambda: _pdb(
        [f"{line[:12]}{k:04X}{line[16:]}" for k in range(30_000) for line in (_atoms()[1], _atoms()[20])]),
    "MODEL 1 100,000 times": lambda: "".join(f"MODEL 1\n{_atoms()[1]}\nENDMDL\n" for _ in range(100_000)).encode(),
    "a million models": lambda: "".join(f"MODEL {k}\n{_atoms()[1]}\n" for k in range(1_000_000)).encode(),
    "END after every atom": lambda: "".join(
        f"{_numbered(line, k)}\nEND\n" for k, line in enumerate(_atoms()[:4] * 20_000)).encode(),
    "TER after every atom": lambda: "\nTER\n".join(_atoms()).encode(),
    "a model number of 5,000 digits": lambda: b"MODEL " + b"9" * 5000 + b"\n" + base("pdb"),
    "no MODEL number": lambda: b"MODEL\n" + base("pdb"),
    "1.1 million atoms": lambda: _pdb([_numbered(_atoms()[-3], k) for k in range(1_100_000)]),
    "all residues on two points": lambda: _pdb(
        [atom_line(1, "ATOM", name, "LEU", "A", k, (3.8 * (k % 2), dx, 0.0), name[0])
         for k in range(1, 4001) for name, dx in _DISTANCES]),
    "all side chains on one point": lambda: _pdb(
        [atom_line(1, "ATOM", name, "LEU", "A", k, (3.8 * k % 60, y + k // 16 * 4 % 60, z), name[0])
         for k in range(1, 1000) for name, y, z in _BONES]),
    "chains of one residue each": lambda: _many_chains(1500),
    "4,900 chains": lambda: _many_chains(4900),
    "100,000 chains": lambda: _many_chains(100_000),
    "two columns of the same name": lambda: _renamed("_atom_site.Cartn_x"),
    "the same name in capitals": lambda: _renamed("_ATOM_SITE.CARTN_X"),
    "two atom tables": lambda: (base_cif() + base_cif()[base_cif().index("loop_\n_atom_site"):]).encode(),
    "two data blocks": lambda: (base_cif() + base_cif().replace("data_", "data_2")).encode(),
    "a million columns": lambda: _cif_loop([f"_atom_site.c{k}" for k in range(1_000_000)], ["1 " * 1_000_000]),
    "a million columns in one name": lambda: _cif_loop(["_atom_site.c"] * 1_000_000, ["1 " * 1_000_000]),
    "a tag of a million letters": lambda: _cif_loop(["_atom_site." + "c" * 1_000_000], ["1"]),
    "a name of a million letters": lambda: base_cif().replace(" CA ", " " + "C" * 1_000_000 + " ", 1).encode(),
    "a text field as atom name": lambda: base_cif().replace(" CA ", "\n;C\nA\n;\n", 1).encode(),
    "a text field without end": lambda: base_cif().replace(" CA ", "\n;CA", 1).encode(),
    "a save frame": lambda: base_cif().replace("loop_\n_atom_site", "save_x\nloop_\n_atom_site").encode() + b"save_\n",
    "a thousand save frames": lambda: base("cif") + b"save_x\n" * 1000,
    "a loop without values": lambda: _cif_loop(["_atom_site.id"], []),
    "atoms as pairs": lambda: b"data_x\n" + b"".join(b"_atom_site.%s 1\n" % name for name in _PAIRS),
    "a MessagePack of a thousand levels": lambda: _deep(1000),
    "a MessagePack of 200 levels": lambda: _deep(200),
    "an array of four billion": lambda: b"\x81\xaadataBlocks\xdd\xff\xff\xff\xff",
    "a text of four billion": lambda: b"\x81\xaadataBlocks\xdb\xff\xff\xff\xff",
    "rows of two billion": lambda: _run_length_bomb(2_000_000_000),
    "rows of fifty million": lambda: _run_length_bomb(50_000_000),
    "a negative byteCount": lambda: _column_tree(data=_packing(-1)),
    "a byteCount of 0": lambda: _column_tree(data=_packing(0)),
    "a byteCount of 2 billion": lambda: _column_tree(data=_packing(2**31)),
    "a byteCount of 1 for two bytes": lambda: _column_tree(data=_packing(1)),
    "an encoding in an encoding": lambda: _column_tree(data={"data": {"data": b"", "encoding": []}, "encoding": []}),
    "a thousand deltas": lambda: _column_tree(
        data={"data": b"\x00" * 8, "encoding": [{"kind": "Delta", "origin": 1}] * 1000 + [_BYTES]}),
    "offsets out of order": lambda: _column_tree(data=_string_array([0, 5, 2, 9])),
    "negative offsets": lambda: _column_tree(data=_string_array([-5, 2, 3])),
    "offsets beyond the text": lambda: _column_tree(data=_string_array([0, 10**6])),
    "no offsets": lambda: _column_tree(data=_string_array([])),
    "a string array in a string array": lambda: _column_tree(data=_nested_strings(300)),
    "a gzip bomb": lambda: gzip.compress(b"ATOM  " * 70_000_000, 9),
    "a gzip bomb packed twice": lambda: gzip.compress(gzip.compress(b"\x00" * 900_000_000, 9), 9),
    "100,001 gzip members": lambda: gzip.compress(b"") * 100_001,
    "gzip, garbage behind": lambda: gzip.compress(base("pdb")) + b"garbage",
    "gzip thrice": lambda: gzip.compress(gzip.compress(gzip.compress(base("pdb")))),
    "a cell of nothing": lambda: _with_cell("    0.000    0.000    0.000  90.00  90.00  90.00"),
    "a cell of angles that close it": lambda: _with_cell("   50.000   50.000   50.000 180.00 180.00 180.00"),
    "a cell of 1e9": lambda: _with_cell("1000000001000000001000000000  90.00  90.00  90.00"),
    "a small cell": lambda: _with_cell("   20.000   20.000   20.000  90.00  90.00  90.00"),
}  # fmt: skip
"""Files that are odd as a whole."""


def _near() -> tuple[float, float, float]:
    line = _atoms()[1]
    return float(line[30:38]) + 1.5, float(line[38:46]), float(line[46:54])


def _packing(byte_count: int) -> dict[str, Any]:
    out = bytes_of([32767, 5] * 60, 2, "<i2")
    out["encoding"].insert(0, {"kind": "IntegerPacking", "byteCount": byte_count, "isUnsigned": False, "srcSize": 60})
    return out


def _string_array(offsets: list[int]) -> dict[str, Any]:
    of = bytes_of(offsets, 3, "<i4")
    encoding = {
        "kind": "StringArray",
        "stringData": "1.02.03.0",
        "offsets": of["data"],
        "offsetEncoding": of["encoding"],
    }
    return {"data": b"\x00" * 100, "encoding": [encoding | {"dataEncoding": [{"kind": "ByteArray", "type": 1}]}]}


def _nested_strings(levels: int) -> dict[str, Any]:
    encoding: list[dict[str, Any]] = [{"kind": "ByteArray", "type": 1}]
    for _ in range(levels):
        encoding = [{"kind": "StringArray", "stringData": "ab", "offsets": b"\x00\x01", "offsetEncoding": [
            {"kind": "ByteArray", "type": 1}], "dataEncoding": encoding}]  # fmt: skip
    return {"data": b"\x00" * 100, "encoding": encoding}
