"""Structure files for tests, grown from one small protein that is itself built here: no file of anyone else is
needed.
"""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

from refine.constants import ONE_TO_THREE
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.repair import repair
from refine.structure.write import write_cif, write_pdb

SEQUENCE = "MKTAYIARQLGDFVSNWPEHCL"


def atom_line(
    serial: int, name: str, residue: str, chain: str, number: str, xyz: tuple[float, float, float], *,
    icode: str = " ", het: bool = False,
    altloc: str = " ", occupancy: str = "  1.00", b: str = " 20.00", element: str = "",
) -> str:  # fmt: skip
    padded = name if len(name) == 4 else f" {name:<3}"
    record = "HETATM" if het else "ATOM  "
    x, y, z = (f"{v:8.3f}" for v in xyz)
    element = element or name.lstrip("0123456789")[0]
    identity = f"{record}{serial:5d} {padded}{altloc}{residue:>3} {chain:1}{number:>4}{icode}"
    return f"{identity}   {x}{y}{z}{occupancy}{b}          {element:>2}"


def helix(sequence: str, chain: str, shift: float) -> list[str]:
    """CA atoms of an ideal alpha helix."""
    lines = []
    for i, letter in enumerate(sequence):
        turn = math.radians(100 * i)
        xyz = (2.3 * math.cos(turn) + shift, 2.3 * math.sin(turn), 1.5 * i)
        lines.append(atom_line(i + 1, "CA", ONE_TO_THREE[letter], chain, str(i + 1), xyz))
    return lines


@functools.cache
def base_protein() -> Protein:
    """22 residues with all 20 amino acids, a helix, chain A, complete with OXT."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "base.pdb"
        path.write_text("\n".join([*helix(SEQUENCE, "A", 0.0), "END", ""]))
        return repair(read_structure(path)).protein


@functools.cache
def base_pdb() -> str:
    return _written(write_pdb, "base.pdb")


@functools.cache
def base_cif() -> str:
    return _written(write_cif, "base.cif")


def _written(write: Callable[[Protein, Path], None], name: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(base_protein(), path)
        return path.read_text()


def atom_lines(text: str | None = None) -> list[str]:
    """ATOM and HETATM lines of a PDB text."""
    return [line for line in (base_pdb() if text is None else text).splitlines() if line.startswith(("ATOM", "HETATM"))]


def edit(change: Callable[[str], str | None], text: str | None = None) -> str:
    """The PDB text with every atom line passed through ``change``; None removes it."""
    lines = [change(line) for line in atom_lines(text)]
    return "\n".join([line for line in lines if line is not None] + ["END", ""])


def number_of(line: str) -> int:
    return int(line[22:26])


def name_of(line: str) -> str:
    return line[12:16].strip()


def water(number: int, chain: str = "A", xyz: tuple[float, float, float] = (30.0, 30.0, 30.0)) -> str:
    return atom_line(900, "O", "HOH", chain, str(number), xyz, het=True)
