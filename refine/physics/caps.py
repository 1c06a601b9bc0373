"""What stands at the ends of a stretch of residues where the chain goes on with something that has no template.

A D-residue, a cap, an unknown residue or one without all its atoms is a fixed obstacle to the force field. A stretch
that is bonded to it has no charged end there, but the acetyl or the amine of what it is bonded to: ACE, NME and NH2 of
OpenMM, at the places of the true atoms.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import gemmi
import numpy as np
from numpy.typing import NDArray

from refine.constants import ATOM14
from refine.structure.atom_sites import Atoms
from refine.structure.bonded_atoms import COVALENT_SLACK
from refine.structure.connections import position_of
from refine.structure.protein import Protein, Site

CAP_NAMES = frozenset(("ACE", "NME", "NH2"))
_N, _C = 0, 2


@dataclasses.dataclass(frozen=True)
class Cap:
    """A residue of the force field in place of what a stretch is bonded to.

    Attributes:
        name: ``ACE``, ``NME`` or ``NH2``.
        atoms: name in the force field, element, and whose place each heavy atom has; the one that is bonded first.
    """

    name: str
    atoms: tuple[tuple[str, str, Site], ...]

    def positions(self, protein: Protein) -> NDArray[np.float64]:
        """(n, 3) Å of its heavy atoms in replica 0."""
        return np.array([position_of(protein, site) for _, _, site in self.atoms])


def caps(protein: Protein, included: NDArray[np.bool_]) -> dict[Site, Cap]:
    """Caps of the stretches of ``included`` (L,) residues, by the N or C that they are on.

    An end that is bonded to another included residue has none (see ``closed``), nor has one whose bond is no amide.
    """
    partners: dict[Site, list[Site]] = {}
    for one in protein.connections:
        for site, other in ((one.first, one.second), (one.second, one.first)):
            if one.kind == "covalent" and site.residue >= 0 and included[site.residue] and site.slot in (_N, _C):
                partners.setdefault(site, []).append(other)
    for i in np.flatnonzero(protein.bonded[:-1] & (included[:-1] ^ included[1:])).tolist():
        here, there = (Site(i, _C), Site(i + 1, _N)) if included[i] else (Site(i + 1, _N), Site(i, _C))
        partners.setdefault(here, []).append(there)
    if not partners:
        return {}
    atoms = Atoms(protein)
    found: dict[Site, Cap] = {}
    for site, others in partners.items():
        for other in others:
            cap = None if other.residue >= 0 and included[other.residue] else _cap(atoms, site, other)
            if cap is not None and not _goes_on(protein, included, site):
                found[site] = cap
    return found


def closed(protein: Protein, included: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Residues i and j that a peptide bond from C of i to N of j joins out of sequence: the ends of a cycle."""
    pairs = []
    for one in protein.connections:
        ends = {one.first.slot: one.first.residue, one.second.slot: one.second.residue}
        if one.kind == "covalent" and set(ends) == {_N, _C} and min(ends.values()) >= 0:
            i, j = ends[_C], ends[_N]
            if included[i] and included[j]:
                pairs.append((i, j))
    return pairs


def _goes_on(protein: Protein, included: NDArray[np.bool_], site: Site) -> bool:
    """Whether a peptide to an included residue is there already."""
    i, slot = site
    if slot == _C:
        return bool(protein.bonded[i] and included[i + 1])
    return i > 0 and bool(protein.bonded[i - 1] and included[i - 1])


def _cap(atoms: Atoms, site: Site, other: Site) -> Cap | None:
    """The cap on ``site`` whose first atom is ``other``, None where that makes no amide."""
    beside = list(_bonded_to(atoms, other))
    others = sorted(beside, key=lambda b: atoms.element(b) != "C")
    if site.slot == _C:
        if atoms.element(other) != "N":
            return None
        return Cap("NME", (("N", "N", other), ("C", "C", others[0]))) if others else Cap("NH2", (("N", "N", other),))
    oxygen = next((b for b in beside if atoms.element(b) == "O"), None)
    methyl = next((b for b in others if b != oxygen), None)
    if atoms.element(other) != "C" or oxygen is None or methyl is None:
        return None
    return Cap("ACE", (("C", "C", other), ("O", "O", oxygen), ("CH3", "C", methyl)))


def _bonded_to(atoms: Atoms, site: Site) -> Iterable[Site]:
    """Heavy atoms of the same residue or group that an atom is bonded to, the nearest first."""
    protein = atoms.protein
    if site.residue >= 0:
        slots = np.flatnonzero(protein.mask[site.residue]).tolist()
        others = [Site(site.residue, k) for k in slots if k < len(ATOM14[protein.sequence[site.residue]])]
    else:
        own = protein.hetero[site.slot]
        others = [
            Site(-1, k)
            for k, h in enumerate(protein.hetero)
            if h.order == own.order and h.residue_name == own.residue_name and Site(-1, k) in atoms.index
        ]
    here, radius = position_of(protein, site), gemmi.Element(atoms.element(site)).covalent_r
    near = []
    for other in others:
        length = float(np.linalg.norm(position_of(protein, other) - here))
        element = gemmi.Element(atoms.element(other))
        if other != site and element.name not in ("H", "D") and length <= radius + element.covalent_r + COVALENT_SLACK:
            near.append((length, other))
    return [other for _, other in sorted(near)]
