"""Odd settings, manifests and selections of residues: each is taken, or refused with words; a part of the readers'
section of ``benchmarks/reliability.py``.
"""

from __future__ import annotations

import random
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from reliability_corpus import base

from refine.bench.manifest import read_manifest
from refine.errors import InputError
from refine.queue.settings import read_app_settings
from refine.settings import read_settings
from refine.structure.read import read_structure
from refine.structure.selection import parse_selection

Outcome = tuple[str, str, str]
"""Name, ``accepted``, ``refused`` or ``crashed``, and what was said."""

TOML = (
    'seed = 3\nmodels = 5\nfreeze = "A:1-3"\n[learned]\nprior = 1.0\n[energy]\nbonds = 1.0\n[propagation]\nsteps = 20\n'
)
APP_TOML = 'host = "127.0.0.1"\nport = 8501\nat_once = 1\nmax_upload_mb = 50\nmax_residues = 1500\n'
ODD_TOML_VALUES = (
    "nan", "-inf", "inf", "1e308", "-1", "0", "1000000000", "9" * 400, "9" * 5000, "0x" + "f" * 6000, "true", '""',
    '"' + "x" * 10_000 + '"', "[]", "[[[]]]", "{}", "1979-05-27T07:32:00Z", "[" * 3000 + "]" * 3000, "[1, 2]",
    '"a\\u0000b"',
)  # fmt: skip
ODD_FIELDS = (
    "",
    "x" * 200_000,
    "a/b",
    ".",
    "..",
    "\x00",
    "x" * 300,
    "é",
    "'",
    '"',
    "=1",
    "\x1b",
    "CON",
    "\\",
    " ",
    "#",
)
SELECTION_LETTERS = "AB:,-10259 ;é\x00'=@"


def odd_inputs(seed: int, count: int) -> Iterator[Outcome]:
    """``count`` of each kind."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="refine-reliability-") as folder:
        place = Path(folder)
        (place / "model.pdb").write_bytes(base("pdb"))
        protein = read_structure(place / "model.pdb").protein
        for k in range(count):
            path = place / "settings.toml"
            path.write_bytes(_toml(rng, TOML))
            yield f"settings {k}", *_outcome(read_settings, path)
            path.write_bytes(_toml(rng, APP_TOML))
            yield f"settings of the app {k}", *_outcome(read_app_settings, path)
            path = place / "manifest.tsv"
            path.write_bytes(_manifest(rng))
            yield f"manifest {k}", *_outcome(read_manifest, path)
            text = "".join(rng.choice(SELECTION_LETTERS) for _ in range(rng.choice((1, 5, 9, 40, 6000))))
            yield f"selection {text[:40]!r}", *_outcome(parse_selection, text, protein)


def _outcome(read: Callable[..., object], *arguments: object) -> tuple[str, str]:
    try:
        read(*arguments)
    except InputError as error:
        return ("refused", str(error)) if len(str(error)) < 2000 else ("crashed", "an error of thousands of letters")
    except Exception:  # what this script looks for
        return "crashed", traceback.format_exc().strip().split("\n")[-1]
    return "accepted", ""


def _toml(rng: random.Random, text: str) -> bytes:
    lines = text.split("\n")
    for _ in range(rng.choice((1, 1, 3))):
        k = rng.randrange(len(lines))
        if rng.random() < 0.7:
            lines[k] = f"{lines[k].partition(' = ')[0]} = {rng.choice(ODD_TOML_VALUES)}"
        else:
            lines[k] = f"[{'a.' * rng.choice((0, 1, 3000))}a]"
    return _scratched(rng, "\n".join(lines).encode())


def _manifest(rng: random.Random) -> bytes:
    rows = [["target", "model", "native"], *([name, "model.pdb", "model.pdb"] for name in "abc")]
    for _ in range(rng.choice((0, 1, 3))):
        row = rng.choice(rows)
        row[rng.randrange(3)] = rng.choice(ODD_FIELDS)
    if rng.random() < 0.2:
        rng.choice(rows).pop()
    return _scratched(rng, "\n".join("\t".join(row) for row in rows).encode())


def _scratched(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((0, 0, 1, 4))):
        out[rng.randrange(len(out))] = rng.randrange(256)
    return bytes(out)
