"""Hydrogens of a protein's topology at a pH, by OpenMM's own definitions, without OpenMM's slow search for their
places.

``Modeller.addHydrogens`` chooses the same ones, but places them by units arithmetic and a minimisation, half the time
of setting a system up; ``physics.hydrogens`` places them on ideal geometry.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from openmm import app
from scipy.spatial import cKDTree

from refine.constants import ATOM14, ONE_TO_THREE
from refine.physics.caps import CAP_NAMES
from refine.structure.protein import Protein
from refine.structure.riding_groups import PHOSPHATES, PROTONATED

_HBOND_REACH, _HBOND_ANGLE = 3.5, np.radians(50.0)
"""Å from a histidine's nitrogen to an acceptor and bend at the hydrogen, below which it counts as hydrogen-bonded: as
in OpenMM's ``Modeller``.
"""
_HISTIDINE_PKA = 6.5
_PHOSPHATE_PKA = {"SEP": 5.6, "TPO": 5.9, "PTR": 5.9}
"""At which a phosphate loses its second proton (Bienkiewicz & Lumb 1999, J. Biomol. NMR 15:203). Those of histidine
lose it at any pH here.
"""


@dataclasses.dataclass(frozen=True)
class _Hydrogen:
    """A hydrogen of a residue: name, heavy atom, highest pH, variants (empty for all) and ``terminal`` (letters N, C
    and -, empty for all) that have it.
    """

    name: str
    parent: str
    max_ph: float
    variants: frozenset[str]
    terminal: str


@functools.cache
def _definitions() -> dict[str, tuple[_Hydrogen, ...]]:
    """Hydrogens by residue name, as OpenMM brings them along, and of residues that its force fields know alone."""
    amide = tuple(_Hydrogen(name, "N", float("inf"), frozenset(), "") for name in ("HN1", "HN2"))
    root = ElementTree.parse(Path(app.__file__).parent / "data" / "hydrogens.xml").getroot()
    residues = {
        residue.attrib["name"]: tuple(
            _Hydrogen(
                one.attrib["name"],
                one.attrib["parent"],
                float(one.attrib.get("maxph", "inf")),
                frozenset(filter(None, one.attrib.get("variant", "").split(","))),
                one.attrib.get("terminal", ""),
            )
            for one in residue.findall("H")
        )
        for residue in root.findall("Residue")
    }
    hydroxyl = _Hydrogen("HD1", "OD1", float("inf"), frozenset(), "")
    hydroxyproline = (*(one for one in residues["PRO"] if one.name != "HG3"), hydroxyl)
    return residues | {"NH2": amide, "HYP": hydroxyproline} | _phosphorylated(residues)


def _phosphorylated(standard: Mapping[str, tuple[_Hydrogen, ...]]) -> dict[str, tuple[_Hydrogen, ...]]:
    """Hydrogens of phosphorylated residues: the atom that carries the phosphate has none, and one oxygen takes up a
    proton below ``_PHOSPHATE_PKA``, or at any pH under the name that AMBER has for that.
    """
    residues = {}
    for (letter, carrier), group in PHOSPHATES.items():
        own = tuple(
            dataclasses.replace(one, variants=frozenset())
            for one in standard[ONE_TO_THREE[letter]]
            if one.parent != carrier
        )
        highest = _PHOSPHATE_PKA.get(group.template, float("-inf"))
        for name, limit in ((group.template, highest), (PROTONATED[group.template], float("inf"))):
            residues[name] = (*own, _Hydrogen("H1P", "O1P", limit, frozenset(), ""))
    return residues


def protonated(
    topology: app.Topology, positions: NDArray[np.float64], ph: float, variants: Sequence[str | None]
) -> app.Topology:
    """A topology with hydrogens, each after its heavy atom.

    Args:
        topology: heavy atoms of standard residues and caps; positions: (A, 3) Å. A first residue that a peptide bond
            from another leads to has no charged end.
        ph: which titratable groups are protonated. Neutral histidines have their hydrogen on ND1, but where NE2 alone
            would give a hydrogen bond.
        variants: for each residue its variant in OpenMM's definitions where that is known already, else None.
    """
    bridged = {a.residue for a, b in topology.bonds() if a.name == b.name == "SG" for a in (a, b)}
    onto = {b.residue for a, b in topology.bonds() if (a.name, b.name) == ("C", "N") and a.residue is not b.residue}
    histidines = _Histidines(topology, positions)
    new, copies = app.Topology(), {}
    for chain in topology.chains():
        residues, new_chain = list(chain.residues()), new.addChain(chain.id)
        for residue, known in zip(residues, variants[residues[0].index : residues[-1].index + 1], strict=True):
            variant = known
            if variant is None and residue.name == "CYS" and residue in bridged:
                variant = "CYX"
            if variant is None and residue.name == "HIS":
                variant = histidines.variant(residue) if ph > _HISTIDINE_PKA else "HIP"
            begins = residue is residues[0] and residue not in onto
            end = ("N" if begins else "") + ("C" if residue is residues[-1] else "") or "-"
            wanted = [h for h in _definitions()[residue.name] if _present(h, variant, ph, end)]
            new_residue = new.addResidue(residue.name, new_chain, residue.id, residue.insertionCode)
            for atom in residue.atoms():
                copies[atom] = new.addAtom(atom.name, atom.element, new_residue)
                for hydrogen in (h for h in wanted if h.parent == atom.name):
                    new.addBond(copies[atom], new.addAtom(hydrogen.name, app.element.hydrogen, new_residue))
    for a, b in topology.bonds():
        new.addBond(copies[a], copies[b])
    return new


def _present(hydrogen: _Hydrogen, variant: str | None, ph: float, end: str) -> bool:
    """Whether a residue of this variant, with ``end`` of the letters N, C and -, has the hydrogen at this pH."""
    if hydrogen.terminal and not set(hydrogen.terminal) & set(end):
        return False
    if variant is not None and hydrogen.variants:
        return variant in hydrogen.variants
    return ph <= hydrogen.max_ph


class _Histidines:
    """Which nitrogen of a neutral histidine has the hydrogen."""

    def __init__(self, topology: app.Topology, positions: NDArray[np.float64]) -> None:
        self._x = positions
        self._neighbours: dict[app.topology.Atom, list[int]] = {a: [] for a in topology.atoms()}
        for a, b in topology.bonds():
            self._neighbours[a].append(b.index)
            self._neighbours[b].append(a.index)
        self._acceptors = [a for a in topology.atoms() if a.element in (app.element.oxygen, app.element.nitrogen)]
        self._tree = cKDTree(positions[[a.index for a in self._acceptors]])

    def variant(self, residue: app.topology.Residue) -> str:
        """``HIE`` where NE2 alone would give a hydrogen bond, else ``HID``."""
        atoms = {a.name: a for a in residue.atoms()}
        return "HIE" if self._gives(atoms["NE2"]) and not self._gives(atoms["ND1"]) else "HID"

    def _gives(self, nitrogen: app.topology.Atom) -> bool:
        """Whether a hydrogen on it would point at an acceptor of another residue."""
        at = self._x[nitrogen.index]
        away = (at - self._x[self._neighbours[nitrogen]]).sum(0)
        hydrogen = at + away / np.linalg.norm(away)
        for k in self._tree.query_ball_point(at, _HBOND_REACH):
            if self._acceptors[k].residue is nitrogen.residue:
                continue
            onward = self._x[self._acceptors[k].index] - hydrogen
            if (hydrogen - at) @ onward > np.cos(_HBOND_ANGLE) * np.linalg.norm(onward):
                return True
        return False


def bound_variants(protein: Protein, topology: app.Topology, included: NDArray[np.bool_]) -> list[str | None]:
    """Protonation of the residues of the topology where metals and links decide it: thiolates as in disulfides,
    carboxylates and amines without the proton, histidines with the hydrogen on the nitrogen that is free; None leaves
    it to the pH.
    """
    bound: dict[int, dict[str, str]] = {}
    for one in protein.connections:
        for site in (one.first, one.second):
            if one.kind != "disulfide" and 4 < site.slot < 14 and site.residue >= 0:
                name = ATOM14[protein.sequence[site.residue]][site.slot]
                bound.setdefault(site.residue, {})[name] = one.kind
    residues = iter(np.flatnonzero(included).tolist())
    chosen: list[str | None] = []
    for residue in topology.residues():
        names = bound.get(next(residues), {}) if residue.name not in CAP_NAMES else {}
        at_end = any(atom.name == "OXT" for atom in residue.atoms()) or residue is next(residue.chain.residues())
        chosen.append(_variant(names, thiolate=not at_end))
    return chosen


def _variant(bound: dict[str, str], *, thiolate: bool) -> str | None:
    """The variant of a residue whose atoms of these names are bonded, each to a ``metal`` or by a ``covalent`` bond.

    A thiolate at the end of a chain has no template: there, and where the sulfur's bond is covalent, the hydrogen is a
    ghost.
    """
    if bound.get("SG") == "metal" and thiolate:
        return "CYX"
    by_atom = {"NE2": "HID", "ND1": "HIE", "NZ": "LYN", "OD1": "ASP", "OD2": "ASP", "OE1": "GLU", "OE2": "GLU"}
    return next((variant for name, variant in by_atom.items() if name in bound), None)
