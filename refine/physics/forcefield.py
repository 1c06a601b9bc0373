"""The amber14 protein force field as OpenMM has it: topology, system and positions of one protein."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app
from scipy.spatial import cKDTree

from refine.constants import ATOM14, ONE_TO_THREE
from refine.errors import EngineError
from refine.physics.forces import BONDED, NONBONDED, SOLVENT, Nonbonded, scalable_charges, soft_spheres
from refine.physics.hydrogens import HydrogenPlacer
from refine.physics.platform import open_context
from refine.physics.protonation import protonated
from refine.structure.backbone import place_oxt
from refine.structure.chemistry import radii
from refine.structure.connections import disulfide_pairs
from refine.structure.protein import Protein

KJ_PER_KCAL = 4.184
NM_PER_ANGSTROM = 0.1
_CUTOFF_NM = 1.0
_HETERO_REACH = 5.5
"""Å from the protein within which hetero atoms are obstacles: beyond it they act by about 0.01 kcal/mol."""
# OBC radii in Å and scales by element (Onufriev, Bashford & Case 2004; mbondi2: hydrogen on nitrogen 1.3).
_GB = {"H": (1.2, 0.85), "C": (1.7, 0.72), "N": (1.55, 0.79), "O": (1.5, 0.85), "S": (1.8, 0.96)}
_GB_POLAR_HYDROGEN = 1.3
_FIXED_PAIR = 2.2
"""Å within which atoms that cannot move do not feel each other."""


class ForceFieldSystem:
    """The OpenMM system of one protein, built once and used for many models of it.

    Each bonded stretch of at least two residues with complete heavy atoms is a chain of its own with charged ends, so
    gaps stay open and nothing is invented; other residues and hetero atoms are fixed soft obstacles. Hydrogens and the
    terminal oxygens that templates need are internal. Forces are in the groups ``BONDED``, ``NONBONDED`` (charges
    scaled by the parameter ``charge_scale``), ``SOFT`` (soft spheres) and ``SOLVENT`` of ``physics.forces``.

    Args:
        protein: R = 1; decides protonation, disulfides, obstacles.
        mobile: (L,) bool; heavy atoms of other residues do not move. Residues bonded to obstacles, or to one another
            besides peptides and disulfides, must be among those (``connections.held_residues``).
        ph: at which hydrogens are added.
        solvent: add generalised Born solvent (OBC).

    Attributes:
        topology: of OpenMM, with hydrogens and without obstacles; system: of OpenMM, obstacles last.
        included: (L,) bool, residues that are in the topology.
        particle: (L, 15) of each slot of ``Protein.coords``, 14 is OXT; -1 where there is none.
        residue_of: (atoms of the topology,) residue index.

    Raises:
        EngineError: OpenMM cannot build the system.
    """

    def __init__(
        self,
        protein: Protein,
        mobile: NDArray[np.bool_],
        *,
        ph: float = 7.0,
        solvent: bool = True,
    ) -> None:
        self.included = _included(protein)
        if not self.included.any():
            raise EngineError("no bonded stretch of complete residues to relax")
        try:
            topology, start = _heavy_topology(protein, self.included)
            self.topology = protonated(topology, start, ph, _variants(protein, self.included))
            self.system = _amber14().createSystem(
                self.topology, nonbondedMethod=app.CutoffNonPeriodic, nonbondedCutoff=_CUTOFF_NM, removeCMMotion=False
            )
        except (ValueError, KeyError, ZeroDivisionError, openmm.OpenMMException) as error:
            raise EngineError(f"OpenMM could not set up {protein.name}: {error}") from error
        self._index_atoms(protein)
        self._hydrogens = HydrogenPlacer(self.topology)
        self._find_obstacles(protein)
        self._add_forces(protein, mobile, solvent)

    def _add_forces(self, protein: Protein, mobile: NDArray[np.bool_], solvent: bool) -> None:
        """Fixed atoms, obstacles, soft spheres; the solvent is kept back until ``open``."""
        nonbonded = next(f for f in self.system.getForces() if isinstance(f, openmm.NonbondedForce))
        nonbonded.setReactionFieldDielectric(1.0)
        self._solvent_force = self._solvent(nonbonded) if solvent else None
        for force in self.system.getForces():
            force.setForceGroup(NONBONDED if force is nonbonded else BONDED)
        nonbonded.setForceGroup(NONBONDED)
        for i in np.nonzero(self.included & ~mobile)[0].tolist():
            for particle in self.particle[i][self.particle[i] >= 0]:
                self.system.setParticleMass(int(particle), 0.0)
        self._add_obstacles(nonbonded, self._solvent_force, protein)
        self._ignore_fixed_pairs(nonbonded, protein)
        values = Nonbonded.of(nonbonded)
        self.system.addForce(soft_spheres(values))
        scalable_charges(nonbonded, values)

    def open(self, device: str, threads: int, restraints: Sequence[openmm.Force] = ()) -> tuple[str, openmm.Context]:
        """Name of the platform and a context of the system with ``restraints``, to which it gives the group ``BONDED``.

        May be called once: the system then owns the forces.

        Raises:
            EngineError: no platform of ``device`` works.
        """
        for force in restraints:
            force.setForceGroup(BONDED)
            self.system.addForce(force)
        if self._solvent_force is not None:
            self.system.addForce(self._solvent_force)
        return open_context(self.system, device, threads)

    def coordinates(self, x: NDArray[np.float64], protein: Protein) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Coordinates (L, 14, 3) and terminal oxygens (L, 3) of ``protein`` with its atoms at positions ``x``
        (particles, 3) in Å; what is not in the system stays.
        """
        coords, oxt = protein.coords[0].copy(), protein.oxt[0].copy()
        body = self.particle[:, :14]
        coords[body >= 0] = x[body[body >= 0]]
        ends = (self.particle[:, 14] >= 0) & protein.oxt_mask
        oxt[ends] = x[self.particle[ends, 14]]
        return coords, oxt

    def positions(self, protein: Protein) -> NDArray[np.float64]:
        """Positions (particles, 3) in Å; coincident heavy atoms are moved apart by a fixed tiny pattern."""
        x = np.zeros((self.topology.getNumAtoms(), 3))
        with_oxt = np.concatenate((protein.coords[0], protein.oxt[0][:, None]), axis=1).astype(np.float64)
        for i in np.nonzero((self.particle[:, 14] >= 0) & ~protein.oxt_mask)[0]:
            with_oxt[i, 14] = place_oxt(*with_oxt[i, :4])
        there = self.particle >= 0
        heavy = self.particle[there]
        obstacles = self._obstacles(protein)
        x[heavy] = separated(with_oxt[there], obstacles)
        return np.concatenate((self._hydrogens.place(x), obstacles))

    def _index_atoms(self, protein: Protein) -> None:
        """Particle of each slot (L, 15), -1 where there is none; slot 14 is OXT."""
        index = np.full((len(protein), 15), -1, dtype=np.int64)
        residues = np.nonzero(self.included)[0]
        for i, residue in zip(residues, self.topology.residues(), strict=True):
            names = {a.name: a.index for a in residue.atoms()}
            for k, name in enumerate(
                (*ATOM14[protein.sequence[i]], *[""] * (14 - len(ATOM14[protein.sequence[i]])), "OXT")
            ):
                index[i, k] = names.get(name, -1)
        self.particle = index
        self.residue_of = np.full(self.topology.getNumAtoms(), -1, dtype=np.int64)
        for i, residue in zip(residues, self.topology.residues(), strict=True):
            self.residue_of[[a.index for a in residue.atoms()]] = i

    def _find_obstacles(self, protein: Protein) -> None:
        """Atoms that stand in the way near the protein: residues left out (they keep each model's place) and hetero
        atoms.
        """
        left = np.argwhere(protein.mask & ~self.included[:, None])
        hetero = np.array([h.position for h in protein.hetero], dtype=np.float64).reshape(-1, 3)
        points = np.concatenate((protein.coords[0][left[:, 0], left[:, 1]].astype(np.float64), hetero))
        symbols = [ATOM14[protein.sequence[i]][k][0] for i, k in left] + [h.element for h in protein.hetero]
        own = protein.coords[0][protein.mask & self.included[:, None]].astype(np.float64)
        near = cKDTree(own).query(points)[0] < _HETERO_REACH if len(points) else np.zeros(0, dtype=np.bool_)
        self._left = left[near[: len(left)]]
        self._hetero = hetero[near[len(left) :]]
        self._obstacle_radii = radii(symbols)[near]

    def _obstacles(self, protein: Protein) -> NDArray[np.float64]:
        """Positions (H, 3) in Å of the obstacles in this model."""
        return np.concatenate((protein.coords[0][self._left[:, 0], self._left[:, 1]].astype(np.float64), self._hetero))

    def _solvent(self, nonbonded: openmm.NonbondedForce) -> openmm.GBSAOBCForce:
        """OBC solvent by OpenMM's native force (several times faster on CPU than the custom one of
        implicit/obc2.xml).
        """
        force = openmm.GBSAOBCForce()
        force.setNonbondedMethod(openmm.GBSAOBCForce.CutoffNonPeriodic)
        force.setCutoffDistance(_CUTOFF_NM)
        force.setSurfaceAreaEnergy(0.0)
        force.setForceGroup(SOLVENT)
        polar = {h.index for a, b in self.topology.bonds() for h, n in ((a, b), (b, a)) if n.element.symbol == "N"}
        for atom in self.topology.atoms():
            radius, scale = _GB[atom.element.symbol]
            if atom.element.symbol == "H" and atom.index in polar:
                radius = _GB_POLAR_HYDROGEN
            force.addParticle(nonbonded.getParticleParameters(atom.index)[0], radius * NM_PER_ANGSTROM, scale)
        return force

    def _add_obstacles(
        self, nonbonded: openmm.NonbondedForce, solvent: openmm.GBSAOBCForce | None, protein: Protein
    ) -> None:
        """Obstacles as fixed uncharged particles that do not feel one another."""
        obstacles = self._obstacles(protein)
        first = self.system.getNumParticles()
        for radius in self._obstacle_radii:
            self.system.addParticle(0.0)
            nonbonded.addParticle(0.0, 2 * 0.9 * radius * NM_PER_ANGSTROM / 2 ** (1 / 6), 0.1 * KJ_PER_KCAL)
            if solvent is not None:
                solvent.addParticle(0.0, 0.05, 1e-3)
        if len(obstacles):
            for a, b in cKDTree(obstacles).query_pairs(3.0, output_type="ndarray"):
                nonbonded.addException(first + int(a), first + int(b), 0.0, 0.1, 0.0)

    def _ignore_fixed_pairs(self, nonbonded: openmm.NonbondedForce, protein: Protein) -> None:
        """No forces between close atoms that cannot move: what is held is bonded there, to a metal, a sugar or the
        other end of a cycle, and its repulsion would drown the energies of what moves.
        """
        fixed = np.array([self.system.getParticleMass(n)._value == 0.0 for n in range(self.system.getNumParticles())])
        index = np.flatnonzero(fixed)
        if not len(index):
            return
        pairs = cKDTree(self.positions(protein)[index]).query_pairs(_FIXED_PAIR, output_type="ndarray")
        for a, b in index[pairs].tolist():
            nonbonded.addException(a, b, 0.0, 0.1, 0.0, replace=True)


@functools.cache
def _amber14() -> app.ForceField:
    """The protein force field, read once a process."""
    return app.ForceField("amber14/protein.ff14SB.xml")


def _variants(protein: Protein, included: NDArray[np.bool_]) -> list[str | None]:
    """Protonation of the included residues where metals and links decide it: thiolates as in disulfides, histidines
    with the hydrogen on the nitrogen that is free; None leaves it to the pH.
    """
    bound: dict[int, set[str]] = {}
    for one in protein.connections:
        for site in (one.first, one.second):
            if one.kind != "disulfide" and 4 < site.slot < 14 and site.residue >= 0:
                bound.setdefault(site.residue, set()).add(ATOM14[protein.sequence[site.residue]][site.slot])
    chosen: list[str | None] = []
    for i in np.flatnonzero(included).tolist():
        names = bound.get(i, set())
        if "SG" in names:
            chosen.append("CYX")
        elif "NE2" in names and protein.sequence[i] == "H":
            chosen.append("HID")
        elif "ND1" in names and protein.sequence[i] == "H":
            chosen.append("HIE")
        else:
            chosen.append(None)
    return chosen


def _included(protein: Protein) -> NDArray[np.bool_]:
    """Residues (L,) that have all heavy atoms and a bonded neighbour that has them too."""
    complete = np.array([bool(protein.mask[i, : len(ATOM14[aa])].all()) for i, aa in enumerate(protein.sequence)])
    joined = protein.bonded[:-1] & complete[:-1] & complete[1:]
    out = np.zeros(len(protein), dtype=np.bool_)
    out[:-1] |= joined
    out[1:] |= joined
    return out


def _heavy_topology(protein: Protein, included: NDArray[np.bool_]) -> tuple[app.Topology, NDArray[np.float64]]:
    """OpenMM topology of the included residues' heavy atoms, a chain for each bonded stretch, and positions (A, 3) in
    Å.
    """
    topology = app.Topology()
    position, sulfur, chain = [], {}, None
    for i in np.nonzero(included)[0].tolist():
        if i == 0 or not (protein.bonded[i - 1] and included[i - 1]):
            chain = topology.addChain()
        residue = topology.addResidue(ONE_TO_THREE[protein.sequence[i]], chain)
        for k, name in enumerate(ATOM14[protein.sequence[i]]):
            atom = topology.addAtom(name, app.Element.getBySymbol(name[0]), residue)
            position.append(protein.coords[0, i, k].astype(np.float64))
            if name == "SG":
                sulfur[i] = atom
        if not (protein.bonded[i] and included[i + 1]):
            topology.addAtom("OXT", app.element.oxygen, residue)
            backbone = protein.coords[0, i, :4].astype(np.float64)
            position.append(protein.oxt[0, i].astype(np.float64) if protein.oxt_mask[i] else place_oxt(*backbone))
    topology.createStandardBonds()
    for i, j in disulfide_pairs(protein):
        if i in sulfur and j in sulfur:
            topology.addBond(sulfur[i], sulfur[j])
    return topology, separated(np.array(position), np.zeros((0, 3)))


def separated(x: NDArray[np.float64], fixed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions with atoms closer than 0.05 Å to another or to ``fixed`` shifted by a fixed pattern of about 0.1 Å."""
    everything = np.concatenate((x, fixed))
    pairs = cKDTree(everything).query_pairs(0.05, output_type="ndarray")
    out = x.copy()
    for n in sorted(set(itertools.chain.from_iterable(pairs.tolist()))):
        if n < len(x):
            out[n] += 0.1 * np.array([np.cos(2.4 * n), np.sin(2.4 * n), np.cos(1.7 * n)])
    return out
