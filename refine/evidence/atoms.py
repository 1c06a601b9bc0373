"""Atoms as users write them in evidence: ``A:12 CA``, ``A:-3 CB``, ``A:52B N``, ``blank:7 CA``, ``12 CA``."""

from __future__ import annotations

import re

import numpy as np

from refine.errors import InputError
from refine.structure.protein import Protein, Site

_ATOM = re.compile(r"(?:(?P<chain>.*):)?\s*(?P<number>-?\d+)(?P<insertion>[A-Za-z]?)(?:\s+(?P<name>\S+))?")
_BLANK = ("", "blank", "(blank)")
_REMEDY = 'Write chain, residue number and atom, e.g. "A:12 CA", "A:52B CB", "A:-3 N", "blank:7 CA"'
_NEAR = 3
"""Residues that are named when the one asked for does not exist."""


def parse_atom(text: str, protein: Protein) -> Site:
    """The atom that ``text`` names.

    Without an atom name CB is meant, of glycine CA. The chain may be left out where there is only one; a blank chain id
    is written ``blank:7`` or ``:7``. A number without insertion code means the residue that has none, or the only one
    of that number.

    Raises:
        InputError: it cannot be read, or the protein has no such chain, residue or atom.
    """
    match = _ATOM.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{text!r} names no atom", remedy=_REMEDY)
    residue = _residue(match, protein)
    names = protein.atom_names(residue)
    name = (match["name"] or ("CB" if "CB" in names else "CA")).upper()
    label = f"{protein.residue_ids[residue]} {protein.sequence[residue]}"
    if name not in names:
        raise InputError(f"there is no atom {name}", residue=label, remedy=f"Its atoms are {', '.join(names)}")
    slot = names.index(name)
    if not protein.mask[residue, slot]:
        raise InputError(f"the model lacks the atom {name}", residue=label, remedy="Use CA, or add the atom")
    return Site(residue, slot)


def _residue(match: re.Match[str], protein: Protein) -> int:
    chain = _chain(match["chain"], protein)
    number, insertion = int(match["number"]), match["insertion"]
    own = [i for i, r in enumerate(protein.residue_ids) if r.chain.strip() == chain]
    of_number = [i for i in own if protein.residue_ids[i].number == number]
    exact = [i for i in of_number if protein.residue_ids[i].insertion.strip() == insertion]
    found = exact or ([] if insertion or len(of_number) > 1 else of_number)
    if len(found) == 1:
        return found[0]
    label = f"{chain or 'blank'}:{number}{insertion}"
    if any(h.chain.strip() == chain and h.number == number for h in protein.hetero):
        raise InputError("evidence is on residues of the protein, this one is a hetero group", residue=label)
    near = sorted(own, key=lambda i: abs(protein.residue_ids[i].number - number))[:_NEAR]
    names = ", ".join(str(protein.residue_ids[i]) for i in sorted(near))
    raise InputError("there is no such residue", residue=label, remedy=f"The nearest of that chain are {names}")


def _chain(text: str | None, protein: Protein) -> str:
    chains = [chain.strip() for chain in protein.chains]
    if text is None and len(chains) == 1:
        return chains[0]
    chain = (text or "").strip()
    if chain not in chains and chain.lower() in _BLANK and ("" in chains or len(chains) == 1):
        chain = "" if "" in chains else chains[0]
    if chain not in chains or (text is None and "" not in chains):
        names = ", ".join(c or "blank" for c in chains)
        raise InputError("there is no such chain", chain=chain or "blank", remedy=f"The chains are {names}")
    return chain


def longest(protein: Protein, first: Site, second: Site) -> float:
    """Å, the longest distance that two atoms can have: along an extended chain, infinite across a break."""
    low, high = sorted((first.residue, second.residue))
    if not protein.bonded[low:high].all():
        return float("inf")
    arms = sum(_arm(protein, site) for site in (first, second))
    return _PER_RESIDUE * (high - low) + arms


def shortest(protein: Protein, first: Site, second: Site) -> float:
    """Å, the shortest distance that two atoms can have: more than a bond unless they are of one residue or bonded."""
    apart = abs(first.residue - second.residue)
    low = min(first.residue, second.residue)
    if first.slot == second.slot == 1 and protein.bonded[low : low + apart].all():
        return _CA_APART.get(apart, _CA_NEAREST)
    linked = apart <= 1 or any({one.first, one.second} == {first, second} for one in protein.connections)
    if linked:
        return SHORTEST
    return _CA_NEAREST if first.slot == second.slot == 1 else _NOT_BONDED


SHORTEST = 1.0
"""Å: no two atoms that are not hydrogens are closer."""
_NOT_BONDED = 2.0  # Å between heavy atoms that nothing joins
_CA_APART, _CA_NEAREST = {1: 2.7, 2: 4.3}, 3.0
"""Å between CA atoms: of neighbours (cis peptides), over one residue, and of others."""
_PER_RESIDUE = 3.85  # Å from CA to CA of an extended chain, with some strain


def _arm(protein: Protein, site: Site) -> float:
    """Å from CA to the atom, with some room for other rotamers."""
    if site.slot == 1:
        return 0.0
    ca, atom = protein.coords[0, site.residue, 1], protein.coords[0, site.residue, site.slot]
    return float(np.linalg.norm(atom - ca)) + (0.3 if site.slot < 5 else 2.0)
