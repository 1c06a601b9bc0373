"""Names of hetero atoms and their residues that PDB's columns cannot hold, replaced by short ones; mmCIF keeps the long
ones.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Iterable, Iterator

import gemmi

from refine.constants import ONE_TO_THREE
from refine.structure.atom_sites import is_water
from refine.structure.modified_residues import parent
from refine.structure.protein import HeteroAtom, Protein

MAX_ATOM_NAME = 4
MAX_RESIDUE_NAME = 3
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def long_names(hetero: Iterable[HeteroAtom]) -> int:
    """How many hetero atoms have names that do not fit the four columns."""
    return sum(len(atom.name) > MAX_ATOM_NAME for atom in hetero)


def short_residue_names(hetero: Iterable[HeteroAtom]) -> dict[str, str]:
    """Residue names of more than three letters → those they have in PDB files: waters HOH, others one that no residue
    of the file and no component of the PDB has. A fourth letter would be read as a part of the chain id.
    """
    names = dict.fromkeys(atom.residue_name for atom in hetero)
    used = {*names, *ONE_TO_THREE.values()}
    short: dict[str, str] = {}
    for name in names:
        if len(name) > MAX_RESIDUE_NAME:
            short[name] = "HOH" if is_water(name) else _unused(name.upper(), used)
            used.add(short[name])
    return short


def _unused(name: str, used: Collection[str]) -> str:
    near = (name[:3], name[:2] + name[-1], name[0] + name[-2:])
    tails = (name[:2], name[:1], "")
    others = (tail + "".join(rest) for tail in tails for rest in itertools.product(_LETTERS, repeat=3 - len(tail)))
    return next(one for one in itertools.chain(near, others) if one not in used and not _means_something(one))


def _means_something(name: str) -> bool:
    """To those who read it: a component of the PDB, or a force field's name of an amino acid or water."""
    return gemmi.find_tabulated_residue(name).found() or parent(name) is not None or is_water(name)


def with_short_atom_names(protein: Protein) -> tuple[Protein, list[str]]:
    """The protein with hetero atom names of at most four letters, unique in their residue; and what became of which.

    Long names become element and number, the same for every file that is written of the same hetero atoms.

    Returns:
        The protein, itself where nothing is long; and one text a name, such as ``LIG B 1: C_10x is C1``.
    """
    if not long_names(protein.hetero):
        return protein, []
    hetero: list[HeteroAtom] = []
    texts = []
    for (_, chain, number, insertion, residue_name), group in itertools.groupby(protein.hetero, _residue):
        atoms = list(group)
        short = _short_names(atoms)
        hetero += [dataclasses.replace(a, name=short[a.name]) if a.name in short else a for a in atoms]
        texts += [f"{residue_name} {chain} {number}{insertion}: {old} is {new}" for old, new in short.items()]
    return dataclasses.replace(protein, hetero=tuple(hetero)), texts


def _residue(atom: HeteroAtom) -> tuple[int, str, int, str, str]:
    return atom.order, atom.chain, atom.number, atom.insertion, atom.residue_name


def _short_names(atoms: list[HeteroAtom]) -> dict[str, str]:
    """Long name → short one, for the atoms of one residue; alternate conformations share theirs."""
    used = {atom.name.upper() for atom in atoms}
    short: dict[str, str] = {}
    for atom in atoms:
        if len(atom.name) > MAX_ATOM_NAME and atom.name not in short:
            name = next(name for name in _numbered(atom.element.upper()) if name not in used)
            used.add(name)
            short[atom.name] = name
    return short


def _numbered(element: str) -> Iterator[str]:
    """C1, C2, … C999, then anything of four letters."""
    symbol = element if element and element != "X" else "X"
    for number in range(1, 10 ** (MAX_ATOM_NAME - len(symbol))):
        yield f"{symbol}{number}"
    for number in range(36**MAX_ATOM_NAME):
        yield "".join(_LETTERS[number // 36**k % 36] for k in (3, 2, 1, 0))
