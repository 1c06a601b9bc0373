"""One atom as a file states it, before anything is decided about it; the common ground of the three file formats."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from refine.errors import InputError

MAX_ATOMS = 1_000_000
"""Most atoms of a file, all models together."""
MAX_MODELS = 100_000
"""Most models of a PDB file."""
MAX_COORDINATE = 9999.9995
"""Å, what the columns of PDB files hold; farther out single precision keeps no thousandths of an Å."""
NO_PLACE = (9999.9, 9999.9, 9999.9)
"""Å; stands for the place of an atom that a file has no coordinates of."""
OCCUPANCIES = (-99.99, 999.99)
"""What the columns of PDB files hold."""
B_FACTORS = (-99.99, 9999.99)
"""Å²; lower ones break the columns of PDB files, higher ones mean nothing."""

_NO_VALUE = re.compile(r"[+-]?(?:nan|inf(?:inity)?|\*+|1\.#\w*|9{5,}\.?9*0*)")
_UPPER = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclasses.dataclass(slots=True)
class AtomRecord:
    """An atom line as read.

    ``occupancy`` and ``b_factor`` are None when the file leaves them out; ``element_stated`` is False where the element
    was inferred from the name; ``segment`` counts TER records within a model; ``place`` tells where the atom stands
    (``"line 12"``, ``"atom row 3"``); ``segid`` is the segment name of columns 73-76 that CHARMM and NAMD write.
    """

    name: str
    altloc: str
    residue_name: str
    chain: str
    number: int
    insertion: str
    position: tuple[float, float, float]
    occupancy: float | None
    b_factor: float | None
    element: str
    element_stated: bool
    charge: int
    is_hetatm: bool
    segment: int
    place: str
    segid: str = ""

    @property
    def residue_label(self) -> str:
        """Author number with insertion code and residue name, as error messages give it."""
        return f"{self.number}{self.insertion} {self.residue_name}"


def between(value: Any, limits: tuple[float, float]) -> float | None:
    """``value`` as a number; None where it is none, not finite or out of its limits."""
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return number if limits[0] <= number <= limits[1] else None


def has_no_value(text: str) -> bool:
    """Whether a coordinate says that there is none: left out, not a number, asterisks, or nines beyond all bounds."""
    text = text.strip().lower()
    return text in ("", ".", "?", "none", "null") or re.fullmatch(_NO_VALUE, text) is not None


def refuse_many(atoms: int, file: str, models: int = 1) -> None:
    """Raises InputError for a file of more atoms or models than are read."""
    if models > MAX_MODELS:
        raise InputError(
            f"The file holds {models:,} models; the limit is {MAX_MODELS:,}",
            file=file, remedy="Give one model, or fewer",
        )  # fmt: skip
    if atoms > MAX_ATOMS:
        raise InputError(
            f"The file holds {atoms:,} atoms; the limit is {MAX_ATOMS:,}",
            file=file, remedy="Take one model out of several, or leave out waters and lipids",
        )  # fmt: skip


def hybrid36(text: str, width: int) -> int:
    """Value of a hybrid-36 field (cci.lbl.gov/hybrid_36): plain decimal, then ``A000`` = 10^width and on, then lower
    case.

    Raises:
        ValueError: the text is neither.
    """
    text = text.strip()
    if not text or text[0] in "+-" or text[0].isdigit():
        return int(text)
    if len(text) != width or not (text.isupper() or text.islower() or text[1:].isdigit()):
        raise ValueError(text)
    offset = 10 * 36 ** (width - 1) - 10**width
    if text[0].islower():
        offset -= 26 * 36 ** (width - 1)
    if not all(c in _UPPER for c in text.upper()):
        raise ValueError(text)
    return int(text, 36) - offset
