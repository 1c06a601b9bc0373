"""Residue numbers of PDB files beyond what four columns hold: hybrid-36, a fifth column, VMD's hexadecimal numbers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Container, Iterator, Sequence

from refine.structure.atom_record import hybrid36
from refine.structure.notes import Note

_TELLING = re.compile(r"(?:ATOM|HETA).{18}(?:2710|(?=\d+[A-Fa-f])[0-9A-Fa-f]{4})")
"""A line without which no number of a file can be hexadecimal unless it follows 9999 in its chain."""
_HEX_GAP = 1000
"""Most residues that may be missing before a four-column number is no longer taken for the hexadecimal next one."""


class ResidueNumbers:
    """Reads the residue numbers of a file line after line; what stood before decides where the columns do not.

    Args:
        hexadecimal: lines, counted from 1, whose number is hexadecimal although its digits do not say so.
    """

    def __init__(self, hexadecimal: Container[int] = ()) -> None:
        self._hexadecimal_rows = hexadecimal
        self._key: tuple[str, str] | None = None
        self._value = ("", 0, "")
        self._seen: dict[str, set[int]] = {"five": set(), "hex": set(), "none": set()}

    def read(self, chain: str, field: str, row: int = 0) -> tuple[str, int, str]:
        """Chain, number and insertion code.

        Args:
            chain: column 22 (or two columns of a two-letter chain id).
            field: columns 23-27, number and insertion code.
            row: of the line.

        Raises:
            ValueError: no number can be read.
        """
        if (chain, field) != self._key:
            self._value = self._read(chain, field, stated=row in self._hexadecimal_rows)
            self._key = (chain, field)
        return self._value

    def following(self, chain: str) -> tuple[str, int, str]:
        """The number after that of the residue before, as ``read`` gives it, for one that has none."""
        number = self._value[1] + 1 if self._key and self._value[0] == chain else 1
        self._key, self._value = (chain, ""), (chain, number, "")
        self._seen["none"].add(number)
        return self._value

    def notes(self) -> list[Note]:
        """What was decided, one note a kind."""
        texts = {
            "five": "residue numbers that take a fifth column are read as numbers, not as insertion codes",
            "none": "hetero residues without a number, or with asterisks for one, are numbered on",
            "hex": "residue numbers above 9999 are read as hexadecimal, as VMD writes them",
        }
        return [
            Note("numbering", f"{texts[kind]} ({len(numbers)} residues, the first is {min(numbers)})")
            for kind, numbers in self._seen.items()
            if numbers
        ]

    def _read(self, chain: str, field: str, *, stated: bool) -> tuple[str, int, str]:
        last_chain, last, _ = self._value if self._key else ("", 0, "")
        text, insertion = field[:4], field[4:5].strip(" .?")
        wide = chain + text
        if last_chain == "" and last >= 9999 and re.fullmatch(r"\d{5}", wide) and 0 <= int(wide) - last <= 1:
            self._seen["five"].add(int(wide))
            return "", int(wide), insertion
        if insertion and re.fullmatch(r" *\d+", field):
            four = int(text) if text.strip() else None
            if four is None or chain != last_chain or last not in (four, four - 1):
                self._seen["five"].add(int(field))
                return chain, int(field), ""
        number = self._hexadecimal(text, last if chain == last_chain else 0, stated=stated)
        return chain, hybrid36(text, 4) if number is None else number, insertion

    def _hexadecimal(self, text: str, last: int, *, stated: bool) -> int | None:
        """The hexadecimal value of ``text`` where the number before it in the chain, or its digits, ask for it."""
        value = _hexadecimal_value(text)
        mixed = text[0].isdigit() and not text.isdigit()
        if not value or not (stated or mixed or 0 <= value - last <= _HEX_GAP):
            return None
        self._seen["hex"].add(value)
        return value


def hexadecimal_rows(lines: Sequence[str], records: Collection[str]) -> frozenset[int]:
    """Lines, counted from 1, whose residue number is hexadecimal although it is all digits and its chain begins there:
    what comes before or after it tells, 9999 before 2710, and 271A after 2719.

    Args:
        lines: of the file; records: the first four letters of those that have atoms.
    """
    if not any(map(_TELLING.match, lines)):
        return frozenset()
    residues = list(_residue_rows(lines, records))
    found: set[int] = set()
    for k, (rows, chain, text) in enumerate(residues):
        value = _hexadecimal_value(text)
        if value == 10_000 and text.isdigit() and k and residues[k - 1][2] == "9999":
            found.update(rows)
        if not value or text.isdigit() or not text[0].isdigit():
            continue
        for before, its_chain, its_text in (residues[n] for n in range(k - 1, -1, -1)):
            last = _hexadecimal_value(its_text)
            if its_chain != chain or not its_text.isdigit() or not last or not 0 < value - last <= _HEX_GAP:
                break
            found.update(before)
            value = last
    return frozenset(found)


def _residue_rows(lines: Sequence[str], records: Collection[str]) -> Iterator[tuple[range, str, str]]:
    """Lines (counted from 1), chain and columns 23-26 of each residue."""
    atoms = ((row, line) for row, line in enumerate(lines, 1) if line[:4] in records)
    for (chain, text), group in itertools.groupby(atoms, key=lambda pair: (pair[1][20:22], pair[1][22:26])):
        rows = [row for row, _ in group]
        yield range(rows[0], rows[-1] + 1), chain, text


def _hexadecimal_value(text: str) -> int:
    """The value of four hexadecimal digits that is beyond 9999, else 0."""
    value = int(text, 16) if re.fullmatch(r"[0-9A-Fa-f]{4}", text) else 0
    return value if value >= 10_000 else 0
