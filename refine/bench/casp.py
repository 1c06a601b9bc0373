"""Prediction files in the format of CASP (PFRMAT TS, models 1 to 5)."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from refine.bench.manifest import Target
from refine.bench.methods import Method
from refine.bench.result import DONE, read_result
from refine.errors import InputError
from refine.files import write_text
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.write import write_pdb

FOLDER = "casp"
MOST_MODELS = 5
AUTHOR = "0000-0000-0000"


def write_casp_files(
    folder: Path, targets: Sequence[Target], methods: Sequence[Method], author: str = AUTHOR
) -> list[Path]:
    """``casp/METHOD/TARGET.ts`` of every result of our methods; gives the paths.

    Args:
        folder: of the benchmark, with its results and models.
        targets, methods: of the benchmark.
        author: registration code of the group.
    """
    written = []
    for method in (m for m in methods if m.kind == "ours"):
        place = folder / FOLDER / method.name
        place.mkdir(parents=True, exist_ok=True)
        for target in targets:
            result = read_result(folder, target.name, method.name)
            if result is None or result.status != DONE:
                continue
            models = [read_structure(folder / str(row["file"])).protein for row in result.models[:MOST_MODELS]]
            path = place / f"{target.name}.ts"
            write_casp(path, target.name, models, author, f"refine, method {method.name}")
            written.append(path)
    return written


def write_casp(path: Path, target: str, models: Sequence[Protein], author: str, method: str) -> None:
    """Write models (R = 1 each, best first, five at most) as one TS file.

    The B column keeps what the models have. PARENT is N/A: no template was used here.

    Raises:
        InputError: no model, or one that does not fit the PDB columns.
    """
    if not models:
        raise InputError("no model to write", file=str(path))
    lines = ["PFRMAT TS", f"TARGET {target}", f"AUTHOR {author}", f"METHOD {method}"]
    for number, model in enumerate(models[:MOST_MODELS], start=1):
        lines += [f"MODEL  {number}", "PARENT N/A", *_atom_lines(model), "END"]
    write_text(path, "\n".join(lines) + "\n")


def _atom_lines(model: Protein) -> list[str]:
    """ATOM lines up to the B column, and TER lines."""
    with tempfile.TemporaryDirectory(prefix="refine-casp-") as scratch:
        path = Path(scratch) / "model.pdb"
        write_pdb(model, path)
        lines = path.read_text(encoding="utf-8").splitlines()
    return [
        line.rstrip()[:66] if line.startswith("ATOM") else "TER" for line in lines if line.startswith(("ATOM", "TER"))
    ]
