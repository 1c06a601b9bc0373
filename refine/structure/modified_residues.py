"""Which residue names mean an amino acid, which of the standard 20 stands for it, and what its atoms are called.

Parents come from gemmi's tabulated residues (from the PDB's chemical component dictionary); force-field names are added
here.
"""

from __future__ import annotations

import functools

import gemmi

from refine.constants import AMINO_ACIDS, ATOM14, THREE_TO_ONE

MOST_NAMES = 4096
"""Different atom names that are kept with what they mean: a file has few, and asks for each many times."""
_FORCE_FIELD = {
    "HID": "H", "HIE": "H", "HIP": "H", "HSD": "H", "HSE": "H", "HSP": "H", "HSC": "H", "CYX": "C", "CYM": "C",
    "CYN": "C", "ASH": "D",
    "GLH": "E", "LYN": "K", "LSN": "K", "ARN": "R", "TYM": "Y", "MSE": "M", "SEC": "C", "PYL": "K", "ASX": "N",
    "GLX": "Q", "5HP": "E",
    "ARGN": "R", "LYSH": "K", "LYSN": "K", "ASPH": "D", "ASPP": "D", "GLUH": "E", "GLUP": "E",
    "CYSH": "C", "CYS1": "C", "CYS2": "C", "NLN": "N", "OLS": "S", "OLT": "T",
    "HISA": "H", "HISB": "H", "HISH": "H", "HISD": "H", "HISE": "H", "HISP": "H", "HIS1": "H", "HIS2": "H",
}  # fmt: skip
"""Protonation states of AMBER, CHARMM and GROMACS (nothing is lost by their conversion), GLYCAM's residues with a
sugar, and the four odd letters of the PDB.
"""

_PROTONATION = frozenset(name for name in _FORCE_FIELD if name not in ("MSE", "SEC", "PYL", "ASX", "GLX", "5HP"))
_PHOSPHORYLATED = {"S1P": "S", "T1P": "T", "Y1P": "Y", "H1D": "H", "H2D": "H", "H1E": "H", "H2E": "H"}
"""AMBER's names (phosaa14SB) besides those of the PDB."""

_NOT_PEPTIDE = frozenset(("IAS", "UNK"))
"""Tabulated as amino acids, but without the backbone or the identity of one."""

AMBIGUOUS = {"ASX": ("CB", "CG"), "GLX": ("CB", "CG", "CD")}
"""Acid or amide, unknown which, and the side-chain atoms that both have."""

_ALIASES = {
    "OT1": "O", "OT2": "OXT", "O1": "O", "O2": "OXT", "OC1": "O", "OC2": "OXT", "OCT1": "O", "OCT2": "OXT", "OT": "O",
    "O'": "O",
    "O''": "OXT", "OXT1": "OXT", "OTX": "OXT",
}  # fmt: skip


def is_force_field_name(name: str) -> bool:
    """True for a standard residue under its own name, a force field's, or AMBER's of a chain end (``NMET``)."""
    return _standard(name) in THREE_TO_ONE or _standard(name) in _PROTONATION


def _standard(name: str) -> str:
    """``name`` without the N or C that AMBER and GROMACS put before the name of the first and last residue."""
    inner = name[1:]
    ends = len(name) == 4 and name[0] in "NC" and name not in _FORCE_FIELD
    return inner if ends and (inner in THREE_TO_ONE or inner in _PROTONATION) else name


@functools.lru_cache(4096)
def parent(name: str) -> str | None:
    """One-letter code out of the standard 20 that stands for residue ``name``; None when it is no L-amino acid of an
    alpha-peptide.
    """
    name = _standard(name)
    if name in THREE_TO_ONE:
        return THREE_TO_ONE[name]
    if name in _FORCE_FIELD:
        return _FORCE_FIELD[name]
    if name in _PHOSPHORYLATED:
        return _PHOSPHORYLATED[name]
    info = gemmi.find_tabulated_residue(name)
    if (
        name in _NOT_PEPTIDE
        or info is None
        or info.kind not in (gemmi.ResidueKind.AA, gemmi.ResidueKind.PAA, gemmi.ResidueKind.MAA)
    ):
        return None
    letter = info.one_letter_code.upper()
    return letter if letter in AMINO_ACIDS else None


def is_modified(name: str) -> bool:
    """True for everything but a standard residue under its own or a force field's name."""
    return not is_force_field_name(name)


def is_d_amino_acid(name: str) -> bool:
    """True for the mirror images, which are carried along rather than turned into L-residues."""
    info = gemmi.find_tabulated_residue(name)
    return info is not None and info.kind == gemmi.ResidueKind.AAD


@functools.lru_cache(maxsize=MOST_NAMES)
def atom_name(name: str, residue_name: str, letter: str) -> str:
    """Name of the standard residue's atom (or ``"OXT"``) that atom ``name`` of ``residue_name`` becomes; ``""`` when
    there is none.
    """
    name = name.replace("*", "'").upper()
    name = _ALIASES.get(name, name) if name not in ATOM14[letter] else name
    if letter == "I" and name == "CD":
        name = "CD1"
    if name == "SE" and letter in "MC":
        name = "SD" if letter == "M" else "SG"
    if residue_name in AMBIGUOUS and name not in ("N", "CA", "C", "O", "OXT", *AMBIGUOUS[residue_name]):
        return ""
    return name if name in ATOM14[letter] or name == "OXT" else ""


@functools.lru_cache(maxsize=MOST_NAMES)
def is_hydrogen(name: str, element: str) -> bool:
    """True for hydrogen, deuterium and NMR pseudo-atoms of an amino acid, under new names and old ones (``1HB``)."""
    bare = name.lstrip("0123456789'\"").upper()
    return bare[:1] in ("H", "D", "Q") or element in ("H", "D")
