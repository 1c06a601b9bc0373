"""Four-letter residue names in columns 18-21 of PDB files, told from two-letter chain ids in columns 21-22."""

from __future__ import annotations

from collections.abc import Iterable

from refine.structure.modified_residues import is_force_field_name

_CARRIED_ALONG = frozenset(
    (
        "TIP3 TIP4 TIP5 TP3M SPCE OPC3 POPC POPE POPG POPS POPA POPI DPPC DPPE DPPG DOPC DOPE DOPG DOPS"
        " DMPC DMPE DMPG DLPC DLPE DSPC DSPE CHL1 CHOL"
    ).split()
)
"""Waters and lipids of CHARMM, AMBER and GROMACS."""


def two_letter_chains(lines: Iterable[str]) -> frozenset[str]:
    """Columns 21-22 that are a chain id.

    Both readings fit a line such as ``CYSHA 198``: a residue CYSH of chain A, or CYS of chain HA. A chain holds other
    residues too, so that one name in it which makes no four-letter name with column 21 tells.

    Args:
        lines: atom lines.
    """
    fields = {line[17:22] for line in lines}
    return frozenset(field[3:5] for field in fields if field[3:4].strip() and not _is_four_letter_name(field[:4]))


def _is_four_letter_name(name: str) -> bool:
    name = name.upper()
    return name in _CARRIED_ALONG or (len(name.strip()) == 4 and is_force_field_name(name))
