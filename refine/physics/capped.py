"""One residue between caps, ACE-X-NME, of any residue that a force field has parameters for.

Atoms and bonds are those of the force field's own residue, so that protonation states (ASH, HIP, LYN) and modified
residues (HYP, or what the user has parameters of) need no table here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import gemmi
import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app
from openmm.app.internal.customgbforces import GBSAOBC2Force

from refine.constants import ONE_TO_THREE
from refine.errors import EngineError, InputError
from refine.physics.dynamics import rigid_hydrogens
from refine.physics.hydrogens import HydrogenPlacer
from refine.physics.peptide import peptide
from refine.structure.arrays import opposite, opposite_pair, place_atom
from refine.structure.modified_residues import parent

FORCE_FIELD = "amber14/protein.ff14SB.xml"
_ANGLE, _PLANAR = np.radians(109.5), np.radians(120.0)
_HANDS = {("HYP", "CG"): ("OD1", "CD", "CB")}
"""Centres that no standard residue has, by residue: three of their atoms, clockwise seen from the fourth's far side."""
_CAP_ATOMS = {"NME": {"CH3": "C"}}
"""Names that ``peptide`` has for atoms of caps, where the force field has others."""

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class CappedResidue:
    """ACE-X-NME as OpenMM takes it.

    Attributes:
        name: of X in the force field; letter: of the standard residue that X is built from.
        topology, system: of OpenMM, with OBC solvent, no cutoff, rigid bonds to hydrogen; positions: (n, 3) Å.
        phi, psi: particles of both torsions.
        force_field: in words.
    """

    name: str
    letter: str
    topology: app.Topology
    system: openmm.System
    positions: Array
    phi: tuple[int, int, int, int]
    psi: tuple[int, int, int, int]
    force_field: str


def capped_residue(name: str, parameters: Sequence[Path] = ()) -> CappedResidue:
    """ACE-X-NME in ff14SB with OBC solvent, extended.

    Args:
        name: one letter, or the force field's name of the residue, such as ``SER``, ``ASH``, ``HYP``.
        parameters: OpenMM force-field files (.xml) read after ff14SB, for residues that it does not have.

    Raises:
        InputError: the residue has no parameters, is no L-amino acid, is bonded to more than its neighbours, or has a
            centre whose hand is not known.
        EngineError: OpenMM cannot set it up.
    """
    name = ONE_TO_THREE.get(name.strip().upper(), name.strip().upper())
    field = _force_field(parameters)
    residue = _residue(field, "HIE" if name == "HIS" else name, extended=bool(parameters))
    letter = parent(name)
    if letter is None:
        raise InputError(f"{name} is no residue of an L-peptide", remedy="Name an L-amino acid, such as SER or HYP")
    topology = _topology([field._templates["ACE"], residue, field._templates["NME"]], name)
    positions = _positions(topology, letter)
    atoms = {(a.residue.index, a.name): a.index for a in topology.atoms()}
    phi = tuple(atoms[key] for key in ((0, "C"), (1, "N"), (1, "CA"), (1, "C")))
    psi = tuple(atoms[key] for key in ((1, "N"), (1, "CA"), (1, "C"), (2, "N")))
    system = _system(field, topology, [residue.name, "ACE", "NME"])
    words = "ff14SB with OBC solvent, no cutoff" + "".join(f", {path.name}" for path in parameters)
    return CappedResidue(name, letter, topology, system, positions, phi, psi, words)


def _force_field(parameters: Sequence[Path]) -> app.ForceField:
    try:
        return app.ForceField(FORCE_FIELD, *(str(path) for path in parameters))
    except (ValueError, KeyError, OSError, SyntaxError, openmm.OpenMMException) as error:
        files = ", ".join(map(str, parameters))
        raise InputError(f"OpenMM cannot read the force field: {str(error)[:200]}", file=files) from error


def _residue(field: app.ForceField, name: str, *, extended: bool) -> app.ForceField._TemplateData:
    """The force field's residue ``name``, bonded at N and C alone."""
    if name not in field._templates:
        more = "Its file does not name it" if extended else "Give its parameters (--parameters FILE.xml of OpenMM)"
        known = "ff14SB has the 20 standard residues, their protonation states (ASH, CYM, GLH, HID, HIP, LYN) and HYP"
        raise InputError(f"the force field has no parameters of residue {name[:20]!r}", remedy=f"{more}; {known}")
    residue = field._templates[name]
    ends = sorted(residue.atoms[i].name for i in residue.externalBonds)
    if ends != ["C", "N"] or not {"CA", "O"} <= {a.name for a in residue.atoms}:
        raise InputError(
            f"{name} is bonded at {', '.join(ends) or 'no atom'}, not at N and C alone",
            remedy="Only residues within a chain can be simulated between caps: CYS in place of CYX",
        )
    return residue


def _topology(residues: Sequence[app.ForceField._TemplateData], name: str) -> app.Topology:
    topology = app.Topology()
    chain, ends = topology.addChain("A"), []
    for number, one in enumerate(residues, start=1):
        residue = topology.addResidue(name if number == 2 else one.name, chain, str(number))
        atoms = [topology.addAtom(a.name, a.element, residue) for a in one.atoms]
        for i, j in one.bonds:
            topology.addBond(atoms[i], atoms[j])
        ends.append({a.name: a for a in atoms})
    for left, right in zip(ends, ends[1:], strict=False):
        topology.addBond(left["C"], right["N"])
    return topology


def _positions(topology: app.Topology, letter: str) -> Array:
    """(n, 3) Å: the standard residue extended, what X has besides on ideal geometry, hydrogens last."""
    built = peptide(f"ACE-{ONE_TO_THREE[letter]}-NME")
    known = {(a.residue.index, a.name): built.positions[a.index] for a in built.topology.atoms()}
    x = np.full((topology.getNumAtoms(), 3), np.nan)
    for atom in topology.atoms():
        if atom.element.symbol != "H":
            alias = _CAP_ATOMS.get(atom.residue.name, {}).get(atom.name, atom.name)
            x[atom.index] = known.get((atom.residue.index, alias), x[atom.index])
    _place_others(topology, x)
    return HydrogenPlacer(topology).place(x)


def _place_others(topology: app.Topology, x: Array) -> None:
    """Set heavy atoms of ``x`` that are not known yet, from those they are bonded to outwards."""
    atoms = list(topology.atoms())
    bonded: dict[int, list[int]] = {a.index: [] for a in atoms}
    for a, b in topology.bonds():
        bonded[a.index].append(b.index)
        bonded[b.index].append(a.index)
    missing = {a.index for a in atoms if a.element.symbol != "H" and np.isnan(x[a.index, 0])}
    while missing:
        found = (a for a in atoms if not np.isnan(x[a.index, 0]) and missing & set(bonded[a.index]))
        centre = next(found, None)
        if centre is None:
            raise InputError(f"atom {atoms[min(missing)].name} of the residue is bonded to no other")
        due = [i for i in bonded[centre.index] if i in missing]
        radius = gemmi.Element(centre.element.symbol).covalent_r
        for i, direction in zip(due, _directions(x, centre, due, bonded, atoms), strict=True):
            x[i] = x[centre.index] + (radius + gemmi.Element(atoms[i].element.symbol).covalent_r) * direction
        missing -= set(due)


def _directions(
    x: Array,
    centre: app.topology.Atom,
    due: Sequence[int],
    bonded: Mapping[int, Sequence[int]],
    atoms: Sequence[app.topology.Atom],
) -> Array:
    """Unit vectors (len(due), 3) from a centre to the heavy atoms that it lacks; InputError where sides are unknown."""
    at, others = x[centre.index], bonded[centre.index]
    there = [i for i in others if not np.isnan(x[i, 0])]
    if len(there) == 1:
        beyond = next(i for i in bonded[there[0]] if i != centre.index and not np.isnan(x[i, 0]))
        torsions = np.pi + 2 * np.pi * np.arange(len(due)) / len(due)
        bend = _PLANAR if len(others) == 3 else _ANGLE
        return np.asarray(place_atom(x[beyond], x[there[0]], at, 1.0, bend, torsions) - at)
    if len(there) != 2 or len(others) < 4:
        return np.asarray(opposite(at, x[there]))[None]
    both = np.asarray(opposite_pair(at, x[there]))
    if len(due) == 2:
        return both
    named = _HANDS.get((centre.residue.name, centre.name))
    if named is None:
        raise InputError(
            f"the hand of {centre.name} of {centre.residue.name} is not known",
            remedy="Only hands of the 20 standard residues and of HYP are",
        )
    second, third = (next(x[i] for i in others if atoms[i].name == name) - at for name in named[1:])
    clockwise = both @ np.cross(second, third) < 0
    return both[clockwise]


def _system(field: app.ForceField, topology: app.Topology, names: Sequence[str]) -> openmm.System:
    """System with OpenMM's native OBC force, several times faster than the custom one of implicit/obc2.xml."""
    residues = list(topology.residues())
    templates = {residues[1]: names[0], residues[0]: names[1], residues[2]: names[2]}
    try:
        system = field.createSystem(
            topology,
            nonbondedMethod=app.NoCutoff,
            removeCMMotion=False,
            residueTemplates=templates,
            **rigid_hydrogens(),
        )
        nonbonded = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
        solvent = openmm.GBSAOBCForce()
        solvent.setSurfaceAreaEnergy(0.0)
        for i, (radius, scale) in enumerate(GBSAOBC2Force.getStandardParameters(topology)):
            solvent.addParticle(nonbonded.getParticleParameters(i)[0], radius, scale)
        system.addForce(solvent)
    except (ValueError, KeyError, StopIteration, openmm.OpenMMException) as error:
        raise EngineError(f"OpenMM could not set up ACE-{names[0]}-NME: {str(error)[:300]}") from error
    return system
