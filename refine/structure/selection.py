"""Residue selections as users write them on the command line, for example ``A:10-25,B``."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refine.constants import ONE_TO_THREE
from refine.errors import InputError
from refine.structure.protein import Protein, ResidueId

_RESIDUE = r"(-?[0-9]{1,9})([A-Za-z]?)"
_RANGE = re.compile(rf"{_RESIDUE}(?:\s*(?:-|–|\.\.|\bto\b)\s*{_RESIDUE})?")
_NAMED = re.compile(r"([A-Za-z]{3}|[A-Za-z])\s*(-?[0-9].*)")
"""A residue with its name before the number, as papers write it: HIS374, H374."""
_SPACED = re.compile(r"(\S+)(?:\s+|/)(?!to\b)(\S.*)")
"""A chain, a space or slash, and residues of it: A 374, A/374."""
_MOST_ITEMS = 10_000
_REMEDY = (
    'Write chains and ranges separated by commas, e.g. "A:10-25,B", "A:52B", "A:-5-10"; ":10-25" is the blank chain'
)


def parse_selection(text: str, protein: Protein) -> NDArray[np.bool_]:
    """Residues named by a selection.

    Items are separated by commas: ``B`` is a whole chain, ``A:10-25`` a range of author numbers with both ends
    included, ``A:52B`` one residue with its insertion code, ``A:-5-10`` begins at a negative number, ``:10-25`` (or
    ``10-25``) belongs to the blank chain, or to the only chain there is. A number without an insertion code includes
    the inserted residues of that number in a range, and means the residue without insertion code when alone, or all of
    that number where there is none. Ranges follow the order of the file. A range may reach into a gap, but must hold a
    residue. Forms of papers and viewers are read too: ``A 374``, ``A/374``, ``A374``, ``HIS374`` (which must then be a
    histidine), ``A:HIS374``, ``10–25``, ``10..25``, ``10 to 25``.

    Args:
        text: the selection.
        protein: whose author numbering is meant.

    Returns:
        (L,) bool, True where selected.

    Raises:
        InputError: an item cannot be read, or names a chain or a residue that is not there.
    """
    return select_residues(text, protein.residue_ids, protein.sequence)


def select_residues(text: str, residues: Sequence[ResidueId], sequence: str) -> NDArray[np.bool_]:
    """``parse_selection`` among residues (L,) of which only identities and one-letter codes are known."""
    ids = _Ids(residues, sequence)
    chosen = np.zeros(len(residues), dtype=np.bool_)
    items = [item.strip() for item in re.split("[,;]", text)]
    if not any(items):
        raise InputError(f"the selection {text[:60]!r} is empty", remedy=_REMEDY)
    if len(items) > _MOST_ITEMS:
        raise InputError(f"the selection has {len(items):,} items", remedy=f"Give {_MOST_ITEMS:,} at most")
    for item in items:
        if not item:
            raise InputError(f"the selection {text[:60]!r} holds an empty item", remedy=_REMEDY)
        chosen |= _item(item, ids)
    return chosen


class _Ids:
    """Identities of residues, as arrays (L,)."""

    def __init__(self, residues: Sequence[ResidueId], sequence: str) -> None:
        self.residues, self.sequence = residues, sequence
        self.chains = np.array([r.chain.strip() for r in self.residues])
        self.numbers = np.array([r.number for r in self.residues])
        self.codes = np.array([r.insertion.strip() for r in self.residues])
        self.chain_names = list(dict.fromkeys(self.chains.tolist()))


def _item(item: str, ids: _Ids) -> NDArray[np.bool_]:
    if item in ids.chain_names:
        return ids.chains == item
    chain, residues = _parts(item, ids.chain_names)
    if not chain and "" not in ids.chain_names and len(ids.chain_names) == 1:
        chain = ids.chain_names[0]
    if chain not in ids.chain_names:
        raise InputError(
            f"the selection {item[:60]!r} names no chain of this structure",
            chain=chain[:60],
            remedy=f"The chains are {_names(ids.chain_names)}",
        )
    if not residues.strip():
        return ids.chains == chain
    name, residues = _named(residues.strip())
    match = _RANGE.fullmatch(residues)
    if match is None:
        raise InputError(f"the selection {item[:60]!r} cannot be read", chain=chain, remedy=_REMEDY)
    chosen = _range(item, ids, ids.chains == chain, match)
    first = ids.sequence[int(np.argmax(chosen))]
    here = ONE_TO_THREE.get(first, "another")
    if name and name.upper() not in (first, here):
        raise InputError(
            f"the selection {item[:60]!r} names a residue that is {here} in this structure",
            chain=chain,
            remedy="Check the number and the chain",
        )
    return chosen


def _parts(item: str, chain_names: list[str]) -> tuple[str, str]:
    """Chain, empty where none is named, and residues of an item.

    Raises:
        InputError: it begins with something that is neither a chain nor a residue.
    """
    chain, separator, residues = item.rpartition(":")
    if separator:
        return chain.strip(), residues
    spaced = _SPACED.fullmatch(item)
    if spaced and spaced[1] in chain_names:
        return spaced[1], spaced[2]
    joined = max((name for name in chain_names if _follows(item, name)), key=len, default="")
    if joined and not _RANGE.fullmatch(item):
        return joined, item[len(joined) :]
    if _RANGE.fullmatch(item) is None and _NAMED.fullmatch(item) is None:
        raise InputError(f"no chain {item[:60]!r}", chain=item[:60], remedy=f"The chains are {_names(chain_names)}")
    return "", item


def _follows(item: str, chain: str) -> bool:
    """Whether ``item`` is the name of the chain and a number right after it."""
    joined = bool(chain) and item.startswith(chain) and not chain[-1].isdigit()
    return joined and _RANGE.fullmatch(item[len(chain) :]) is not None


def _named(residues: str) -> tuple[str, str]:
    """Residue name before the number, empty where there is none, and the rest."""
    match = _NAMED.fullmatch(residues)
    return ("", residues) if match is None else (match[1], match[2])


def _range(item: str, ids: _Ids, in_chain: NDArray[np.bool_], match: re.Match[str]) -> NDArray[np.bool_]:
    first, first_code, last, last_code = match.groups()
    if last is None:
        of_number = in_chain & (ids.numbers == int(first))
        exact = of_number & (ids.codes == first_code)
        selected = exact if exact.any() or first_code else of_number
    else:
        if int(last) < int(first):
            raise InputError(f"the range {item!r} runs backwards", remedy="Give the smaller number first")
        above = (ids.numbers > int(first)) | ((ids.numbers == int(first)) & (ids.codes >= first_code))
        below = (ids.numbers < int(last)) | ((ids.numbers == int(last)) & (ids.codes <= (last_code or "~")))
        selected = in_chain & above & below
    if not selected.any():
        inside = [ids.residues[i] for i in np.flatnonzero(in_chain).tolist()]
        span = f"{inside[0].number}{inside[0].insertion} to {inside[-1].number}{inside[-1].insertion}"
        raise InputError(
            f"the selection {item!r} holds no residue", chain=inside[0].chain, remedy=f"That chain runs from {span}"
        )
    return selected


def _names(chain_names: list[str]) -> str:
    """Chain ids for a message: the first twenty."""
    listed = ", ".join(repr(name) for name in chain_names[:20])
    return f"{listed} and {len(chain_names) - 20} more" if len(chain_names) > 20 else listed
