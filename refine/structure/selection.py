"""Residue selections as users write them on the command line, for example ``A:10-25,B``."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from refine.constants import ONE_TO_THREE
from refine.errors import InputError
from refine.structure.protein import Protein, ResidueId

_RESIDUE = r"(-?\d+)([A-Za-z]?)"
_RANGE = re.compile(rf"{_RESIDUE}(?:\s*(?:-|–|\.\.|\bto\b)\s*{_RESIDUE})?")
_NAMED = re.compile(r"([A-Za-z]{3}|[A-Za-z])\s*(-?\d.*)")
"""A residue with its name before the number, as papers write it: HIS374, H374."""
_SPACED = re.compile(r"(\S+)(?:\s+|/)(?!to\b)(\S.*)")
"""A chain, a space or slash, and residues of it: A 374, A/374."""
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
    chosen = np.zeros(len(protein), dtype=np.bool_)
    items = [item.strip() for item in re.split("[,;]", text)]
    if not any(items):
        raise InputError(f"the selection {text!r} is empty", remedy=_REMEDY)
    for item in items:
        if not item:
            raise InputError(f"the selection {text!r} holds an empty item", remedy=_REMEDY)
        chosen |= _item(item, protein)
    return chosen


def _item(item: str, protein: Protein) -> NDArray[np.bool_]:
    chains = np.array([r.chain.strip() for r in protein.residue_ids])
    chain_ids = list(dict.fromkeys(chains.tolist()))
    if item in chain_ids:
        return chains == item
    chain, residues = _parts(item, chain_ids)
    if not chain and "" not in chain_ids and len(chain_ids) == 1:
        chain = chain_ids[0]
    if chain not in chain_ids:
        raise InputError(
            f"the selection {item!r} names no chain of this structure",
            chain=chain,
            remedy=f"The chains are {_names(chain_ids)}",
        )
    if not residues.strip():
        return chains == chain
    name, residues = _named(residues.strip())
    match = _RANGE.fullmatch(residues)
    if match is None:
        raise InputError(f"the selection {item!r} cannot be read", chain=chain, remedy=_REMEDY)
    chosen = _range(item, protein, chains == chain, match)
    first = protein.sequence[int(np.argmax(chosen))]
    if name and name.upper() not in (first, ONE_TO_THREE[first]):
        raise InputError(
            f"the selection {item!r} names a residue that is {ONE_TO_THREE[first]} in this structure",
            chain=chain,
            remedy="Check the number and the chain",
        )
    return chosen


def _parts(item: str, chain_ids: list[str]) -> tuple[str, str]:
    """Chain, empty where none is named, and residues of an item.

    Raises:
        InputError: it begins with something that is neither a chain nor a residue.
    """
    chain, separator, residues = item.rpartition(":")
    if separator:
        return chain.strip(), residues
    spaced = _SPACED.fullmatch(item)
    if spaced and spaced[1] in chain_ids:
        return spaced[1], spaced[2]
    joined = next((c for c in sorted(chain_ids, key=len, reverse=True) if c and _follows(item, c)), "")
    if joined and not _RANGE.fullmatch(item):
        return joined, item[len(joined) :]
    if _RANGE.fullmatch(item) is None and _NAMED.fullmatch(item) is None:
        raise InputError(f"no chain {item!r}", chain=item, remedy=f"The chains are {_names(chain_ids)}")
    return "", item


def _follows(item: str, chain: str) -> bool:
    """Whether ``item`` is the name of the chain and a number right after it."""
    return item.startswith(chain) and not chain[-1].isdigit() and _RANGE.fullmatch(item[len(chain) :]) is not None


def _named(residues: str) -> tuple[str, str]:
    """Residue name before the number, empty where there is none, and the rest."""
    match = _NAMED.fullmatch(residues)
    return ("", residues) if match is None else (match[1], match[2])


def _range(item: str, protein: Protein, in_chain: NDArray[np.bool_], match: re.Match[str]) -> NDArray[np.bool_]:
    first, first_code, last, last_code = match.groups()
    ids = protein.residue_ids
    if last is None:
        of_number = np.array(
            [keep and r.number == int(first) for keep, r in zip(in_chain, ids, strict=True)], dtype=np.bool_
        )
        exact = np.array(
            [keep and r.insertion.strip() == first_code for keep, r in zip(of_number, ids, strict=True)], dtype=np.bool_
        )
        selected = exact if exact.any() or first_code else of_number
    else:
        if int(last) < int(first):
            raise InputError(f"the range {item!r} runs backwards", remedy="Give the smaller number first")
        low, high = (int(first), first_code), (int(last), last_code or "~")
        selected = np.array(
            [keep and low <= _key(r) <= high for keep, r in zip(in_chain, ids, strict=True)], dtype=np.bool_
        )
    if not selected.any():
        inside = [r for keep, r in zip(in_chain, ids, strict=True) if keep]
        span = f"{inside[0].number}{inside[0].insertion} to {inside[-1].number}{inside[-1].insertion}"
        raise InputError(
            f"the selection {item!r} holds no residue", chain=inside[0].chain, remedy=f"That chain runs from {span}"
        )
    return selected


def _key(residue: ResidueId) -> tuple[int, str]:
    return residue.number, residue.insertion.strip()


def _names(chain_ids: list[str]) -> str:
    return ", ".join(repr(name) for name in chain_ids)
