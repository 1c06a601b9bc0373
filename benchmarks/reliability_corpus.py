"""Good structure files, and odd ones that differ from them in a value: generated, nothing is stored.

The good ones are the first residues of ``examples/1a8o_native.pdb`` with a zinc ion, a water and a ligand of two atoms,
as PDB, mmCIF and BinaryCIF.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gemmi
import msgpack
import numpy as np

from refine.structure.read import read_structure
from refine.structure.repair import repair
from refine.structure.write import write_cif

EXAMPLE = Path(__file__).parents[1] / "examples" / "1a8o_native.pdb"
RESIDUES = 4
FORMATS = ("pdb", "cif", "bcif")
HETERO = (
    ("HETATM", "ZN", "ZN", "Z", 201, (60.0, 40.0, 20.0), "ZN"),
    ("HETATM", "O", "HOH", "A", 301, (62.5, 40.0, 20.0), "O"),
    ("HETATM", "C1", "LIG", "B", 1, (50.0, 20.0, 20.0), "C"),
    ("HETATM", "O1", "LIG", "B", 1, (51.4, 20.0, 20.0), "O"),
)


@dataclasses.dataclass(frozen=True)
class OddFile:
    """A generated file: what is odd about it, and its bytes."""

    name: str
    data: bytes


def atom_line(
    serial: int, record: str, name: str, residue: str, chain: str, number: int,
    xyz: tuple[float, float, float], element: str,
) -> str:  # fmt: skip
    """A line of 80 columns."""
    padded = f"{name:<4}" if len(element) == 2 or len(name) == 4 else f" {name:<3}"
    head = f"{record:<6}{serial:5d} {padded} {residue:>3} {chain:1}{number:4d} "
    return head + "   " + "".join(f"{v:8.3f}" for v in xyz) + f"  1.00 20.00          {element:>2}  "


@functools.cache
def base_pdb() -> str:
    """A good PDB file."""
    lines = [line for line in EXAMPLE.read_text().split("\n") if line.startswith("ATOM")]
    numbers = list(dict.fromkeys(line[22:27] for line in lines))[:RESIDUES]
    kept = [line.ljust(80) for line in lines if line[22:27] in numbers]
    hetero = [atom_line(9000 + k, *atom) for k, atom in enumerate(HETERO)]
    return "\n".join([*kept, "TER", *hetero, "END", ""])


@functools.cache
def base_cif() -> str:
    """The same as mmCIF."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "base.pdb"
        path.write_text(base_pdb())
        write_cif(repair(read_structure(path)).protein, path.with_suffix(".cif"))
        return path.with_suffix(".cif").read_text()


def base_tree() -> Any:
    """The tree of the same as BinaryCIF; a new one at each call."""
    return msgpack.unpackb(_base_bcif())


@functools.cache
def _base_bcif() -> bytes:
    table = gemmi.cif.read_string(base_cif()).sole_block().get_mmcif_category("_atom_site.", raw=True)
    columns = []
    for name, values in table.items():
        if name in ("Cartn_x", "Cartn_y"):
            data = _coordinates([float(v) for v in values])
        elif name in ("Cartn_z", "occupancy", "B_iso_or_equiv"):
            data = bytes_of([float(v) for v in values], 33, "<f8")
        elif name in ("auth_seq_id", "id"):
            data = bytes_of([int(v) for v in values], 3, "<i4")
        else:
            data = _texts(values)
        masked = [{".": 1, "?": 2}.get(v, 0) for v in values]
        columns.append({"name": name, "data": data, "mask": _run_lengths(masked) if any(masked) else None})
    rows = len(next(iter(table.values())))
    category = {"name": "_atom_site", "rowCount": rows, "columns": columns}
    return packed_bcif(
        {"version": "0.3.0", "encoder": "none", "dataBlocks": [{"header": "BASE", "categories": [category]}]}
    )


def packed_bcif(tree: Any) -> bytes:
    """A tree as file."""
    return bytes(msgpack.packb(tree, use_bin_type=True))


def base(form: str) -> bytes:
    """The good file in one of ``FORMATS``."""
    return {"pdb": lambda: base_pdb().encode(), "cif": lambda: base_cif().encode(), "bcif": _base_bcif}[form]()


def bytes_of(values: Any, kind: int, dtype: str) -> dict[str, Any]:
    return {"data": np.asarray(values, dtype).tobytes(), "encoding": [{"kind": "ByteArray", "type": kind}]}


def _coordinates(values: list[float]) -> dict[str, Any]:
    """FixedPoint, Delta, IntegerPacking, ByteArray."""
    whole = np.round(np.array(values) * 1000).astype(np.int64)
    delta = np.diff(whole, prepend=whole[0])
    packed: list[int] = []
    for value in delta.tolist():
        limit = 32767 if value >= 0 else -32768
        while abs(value) >= abs(limit):
            packed.append(limit)
            value -= limit
        packed.append(value)
    out = bytes_of(packed, 2, "<i2")
    out["encoding"] = [
        {"kind": "FixedPoint", "factor": 1000, "srcType": 33},
        {"kind": "Delta", "origin": int(whole[0]), "srcType": 3},
        {"kind": "IntegerPacking", "byteCount": 2, "isUnsigned": False, "srcSize": len(values)},
        *out["encoding"],
    ]
    return out


def _run_lengths(values: list[int]) -> dict[str, Any]:
    runs = [(value, len(list(group))) for value, group in itertools.groupby(values)]
    out = bytes_of(list(itertools.chain.from_iterable(runs)), 3, "<i4")
    out["encoding"] = [{"kind": "RunLength", "srcType": 3, "srcSize": len(values)}, *out["encoding"]]
    return out


def _texts(values: list[str]) -> dict[str, Any]:
    words = list(dict.fromkeys(values))
    offsets = bytes_of(np.cumsum([0, *map(len, words)]), 3, "<i4")
    index = _run_lengths([words.index(v) for v in values])
    return {
        "data": index["data"],
        "encoding": [
            {
                "kind": "StringArray", "dataEncoding": index["encoding"], "stringData": "".join(words),
                "offsets": offsets["data"], "offsetEncoding": offsets["encoding"],
            }
        ],
    }  # fmt: skip


FIELDS = {
    "record": (0, 6), "serial": (6, 11), "name": (12, 16), "altloc": (16, 17), "residue": (17, 20), "chain": (21, 22),
    "number": (22, 26), "insertion": (26, 27), "x": (30, 38), "y": (38, 46), "z": (46, 54), "occupancy": (54, 60),
    "B": (60, 66), "segment": (72, 76), "element": (76, 78), "charge": (78, 80),
}  # fmt: skip
"""Columns of an atom line."""

ODD_VALUES = (
    "", "nan", "inf", "-inf", "1e39", "1e155", "1e300", "1e7", "99999", "9999.999", "-9999.0", "-1", "0", "0.0",
    "999.999",
    "*****", "?", ".", "=cmd", "-", "+5", "@A",
    "'", '"', "#", "_x", "data_", "\t", "\x00", "\x1b[2J", "é", "Å", "١",
    "0x1F", "1_0", "A000", "zzzz", "CA", "N", "OXT", "ALA", "GLY", "MSE", "HOH", "ZN", "UNK", "DAL", "X", "1+", "--",
)  # fmt: skip


def odd_pdb_values(rng: random.Random) -> Iterator[OddFile]:
    """An odd value in a column of one atom, and of all."""
    lines = base_pdb().split("\n")
    atoms = [k for k, line in enumerate(lines) if line.startswith(("ATOM", "HETATM"))]
    for (field, (start, stop)), value in itertools.product(FIELDS.items(), ODD_VALUES):
        text = value[: stop - start].rjust(stop - start)
        for what, chosen in (("one atom", [rng.choice(atoms)]), ("all atoms", atoms)):
            new = list(lines)
            for k in chosen:
                new[k] = new[k][:start] + text + new[k][stop:]
            yield OddFile(f"pdb, {field} {value!r} in {what}", "\n".join(new).encode())


def odd_cif_values(rng: random.Random) -> Iterator[OddFile]:
    """The same in mmCIF."""
    lines = base_cif().split("\n")
    tags = [line.strip() for line in lines if line.startswith("_atom_site.")]
    atoms = [k for k, line in enumerate(lines) if line.startswith(("ATOM ", "HETATM "))]
    for (column, tag), value in itertools.product(enumerate(tags), ODD_VALUES):
        for what, chosen in (("one atom", [rng.choice(atoms)]), ("all atoms", atoms)):
            new = list(lines)
            for k in chosen:
                fields = new[k].split()
                fields[column] = value if value and not set(value) & set("\t\"'#_") else f"'{value}'"
                new[k] = " ".join(fields)
            yield OddFile(f"cif, {tag} {value!r} in {what}", "\n".join(new).encode())


ODD_LEAVES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 3, 7, 65, 2**31 - 1, 2**32, 2**63 - 1, -(2**63), 2**64 - 1, 1.5, 1e308, float("nan"),
    float("inf"), "", "x", "x" * 2000, "_atom_site", b"", b"\x00", b"\xff" * 64, [], [[]], [None], {},
    {"kind": "Delta"},
    {"kind": "StringArray"}, "ByteArray", "RunLength", "IntegerPacking", "StringArray", "FixedPoint",
    "IntervalQuantization",
)  # fmt: skip


def paths(tree: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys that lead to every node of a tree of maps and lists."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*at, key)
        yield from paths(value, (*at, key))


def replaced(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The tree with another node at ``path``; changes it."""
    node = tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return tree


def odd_trees() -> Iterator[OddFile]:
    """BinaryCIF with an odd node, for the first columns of the table."""
    for path in paths(base_tree()):
        if len(path) > 5 and path[4] != "columns" or len(path) > 5 and path[5] > 12:
            continue
        for value in ODD_LEAVES[:: 2 if len(path) < 8 else 9]:
            where = ".".join(map(str, path))
            yield OddFile(f"bcif, {where} is {str(value)[:20]!r}", packed_bcif(replaced(base_tree(), path, value)))
