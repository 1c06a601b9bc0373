"""Restrained minimisation with OpenMM: amber14 protein force field, OBC solvent, backbone held where the engine put
it.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import time

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit
from scipy.spatial import cKDTree

from refine.constants import ATOM14, ONE_TO_THREE
from refine.errors import EngineError
from refine.finishing.checks import CIS_LIMIT, omega
from refine.finishing.hydrogens import HydrogenPlacer, terminal_oxygen
from refine.finishing.settings import FinishSettings
from refine.physics.forces import SOFT, scalable_charges, soft_spheres
from refine.physics.platform import open_context
from refine.structure.chemistry import radii
from refine.structure.protein import Protein

log = logging.getLogger(__name__)

KJ_PER_KCAL = 4.184
_NM = 0.1
_CUTOFF_NM = 1.0
SOLVENT_MAX_ATOMS = 8000
"""Atoms with hydrogens (about 500 residues) above which a CPU leaves the solvent step out: its cost grows with the
square.
"""
GUARD = 50.0
"""How many times harder the backbone of guarded residues is held than N, C, O of others, and at least as hard as CA."""
_HETERO_REACH = 12.0
_ELSEWHERE = 50.0  # Å
_RESTRAINT, _FREE = "restraint_k", "restraint_flat"
_OMEGA_K = 20.0 * KJ_PER_KCAL  # a backbone held at its CA can twist its peptides, and the force field alone lets it
_BONDED, _NONBONDED, _SOLVENT = 0, 1, 3
# OBC radii in Å and scales by element (Onufriev, Bashford & Case 2004; mbondi2: hydrogen on nitrogen 1.3).
_GB = {"H": (1.2, 0.85), "C": (1.7, 0.72), "N": (1.55, 0.79), "O": (1.5, 0.85), "S": (1.8, 0.96)}
_GB_POLAR_HYDROGEN = 1.3
_METALS_COORDINATE = 2.7
_COVALENT = 1.75


@dataclasses.dataclass(frozen=True)
class Stage:
    """One step of the minimisation ladder.

    Attributes:
        name: ``soft`` (bonded terms and soft spheres), ``gas`` (force field, damped charges), ``solvent`` (with OBC).
        coords: (L, 14, 3) float32 Å after it; ``oxt`` (L, 3).
        energy_before, energy: kcal/mol of this stage's energy function.
        iterations: minimiser iterations used.
        seconds: wall time.
        end: ``done`` (converged or all iterations used), ``time`` or ``failed`` (coordinates are then those before it).
    """

    name: str
    coords: NDArray[np.float32]
    oxt: NDArray[np.float32]
    energy_before: float
    energy: float
    iterations: int
    seconds: float
    end: str


@dataclasses.dataclass(frozen=True)
class _Step:
    name: str
    groups: tuple[int, ...]
    charge_scale: float
    iterations: int
    tolerance: float
    """kJ/(mol nm), root mean square force at which the minimiser stops."""


class _Watch(openmm.MinimizationReporter):
    """Counts iterations and stops the minimiser at a deadline."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline, self.iterations, self.stopped = deadline, 0, False

    def report(self, iteration: int, x: object, grad: object, args: object) -> bool:  # noqa: ARG002 (OpenMM's signature)
        self.iterations += 1
        self.stopped = time.monotonic() > self.deadline
        return self.stopped


class Relaxer:
    """The OpenMM system of one protein, built once and used for many models of it.

    Each bonded stretch of at least two residues with complete heavy atoms is a chain of its own with charged ends, so
    gaps stay open and nothing is invented; other residues and hetero atoms are fixed soft obstacles. Hydrogens and the
    terminal oxygens that templates need are internal.

    Args:
        protein: R = 1; decides protonation, disulfides, obstacles.
        ss_bonds: bonded cysteine pairs.
        settings: of the finishing stage.
        mobile: (L,) bool; heavy atoms of other residues do not move.

    Raises:
        EngineError: OpenMM cannot build the system, or the device asked for does not work.
    """

    def __init__(
        self,
        protein: Protein,
        ss_bonds: tuple[tuple[int, int], ...],
        settings: FinishSettings,
        mobile: NDArray[np.bool_],
    ) -> None:
        self.settings = settings
        self.included = _included(protein)
        if not self.included.any():
            raise EngineError("no bonded stretch of complete residues to relax")
        try:
            topology, start = _heavy_topology(protein, self.included, ss_bonds)
            modeller = app.Modeller(topology, start * _NM * unit.nanometer)
            modeller.addHydrogens(pH=settings.ph, platform=openmm.Platform.getPlatformByName("CPU"))
            self._topology = modeller.topology
            forcefield = app.ForceField("amber14/protein.ff14SB.xml")
            system = forcefield.createSystem(
                self._topology, nonbondedMethod=app.CutoffNonPeriodic, nonbondedCutoff=_CUTOFF_NM, removeCMMotion=False
            )
        except (ValueError, KeyError, ZeroDivisionError, openmm.OpenMMException) as error:
            raise EngineError(f"OpenMM could not set up {protein.name}: {error}") from error
        self._index_atoms(protein)
        self._hydrogens = HydrogenPlacer(self._topology)
        self._find_obstacles(protein)
        self._prepare(system, protein, mobile)
        self.platform, self._context = open_context(system, settings.device, settings.threads)

    def _index_atoms(self, protein: Protein) -> None:
        """Particle of each slot (L, 15), -1 where there is none; slot 14 is OXT."""
        index = np.full((len(protein), 15), -1, dtype=np.int64)
        residues = np.nonzero(self.included)[0]
        for i, residue in zip(residues, self._topology.residues(), strict=True):
            names = {a.name: a.index for a in residue.atoms()}
            for k, name in enumerate(
                (*ATOM14[protein.sequence[i]], *[""] * (14 - len(ATOM14[protein.sequence[i]])), "OXT")
            ):
                index[i, k] = names.get(name, -1)
        self._particle = index
        self._residue_of = np.full(self._topology.getNumAtoms(), -1, dtype=np.int64)
        for i, residue in zip(residues, self._topology.residues(), strict=True):
            self._residue_of[[a.index for a in residue.atoms()]] = i

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

    def _prepare(self, system: openmm.System, protein: Protein, mobile: NDArray[np.bool_]) -> None:
        """Add fixed atoms, obstacles, solvent, soft spheres and restraints to the force field's system."""
        nonbonded = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
        nonbonded.setReactionFieldDielectric(1.0)
        solvent = self._solvent(nonbonded) if self.settings.solvent else None
        for force in system.getForces():
            force.setForceGroup(_NONBONDED if force is nonbonded else _BONDED)
        nonbonded.setForceGroup(_NONBONDED)
        for i in np.nonzero(self.included & ~mobile)[0].tolist():
            for particle in self._particle[i][self._particle[i] >= 0]:
                system.setParticleMass(int(particle), 0.0)
        self._add_obstacles(system, nonbonded, solvent, protein)
        system.addForce(soft_spheres(nonbonded))
        scalable_charges(nonbonded)
        self._restraint = self._backbone_restraint(mobile)
        self._omega = openmm.PeriodicTorsionForce()
        self._omega_residues = [int(i) for i in np.nonzero(protein.bonded & self.included)[0] if self.included[i + 1]]
        p = self._particle
        for i in self._omega_residues:
            self._omega.addTorsion(*(int(a) for a in (p[i, 1], p[i, 2], p[i + 1, 0], p[i + 1, 1])), 1, 0.0, _OMEGA_K)
        for force in (self._restraint, self._omega):
            force.setForceGroup(_BONDED)
            system.addForce(force)
        if solvent is not None:
            system.addForce(solvent)

    def _solvent(self, nonbonded: openmm.NonbondedForce) -> openmm.GBSAOBCForce:
        """OBC solvent by OpenMM's native force (several times faster on CPU than the custom one of
        implicit/obc2.xml).
        """
        force = openmm.GBSAOBCForce()
        force.setNonbondedMethod(openmm.GBSAOBCForce.CutoffNonPeriodic)
        force.setCutoffDistance(_CUTOFF_NM)
        force.setSurfaceAreaEnergy(0.0)
        force.setForceGroup(_SOLVENT)
        polar = {h.index for a, b in self._topology.bonds() for h, n in ((a, b), (b, a)) if n.element.symbol == "N"}
        for atom in self._topology.atoms():
            radius, scale = _GB[atom.element.symbol]
            if atom.element.symbol == "H" and atom.index in polar:
                radius = _GB_POLAR_HYDROGEN
            force.addParticle(nonbonded.getParticleParameters(atom.index)[0], radius * _NM, scale)
        return force

    def _add_obstacles(
        self,
        system: openmm.System,
        nonbonded: openmm.NonbondedForce,
        solvent: openmm.GBSAOBCForce | None,
        protein: Protein,
    ) -> None:
        """Obstacles as fixed uncharged particles; pairs that are bonded or coordinated in the input do not repel."""
        obstacles = self._obstacles(protein)
        if not len(obstacles):
            return
        first = system.getNumParticles()
        for radius in self._obstacle_radii:
            system.addParticle(0.0)
            nonbonded.addParticle(0.0, 2 * 0.9 * radius * _NM / 2 ** (1 / 6), 0.1 * KJ_PER_KCAL)
            if solvent is not None:
                solvent.addParticle(0.0, 0.05, 1e-3)
        tree = cKDTree(obstacles)
        for a, b in tree.query_pairs(3.0, output_type="ndarray"):
            nonbonded.addException(first + int(a), first + int(b), 0.0, 0.1, 0.0)
        present = np.argwhere((self._particle[:, :14] >= 0) & protein.mask)
        position = protein.coords[0][present[:, 0], present[:, 1]].astype(np.float64)
        linked: set[tuple[int, int]] = set()
        for (i, k), nearby, d in zip(
            present, tree.query_ball_point(position, _METALS_COORDINATE), position, strict=True
        ):
            symbol = ATOM14[protein.sequence[i]][k][0]
            for h in nearby:
                far = np.linalg.norm(obstacles[h] - d)
                metal = symbol in "NOS" and self._obstacle_radii[h] == radii(["ZN"])[0]
                if far < _COVALENT + 0.2 * (symbol == "S") or metal:
                    linked |= {(int(a), first + int(h)) for a in np.nonzero(self._residue_of == i)[0]}
        for a, h in sorted(linked):
            nonbonded.addException(a, h, 0.0, 0.1, 0.0)

    def _backbone_restraint(self, mobile: NDArray[np.bool_]) -> openmm.CustomExternalForce:
        """Flat-bottomed harmonic restraint on N, CA, C, O (CB of guarded residues, side chains of kept ones); positions
        are set for each model.
        """
        force = openmm.CustomExternalForce(
            f"0.5*weight*{_RESTRAINT}*max(0, sqrt((x-x0)^2+(y-y0)^2+(z-z0)^2+1e-10)-{_FREE})^2"
        )
        for name in (_RESTRAINT, _FREE):
            force.addGlobalParameter(name, 0.0)  # set for each model
        for name in ("x0", "y0", "z0", "weight"):
            force.addPerParticleParameter(name)
        moving = np.nonzero(self.included & mobile)[0].tolist()
        self._held = [(i, k) for i in moving for k in range(14) if self._particle[i, k] >= 0]
        for i, k in self._held:
            force.addParticle(int(self._particle[i, k]), (0.0, 0.0, 0.0, 0.0))
        return force

    def _ladder(self) -> tuple[_Step, ...]:
        steps = (
            _Step("soft", (_BONDED, SOFT), 0.0, 60, 30.0),
            _Step("gas", (_BONDED, _NONBONDED), 0.5, 120, 10.0),
            _Step("solvent", (_BONDED, _NONBONDED, _SOLVENT), 1.0, self.settings.max_iterations, 10.0),
        )
        return steps if self.with_solvent else steps[:2]

    @property
    def with_solvent(self) -> bool:
        """Whether the solvent step is run: asked for, and not too slow for this size and platform."""
        return self.settings.solvent and (self.platform != "CPU" or self._topology.getNumAtoms() <= SOLVENT_MAX_ATOMS)

    def relax(
        self,
        protein: Protein,
        deadline: float,
        guarded: frozenset[int] = frozenset(),
        kept: frozenset[int] = frozenset(),
        *,
        refined: bool = False,
    ) -> list[Stage]:
        """Minimise replica 0 of ``protein`` step by step until the ladder ends or ``time.monotonic()`` reaches
        ``deadline``.

        The steps are soft spheres, force field without solvent and damped charges, force field with solvent. A step
        that fails leaves the coordinates as they were and the next one starts from there. Not reaching convergence is
        no error.

        Args:
            protein: R = 1, same residues and atoms as the protein the system was built for.
            deadline: when to stop, on the clock of ``time.monotonic()``.
            guarded: residues whose N, CA, C, O and CB are held harder (``GUARD``), to keep their stereochemistry.
            kept: residues whose side chains are held by ``kept_side_chains`` of the settings.
            refined: hold as the settings have it for backbones that the propagation has refined.

        Returns:
            the steps in order, each with its coordinates.
        """
        x = self._positions(protein)
        s = self.settings
        hold, free = (s.refined_restraint, s.refined_flat_bottom) if refined else (s.restraint, s.flat_bottom)
        share = s.refined_share if refined else 1.0
        self._aim(protein, guarded, share, kept, s.kept_side_chains / hold if hold > 0 else 0.0)
        self._context.setParameter(_RESTRAINT, hold * KJ_PER_KCAL / _NM**2)
        self._context.setParameter(_FREE, free * _NM)
        self._forget(x)
        stages: list[Stage] = []
        for step in self._ladder():
            if time.monotonic() >= deadline:
                stages.append(Stage(step.name, protein.coords[0], protein.oxt[0], np.nan, np.nan, 0, 0.0, "time"))
                break
            stage, x = self._run(step, protein, x, deadline)
            stages.append(stage)
            log.debug("%s: %s, %.0f → %.0f kcal/mol", protein.name, step.name, stage.energy_before, stage.energy)
        return stages

    def _forget(self, x: NDArray[np.float64]) -> None:
        """Make OpenMM list neighbours anew for positions ``x``: a list left by a model that ended nearby sums in
        another order.
        """
        self._context.setPositions((x + _ELSEWHERE) * _NM)
        self._energy((_BONDED,))

    def _positions(self, protein: Protein) -> NDArray[np.float64]:
        """Positions (particles, 3) in Å; coincident heavy atoms are moved apart by a fixed tiny pattern."""
        x = np.zeros((self._topology.getNumAtoms(), 3))
        with_oxt = np.concatenate((protein.coords[0], protein.oxt[0][:, None]), axis=1).astype(np.float64)
        for i in np.nonzero((self._particle[:, 14] >= 0) & ~protein.oxt_mask)[0]:
            with_oxt[i, 14] = terminal_oxygen(*with_oxt[i, 1:4])
        there = self._particle >= 0
        heavy = self._particle[there]
        obstacles = self._obstacles(protein)
        x[heavy] = separated(with_oxt[there], obstacles)
        return np.concatenate((self._hydrogens.place(x), obstacles))

    def _aim(
        self, protein: Protein, guarded: frozenset[int], share: float, kept: frozenset[int], kept_share: float
    ) -> None:
        """Set the restraints to the positions and peptide isomers of this model; N, C, O feel ``share`` of what CA
        does, side chains of ``kept`` residues ``kept_share``.
        """
        usual = (share, 1.0, share, share)
        for n, (i, k) in enumerate(self._held):
            weight = usual[k] if k < 4 else kept_share if i in kept else 0.0
            if i in guarded and k < 5:
                weight = max(1.0, GUARD * share)
            place = (protein.coords[0, i, k].astype(float) * _NM).tolist()
            self._restraint.setParticleParameters(n, int(self._particle[i, k]), (*place, weight))
        self._restraint.updateParametersInContext(self._context)
        angle = omega(protein)
        for n, i in enumerate(self._omega_residues):
            atoms = self._omega.getTorsionParameters(n)[:4]
            self._omega.setTorsionParameters(n, *atoms, 1, np.pi if abs(angle[i]) < CIS_LIMIT else 0.0, _OMEGA_K)
        self._omega.updateParametersInContext(self._context)

    def _energy(self, groups: tuple[int, ...]) -> float:
        state = self._context.getState(energy=True, groups=set(groups))
        return state.getPotentialEnergy().value_in_unit(unit.kilocalories_per_mole)

    def _run(
        self, step: _Step, protein: Protein, x: NDArray[np.float64], deadline: float
    ) -> tuple[Stage, NDArray[np.float64]]:
        begun, watch, after, before, energy = time.monotonic(), _Watch(deadline), x, np.nan, np.nan
        try:
            self._context.setPositions(x * _NM)
            self._context.setParameter("charge_scale", step.charge_scale)
            self._context.getIntegrator().setIntegrationForceGroups(set(step.groups))
            before = self._energy(step.groups)
            openmm.LocalEnergyMinimizer.minimize(self._context, step.tolerance, step.iterations, watch)
            energy = self._energy(step.groups)
            after = self._context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.angstrom)
        except openmm.OpenMMException as error:
            log.info("%s: minimisation step %s failed: %s", protein.name, step.name, error)
        good = np.isfinite(energy) and bool(np.isfinite(after).all()) and not energy > before
        x = np.asarray(after, dtype=np.float64) if good else x
        end = "failed" if not good else "time" if watch.stopped else "done"
        coords, oxt = protein.coords[0].copy(), protein.oxt[0].copy()
        body = self._particle[:, :14]
        if good:
            coords[body >= 0] = x[body[body >= 0]]
            ends = (self._particle[:, 14] >= 0) & protein.oxt_mask
            oxt[ends] = x[self._particle[ends, 14]]
        return Stage(step.name, coords, oxt, before, energy, watch.iterations, time.monotonic() - begun, end), x


def _included(protein: Protein) -> NDArray[np.bool_]:
    """Residues (L,) that have all heavy atoms and a bonded neighbour that has them too."""
    complete = np.array([bool(protein.mask[i, : len(ATOM14[aa])].all()) for i, aa in enumerate(protein.sequence)])
    joined = protein.bonded[:-1] & complete[:-1] & complete[1:]
    out = np.zeros(len(protein), dtype=np.bool_)
    out[:-1] |= joined
    out[1:] |= joined
    return out


def _heavy_topology(
    protein: Protein, included: NDArray[np.bool_], ss_bonds: tuple[tuple[int, int], ...]
) -> tuple[app.Topology, NDArray[np.float64]]:
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
            ca_c_o = protein.coords[0, i, 1:4].astype(np.float64)
            position.append(protein.oxt[0, i].astype(np.float64) if protein.oxt_mask[i] else terminal_oxygen(*ca_c_o))
    topology.createStandardBonds()
    for i, j in ss_bonds:
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
