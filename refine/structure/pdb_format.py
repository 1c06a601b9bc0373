"""Atom records from the fixed columns of PDB files (format 3.3, hybrid-36 numbers), tolerant where the meaning is
clear.

gemmi's PDB reader is not used here: it refuses the short lines many predictors write, and merges residues that a file
numbers twice, while we must say which line is wrong and give every residue back in the file's order. mmCIF and all
writing go through gemmi.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import gemmi

from refine.errors import InputError
from refine.structure.atom_record import (
    B_FACTORS,
    MAX_COORDINATE,
    NO_PLACE,
    OCCUPANCIES,
    AtomRecord,
    between,
    has_no_value,
    refuse_many,
)
from refine.structure.modified_residues import parent
from refine.structure.notes import Note
from refine.structure.pdb_blocks import Block, models_of
from refine.structure.pdb_numbers import ResidueNumbers, hexadecimal_rows
from refine.structure.pdb_residue_names import two_letter_chains

_ATOM = frozenset(("ATOM", "HETA"))
"""Beginnings of the records that hold atoms."""
_ATOM_LINES = re.compile(r"^(?:ATOM|HETATM)", re.MULTILINE)
_CHARMM_IONS = {
    "SOD": "Na", "CLA": "Cl", "POT": "K", "CAL": "Ca", "CES": "Cs", "LIT": "Li", "RUB": "Rb", "BAR": "Ba", "CAD": "Cd",
}  # fmt: skip
"""Ions whose atom and residue have these names."""
_TWO_LETTERS = frozenset("FE ZN MG MN CU CL BR".split())
"""Elements of groups whose atoms have these names, digits left out, wherever in the columns they begin: CHARMM's begin
where those of one letter do.
"""
_THREE = re.compile(r".{27}   " + 3 * r" *(-?\d+\.\d{3})")
"""Three coordinates, wherever they end."""
_MAX_SHIFT = 4
"""Columns by which a serial of more than five digits may push a line to the right."""


def parse_pdb(text: str, file: str) -> tuple[dict[int, list[AtomRecord]], list[Note]]:
    """Atom records of every model of a PDB file.

    Returns:
        model number → records in file order, and notes. Files without MODEL records have model 1; what a second
        block of atoms after END is, ``models_of`` decides.

    Raises:
        InputError: a line that begins with ATOM or HETATM whose number or coordinates cannot be read, naming the line;
            too many atoms.
    """
    refuse_many(len(_ATOM_LINES.findall(text)), file, text.count("\nMODEL"))
    blocks: list[Block] = []
    atoms: list[AtomRecord] = []
    segment, model = 0, None
    lines = [_aligned(line) if line[:4] in _ATOM else line for line in text.split("\n")]
    numbers = ResidueNumbers(hexadecimal_rows(lines, _ATOM))
    columns = _Columns(file, two_letter_chains(line for line in lines if line[:4] in _ATOM), numbers)
    cut_off = 0 if text.endswith("\n") else len(lines)
    for row, line in enumerate(lines, 1):
        if line[:4] in _ATOM:
            atoms.append(_atom(line, row, segment, columns, last=row == cut_off))
            continue
        record = line[:6]
        if record.startswith("TER"):
            segment += 1
        elif record.startswith(("MODEL", "ENDMDL")) or record.rstrip() == "END":
            if atoms:
                blocks.append(Block(model, atoms, ended_by_end=record.rstrip() == "END"))
                atoms, segment = [], segment + 1
            if record.startswith("MODEL"):
                field = line[5:].strip().split()
                model = int(field[0]) if field and re.fullmatch(r"[0-9]{1,9}", field[0]) else len(blocks) + 1
    if atoms:
        blocks.append(Block(model, atoms, ended_by_end=True))
    models, notes = models_of(blocks)
    return models, [*notes, *columns.numbers.notes()]


@dataclasses.dataclass(frozen=True)
class _Residue:
    """What stands in columns 18-27 of a line, and what it means."""

    field: str
    name: str
    chain: str
    number: int
    insertion: str
    unnumbered: bool = False


@dataclasses.dataclass
class _Columns:
    """What the reading of one line needs to know of its file: name, two-letter chain ids, numbers so far, the residue
    of the line before, and its atom names where it has no number by which it could be told from the next.
    """

    file: str
    two_letter_chains: frozenset[str]
    numbers: ResidueNumbers
    residue: _Residue | None = None
    atom_names: set[str] = dataclasses.field(default_factory=set)


def _aligned(line: str) -> str:
    """The atom line with its columns in place: without tabs, and pulled back where a long serial or residue
    number pushed it to the right.
    """
    if "\t" in line:
        line = line.expandtabs()
    if _has_decimal_points(line):
        return line
    for shift in range(1, _MAX_SHIFT + 1):
        if re.fullmatch(r" *\d+", line[6 : 11 + shift]) and _has_decimal_points(line[shift:]):
            return line[:6] + line[6 + shift :]
    if re.fullmatch(r"\d{5}", line[22:27]) and _has_decimal_points(line[1:]):
        return line[:27] + line[28:]
    return line


def _has_decimal_points(line: str) -> bool:
    """Whether three coordinates of three decimals stand in columns 31-54."""
    return line[34:35] == line[42:43] == line[50:51] == "."


def _atom(line: str, row: int, segment: int, columns: _Columns, *, last: bool) -> AtomRecord:
    if len(line) < 54 or (line[53] == " " and len(line.rstrip()) < 54):
        _refuse_short(line, row, columns, last)
    residue, field = columns.residue, line[17:27]
    if residue is None or field != residue.field or (residue.unnumbered and line[12:16] in columns.atom_names):
        residue = columns.residue = _residue(line, row, columns)
        columns.atom_names.clear()
    if residue.unnumbered:
        columns.atom_names.add(line[12:16])
    wide = None if _has_decimal_points(line) else _wide_coordinates(line)
    texts = wide.groups() if wide else (line[30:38], line[38:46], line[46:54])
    end = line[wide.end() : wide.end() + 26] if wide else line[54:80]
    try:
        x, y, z = map(float, texts)
    except ValueError:
        x = math.nan
    if not (abs(x) <= MAX_COORDINATE and abs(y) <= MAX_COORDINATE and abs(z) <= MAX_COORDINATE):
        x, y, z = _odd_position(texts, line, row, columns.file, residue)
    own = _fields(line[12:17], end, residue.name)
    return AtomRecord(
        own.name, own.altloc, residue.name, residue.chain, residue.number, residue.insertion, (x, y, z), own.occupancy,
        own.b_factor, own.element, own.element_stated, own.charge, line[0] == "H", segment, f"line {row}", own.segid,
    )  # fmt: skip


class _Fields(NamedTuple):
    """What columns 13-17 and 55-80 of a line mean; as of ``AtomRecord``."""

    name: str
    altloc: str
    element: str
    element_stated: bool
    occupancy: float | None
    b_factor: float | None
    charge: int
    segid: str


@functools.lru_cache(4096)
def _fields(names: str, end: str, residue_name: str) -> _Fields:
    """Read once for the many lines of solvent that have the same."""
    name, element, charge = names[:4], end[22:24].strip(), end[24:26]
    return _Fields(
        name.strip(),
        names[4:5].strip(),
        _element(element, name, residue_name),
        bool(element),
        between(end[:6], OCCUPANCIES),
        between(end[6:12], B_FACTORS),
        _charge(charge) if charge.strip() else 0,
        end[18:22].strip(),
    )


def _residue(line: str, row: int, columns: _Columns) -> _Residue:
    """Name, chain and number in columns 18-27, which the atoms of a residue share; waters and the like without a
    number, or with asterisks for one, are numbered on.
    """
    name, chain = line[17:20].strip(), line[21:22].strip()
    if line[20:21].strip():
        if line[20:22] in columns.two_letter_chains:
            chain = line[20:22].strip()
        else:
            name = line[17:21]
    try:
        return _Residue(line[17:27], name, *columns.numbers.read(chain, line[22:27], row))
    except ValueError:
        if not line[22:26].strip("* ") and parent(name) is None:
            return _Residue(line[17:27], name, *columns.numbers.following(chain), unnumbered=True)
        raise InputError(
            f"Line {row} has no residue number in columns 23-26: {line[22:26]!r}", file=columns.file, chain=chain,
            residue=_label(line, name),
            remedy="Number the residues, or save the file as mmCIF",
        ) from None  # fmt: skip


def _label(line: str, residue_name: str) -> str:
    return f"{line[22:27].strip()} {residue_name}".strip()


def _refuse_short(line: str, row: int, columns: _Columns, last: bool) -> NoReturn:
    cut = "The file ends in the middle of" if last else "There are columns missing in"
    raise InputError(
        f"{cut} line {row}: {line.strip()[:54]!r}",
        file=columns.file,
        chain=line[21:22].strip() or None,
        residue=_label(line, line[17:20].strip()) or None,
        remedy="The file may be cut off: copy it again",
    )


def _wide_coordinates(line: str) -> re.Match[str] | None:
    """The coordinates of a line one of which does not fit its columns, such as -9999.000, and pushes the rest away."""
    match = _THREE.match(line)
    return match if match and max(map(len, match.groups())) > 8 else None


def _odd_position(
    texts: Sequence[str], line: str, row: int, file: str, residue: _Residue
) -> tuple[float, float, float]:
    """Of an atom whose coordinates are no numbers within bounds: atoms of amino acids without any are built later."""
    if parent(residue.name) is not None and any(map(has_no_value, texts)):
        return NO_PLACE
    x, y, z = (_coordinate(text, row, residue.chain, _label(line, residue.name), file) for text in texts)
    return x, y, z


def _coordinate(field: str, row: int, chain: str, label: str, file: str) -> float:
    try:
        value = float(field)
    except ValueError:
        raise InputError(
            f"Line {row} has no coordinate where columns 31-54 should hold three: {field!r}", file=file, chain=chain,
            residue=label,
            remedy="Keep to the PDB columns, or save the file as mmCIF",
        ) from None  # fmt: skip
    if not math.isfinite(value):
        raise InputError(
            f"Line {row} has the coordinate {field.strip()}", file=file, chain=chain, residue=label,
            remedy="The program that wrote the model failed there: remove the residue or predict again",
        )  # fmt: skip
    if abs(value) > MAX_COORDINATE:
        raise InputError(
            f"Line {row} has the coordinate {field.strip()}, beyond ±{MAX_COORDINATE:.0f} Å", file=file, chain=chain,
            residue=label,
            remedy="Move the model to the origin, or remove the residue",
        )  # fmt: skip
    return value


def _charge(field: str) -> int:
    match = re.fullmatch(r"\s*(?:(\d)([+-])|([+-])(\d))\s*", field)
    if not match:
        return 0
    digit, sign = match.group(1) or match.group(4), match.group(2) or match.group(3)
    return int(sign + digit)


@functools.lru_cache(4096)
def _element(column: str, name: str, residue_name: str) -> str:
    """Element symbol from its column, else from the name columns (13-14 hold it right-justified)."""
    if column and gemmi.Element(column) != gemmi.Element("X"):
        return gemmi.Element(column).name
    return element_of(name, residue_name)


def element_of(name: str, residue_name: str) -> str:
    """Element symbol an atom name stands for; ``name`` with its padding when it comes from PDB columns, ``"X"`` when
    nothing fits.
    """
    if name.strip() == residue_name and residue_name in _CHARMM_IONS:
        return _CHARMM_IONS[residue_name]
    bare = re.sub(r"[^A-Za-z]", "", name)
    if bare.upper() in _TWO_LETTERS:
        return gemmi.Element(bare).name
    monatomic = re.sub(r"[^A-Za-z]", "", residue_name)
    if bare and bare.upper() == monatomic.upper() and gemmi.Element(bare) != gemmi.Element("X"):
        return gemmi.Element(bare).name
    padded = name[:1] != " " and len(name) == 4 and name[:2].isalpha() and name[:1].upper() not in "HCNO"
    if padded and gemmi.Element(bare[:2]) != gemmi.Element("X"):
        return gemmi.Element(bare[:2]).name
    return gemmi.Element(bare[:1]).name if bare else "X"
