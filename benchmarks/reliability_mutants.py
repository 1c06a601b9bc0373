"""Mutants of good structure files: bytes, lines, values or nodes of the tree, damaged at random.

Also used by ``tests/structure/test_fuzz.py``.
"""

from __future__ import annotations

import functools
import gzip
import random

from reliability_corpus import FIELDS, ODD_LEAVES, ODD_VALUES, base, base_tree, packed_bcif, paths


def mutant(rng: random.Random, form: str) -> bytes:
    """A good file with some damage: bytes, lines, values, or nodes of its tree; one in eight is gzipped."""
    kinds = (byte_mutant, tree_mutant) if form == "bcif" else (byte_mutant, line_mutant, value_mutant)
    data = rng.choice(kinds)(rng, form)
    if rng.random() < 0.125:
        data = gzip.compress(data, 1)
        if rng.random() < 0.5:
            data = _damaged(rng, data)
    return data


def byte_mutant(rng: random.Random, form: str) -> bytes:
    """Some bytes changed, lost, put in or repeated."""
    return _damaged(rng, base(form))


def _damaged(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at, length = rng.randrange(len(out) + 1), rng.choice((1, 1, 2, 8, 80, 400))
        what = rng.randrange(6)
        if what == 0:
            out[at : at + 1] = bytes([rng.randrange(256)])
        elif what == 1:
            out[at : at + 1] = rng.choice(b"0123456789.-+ \n\tAXZ?").to_bytes(1, "little")
        elif what == 2:
            del out[at : at + length]
        elif what == 3:
            out[at:at] = bytes(rng.randrange(256) for _ in range(min(length, 8)))
        elif what == 4:
            out[at:at] = out[at : at + length]
        elif out and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
    return bytes(out)


def line_mutant(rng: random.Random, form: str) -> bytes:
    """Lines lost, repeated, exchanged, cut or joined."""
    lines = base(form).decode().split("\n")
    for _ in range(rng.choice((1, 2, 5, 15))):
        a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
        what = rng.randrange(6)
        if what == 0 and len(lines) > 5:
            del lines[a : a + rng.choice((1, 1, 3, 8))]
        elif what == 1:
            lines[a:a] = lines[b : b + rng.choice((1, 5, 30))]
        elif what == 2:
            lines[a], lines[b] = lines[b], lines[a]
        elif what == 3:
            lines[a] = lines[a][: rng.randrange(len(lines[a]) + 1)]
        elif what == 4:
            lines[a] += lines[b]
        else:
            lines.insert(
                a, rng.choice(("END", "TER", "ENDMDL", "MODEL 2", "MODEL", "loop_", "data_", "save_", ";", "#"))
            )
        lines = lines or [""]
    return "\n".join(lines).encode()


def value_mutant(rng: random.Random, form: str) -> bytes:
    """Odd values, values of other atoms, and small changes of numbers, in some atoms."""
    lines = base(form).decode().split("\n")
    atoms = [k for k, line in enumerate(lines) if line.startswith(("ATOM ", "HETATM"))]
    for _ in range(rng.choice((1, 2, 4, 10))):
        k, other = rng.choice(atoms), lines[rng.choice(atoms)]
        if form == "pdb":
            start, stop = rng.choice(list(FIELDS.values()))
            value = _other_value(rng, lines[k][start:stop], other[start:stop])[: stop - start]
            lines[k] = lines[k][:start] + value.rjust(stop - start) + lines[k][stop:]
        else:
            fields, others = lines[k].split(), other.split()
            column = rng.randrange(len(fields))
            fields[column] = _other_value(rng, fields[column], others[column]) or "?"
            lines[k] = " ".join(fields)
    return "\n".join(lines).encode()


def _other_value(rng: random.Random, value: str, other: str) -> str:
    what = rng.randrange(4)
    if what == 0:
        return rng.choice(ODD_VALUES)
    if what == 1:
        return other
    try:
        return f"{float(value) + rng.choice((0.05, -0.1, 1.0, -3.0, 10.0, 100.0)):.3f}"
    except ValueError:
        return rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") + value[1:]


def tree_mutant(rng: random.Random, form: str = "bcif") -> bytes:
    """Nodes of the tree of the BinaryCIF replaced, lost, repeated or exchanged."""
    tree = base_tree()
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        there = list(paths(tree))
        if not there:
            break
        path = rng.choice(there)
        node = functools.reduce(lambda at, key: at[key], path[:-1], tree)
        what = rng.randrange(5)
        if what < 2:
            node[path[-1]] = rng.choice(ODD_LEAVES)
        elif what == 2:
            del node[path[-1]]
        elif what == 3 and isinstance(node[path[-1]], bytes):
            node[path[-1]] = _damaged(rng, node[path[-1]])
        elif what == 3 and isinstance(node[path[-1]], (int, float)):
            node[path[-1]] = node[path[-1]] + rng.choice((-1, 1, 1000, -(10**6)))
        elif isinstance(node, list):
            node.insert(path[-1], node[path[-1]])
        else:
            del node[path[-1]]
    return packed_bcif(tree)
