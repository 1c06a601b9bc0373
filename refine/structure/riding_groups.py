"""What modified residues have beyond their standard one and takes part in refinement, because a force field knows it:
the oxygen of hydroxyproline (ff14SB), and the phosphate of phosphorylated residues (phosaa14SB).

phosaa14SB (Raguette et al. 2024, J. Chem. Theory Comput. 20:7199) comes with the optional package openmmforcefields
(extra ``modified``); without it phosphorylated residues are held where they are.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

PACKAGE = "openmmforcefields"
_FILES = ("ff14SB.xml", "phosaa14SB.xml")
"""Of the package: ff14SB under the names of atom types that phosaa14SB goes by, and phosaa14SB."""
LONGEST_BOND = 2.0
"""Å, longer than any bond of C, N, O, P and S."""


class RidingGroup(NamedTuple):
    """Atoms of a modified residue as its force field has them.

    Attributes:
        template: the residue in the force field, its neighbours on both sides.
        carriers: the atoms of the residue that carry the group along; the group is bonded to the first.
        elements: of the group's atoms, the one first that the others are bonded to; ``names``: in the force field.
        residue_names: under which the group is known, empty where the bonds alone tell it.
        ends_chain: whether the force field knows it as the last residue of a chain, too.
    """

    template: str
    carriers: tuple[str, str, str]
    elements: tuple[str, ...]
    names: tuple[str, ...]
    residue_names: tuple[str, ...] = ()
    ends_chain: bool = False

    def template_of(self, residue_name: str) -> str:
        """The residue in the force field of one that a file calls ``residue_name``: AMBER's names tell of a proton."""
        return residue_name if residue_name == PROTONATED.get(self.template) else self.template


def _phosphate(template: str, *carriers: str) -> RidingGroup:
    first, second, third = carriers
    return RidingGroup(template, (first, second, third), ("P", "O", "O", "O"), ("P", "O1P", "O2P", "O3P"))


HYDROXYPROLINE = RidingGroup("HYP", ("CG", "CB", "CD"), ("O",), ("OD1",), ("HYP",), ends_chain=True)
PHOSPHATES = {
    ("S", "OG"): _phosphate("SEP", "OG", "CB", "CA"),
    ("T", "OG1"): _phosphate("TPO", "OG1", "CB", "CA"),
    ("Y", "OH"): _phosphate("PTR", "OH", "CZ", "CE1"),
    ("H", "ND1"): _phosphate("H2D", "ND1", "CG", "CE1"),
    ("H", "NE2"): _phosphate("H2E", "NE2", "CD2", "CE1"),
}
"""Letter and atom that carries the phosphate → the group, in the form without a proton."""
PROTONATED = {"SEP": "S1P", "TPO": "T1P", "PTR": "Y1P", "H2D": "H1D", "H2E": "H1E"}
"""AMBER's names of these residues with a proton on O1P."""


@functools.cache
def phosphate_files() -> tuple[str, ...]:
    """The force-field files that have phosphorylated residues; none where the package is not installed. It is not
    imported.
    """
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        paths = [Path(folder) / "ffxml" / "amber" / name for name in _FILES]
        if all(path.is_file() for path in paths):
            return tuple(map(str, paths))
    return ()


def can_ride(letter: str, residue_name: str, elements: Iterable[str]) -> bool:
    """Whether a residue with more atoms of these elements than its standard one may be one that moves with them."""
    groups = [group for (aa, _), group in riding_groups(phosphates=bool(phosphate_files())).items() if aa == letter]
    own = sorted(elements)
    return any(own == sorted(g.elements) and residue_name in (g.residue_names or (residue_name,)) for g in groups)


def riding_groups(*, phosphates: bool) -> dict[tuple[str, str], RidingGroup]:
    """Letter and atom that carries the group → the group."""
    return {("P", "CG"): HYDROXYPROLINE} | (PHOSPHATES if phosphates else {})
