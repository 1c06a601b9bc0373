"""Residue numbers of PDB files beyond what four columns hold: hybrid-36, a fifth column, VMD's hexadecimal numbers."""

from __future__ import annotations

import re

from refine.structure.atom_record import hybrid36
from refine.structure.notes import Note

_HEX_GAP = 1000
"""Most residues that may be missing before a four-column number is no longer taken for the hexadecimal next one."""


class ResidueNumbers:
    """Reads the residue numbers of a file line after line; what stood before decides where the columns do not."""

    def __init__(self) -> None:
        self._key: tuple[str, str] | None = None
        self._value = ("", 0, "")
        self._seen: dict[str, set[int]] = {"five": set(), "hex": set(), "none": set()}

    def read(self, chain: str, field: str) -> tuple[str, int, str]:
        """Chain, number and insertion code.

        Args:
            chain: column 22 (or two columns of a two-letter chain id).
            field: columns 23-27, number and insertion code.

        Raises:
            ValueError: no number can be read.
        """
        if (chain, field) != self._key:
            self._value = self._read(chain, field)
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

    def _read(self, chain: str, field: str) -> tuple[str, int, str]:
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
        number = self._hexadecimal(text, last if chain == last_chain else 0)
        return chain, hybrid36(text, 4) if number is None else number, insertion

    def _hexadecimal(self, text: str, last: int) -> int | None:
        """The hexadecimal value of ``text`` where the number before it in the chain, or its digits, ask for it."""
        if text[:1] == " " or re.fullmatch(r"[0-9A-Fa-f]{4}", text) is None:
            return None
        value = int(text, 16)
        mixed = text[0].isdigit() and not text.isdigit()
        if value < 10_000 or not (mixed or 0 <= value - last <= _HEX_GAP):
            return None
        self._seen["hex"].add(value)
        return value
