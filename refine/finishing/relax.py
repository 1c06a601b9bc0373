"""Restrained minimisation with OpenMM: the backbone is held where the propagation put it, all else relaxes."""

from __future__ import annotations

import dataclasses
import logging
import time

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from refine.errors import EngineError
from refine.finishing.settings import FinishSettings
from refine.finishing.torsions import hand_force, methyl_force, ramachandran_force
from refine.physics.forcefield import KJ_PER_KCAL, NM_PER_ANGSTROM, ForceFieldSystem
from refine.physics.forces import BONDED, NONBONDED, SOFT, SOLVENT, TORSIONS
from refine.structure.peptides import cis_peptides, strained_trans
from refine.structure.protein import Protein

log = logging.getLogger(__name__)

SOLVENT_MAX_ATOMS = 8000
"""Atoms with hydrogens (about 500 residues) above which a CPU leaves the solvent step out: its cost grows with the
square.
"""
GUARD = 50.0
"""How many times harder the backbone of guarded residues is held than N, C, O of others, and at least as hard as CA."""
_ELSEWHERE = 50.0  # Å
_RESTRAINT, _FREE = "restraint_k", "restraint_flat"
_OMEGA_K = 20.0 * KJ_PER_KCAL
_OMEGA_K_REFINED = 40.0 * KJ_PER_KCAL  # a backbone held at its CA can twist its peptides, and the force field lets it
_OMEGA_K_STRAINED = 100.0 * KJ_PER_KCAL
"""Of strained trans peptides: more than the force field's barrier, behind which they would go cis."""
_AROUND_STRAINED = 2
"""Residues on either side of such a peptide that are not held where they are: trans is 0.85 Å longer than cis."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """One step of the minimisation ladder.

    Attributes:
        name: ``soft`` (bonded terms and soft spheres), ``gas`` (force field, damped charges), ``solvent`` (with OBC).
        coords: (L, 14, 3) float32 Å after it; ``oxt`` (L, 3); ``riders`` (n, 3), of ``Protein.riders``.
        energy_before, energy: kcal/mol of this stage's energy function.
        iterations: minimiser iterations used.
        seconds: wall time.
        end: ``done`` (converged or all iterations used), ``time`` or ``failed`` (coordinates are then those before it).
    """

    name: str
    coords: NDArray[np.float32]
    oxt: NDArray[np.float32]
    riders: NDArray[np.float64]
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

    def report(self, iteration: int, x: object, grad: object, args: object) -> bool:  # noqa: ARG002 (OpenMM's)
        self.iterations += 1
        self.stopped = time.monotonic() > self.deadline
        return self.stopped


class Relaxer:
    """Minimises many models of one protein in one ``ForceFieldSystem``.

    Args:
        protein: R = 1; decides protonation, disulfides, obstacles.
        settings: of the finishing stage.
        mobile: (L,) bool; heavy atoms of other residues do not move.

    Raises:
        EngineError: OpenMM cannot build the system, or the device asked for does not work.
    """

    def __init__(
        self,
        protein: Protein,
        settings: FinishSettings,
        mobile: NDArray[np.bool_],
    ) -> None:
        self.settings = settings
        self._forcefield = ForceFieldSystem(protein, mobile, ph=settings.ph, solvent=settings.solvent)
        self._restraint = self._backbone_restraint(mobile)
        self._omega = self._peptide_restraint(protein)
        self._forcefield.system.addForce(methyl_force(self._forcefield))
        self._forcefield.system.addForce(hand_force(protein, self._forcefield))
        if settings.ramachandran > 0:
            self._forcefield.system.addForce(ramachandran_force(protein, self._forcefield, settings.ramachandran))
        self.platform, self._context = self._forcefield.open(
            settings.device, settings.threads, (self._restraint, self._omega)
        )

    def _peptide_restraint(self, protein: Protein) -> openmm.PeriodicTorsionForce:
        """A torsion for every peptide bond of the system; its phase is set for each model."""
        included, p = self._forcefield.included, self._forcefield.particle
        force = openmm.PeriodicTorsionForce()
        self._omega_residues = [int(i) for i in np.nonzero(protein.bonded & included)[0] if included[i + 1]]
        for i in self._omega_residues:
            force.addTorsion(*(int(a) for a in (p[i, 1], p[i, 2], p[i + 1, 0], p[i + 1, 1])), 1, 0.0, _OMEGA_K)
        return force

    def _backbone_restraint(self, mobile: NDArray[np.bool_]) -> openmm.CustomExternalForce:
        """Flat-bottomed harmonic restraint on N, CA, C, O (CB of guarded residues, side chains of kept ones, riders
        last); positions are set for each model.
        """
        force = openmm.CustomExternalForce(
            f"0.5*weight*{_RESTRAINT}*max(0, sqrt((x-x0)^2+(y-y0)^2+(z-z0)^2+1e-10)-{_FREE})^2"
        )
        for name in (_RESTRAINT, _FREE):
            force.addGlobalParameter(name, 0.0)  # set for each model
        for name in ("x0", "y0", "z0", "weight"):
            force.addPerParticleParameter(name)
        moving = np.nonzero(self._forcefield.included & mobile)[0].tolist()
        self._held = [(i, k) for i in moving for k in range(14) if self._forcefield.particle[i, k] >= 0]
        for i, k in self._held:
            force.addParticle(int(self._forcefield.particle[i, k]), (0.0, 0.0, 0.0, 0.0))
        for particle in self._forcefield.rider_particles:
            force.addParticle(particle, (0.0, 0.0, 0.0, 0.0))
        return force

    def _ladder(self, *, settled: bool, refined: bool) -> tuple[_Step, ...]:
        bonded = (BONDED, TORSIONS) if refined else (BONDED,)
        if settled:
            return (_Step("gas", (*bonded, NONBONDED), 0.5, 60, 10.0),)
        steps = (
            _Step("soft", (*bonded, SOFT), 0.0, 60, 30.0),
            _Step("gas", (*bonded, NONBONDED), 0.5, 120, 10.0),
            _Step("solvent", (*bonded, NONBONDED, SOLVENT), 1.0, self.settings.max_iterations, 10.0),
        )
        return steps if self.with_solvent else steps[:2]

    @property
    def with_solvent(self) -> bool:
        """Whether the solvent step is run: asked for, and not too slow for this size and platform."""
        return self.settings.solvent and (
            self.platform != "CPU" or self._forcefield.topology.getNumAtoms() <= SOLVENT_MAX_ATOMS
        )

    def relax(
        self,
        protein: Protein,
        deadline: float,
        guarded: frozenset[int] = frozenset(),
        kept: frozenset[int] = frozenset(),
        restored: frozenset[int] = frozenset(),
        *,
        refined: bool = False,
        settled: bool = False,
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
            restored: residues all of whose atoms are held as hard as those of guarded ones.
            refined: hold as the settings have it for backbones that the propagation has refined.
            settled: its side chains are those of a relaxed model nearby; one short step without solvent is enough.

        Returns:
            the steps in order, each with its coordinates.

        Raises:
            EngineError: OpenMM fails outside the minimisation steps.
        """
        try:
            self._aim_at(protein, guarded, kept, restored, refined)
            return self._steps(protein, deadline, self._ladder(settled=settled, refined=refined))
        except openmm.OpenMMException as error:
            raise EngineError(f"OpenMM failed: {error}", remedy='Use device = "cpu" in [finishing]') from error

    def _aim_at(
        self,
        protein: Protein,
        guarded: frozenset[int],
        kept: frozenset[int],
        restored: frozenset[int],
        refined: bool,
    ) -> None:
        """Set what holds which atoms where."""
        s = self.settings
        hold, free = (s.refined_restraint, s.refined_flat_bottom) if refined else (s.restraint, s.flat_bottom)
        share = s.refined_share if refined else 1.0
        self._aim(protein, guarded, restored, share, kept, s.kept_side_chains / hold if hold > 0 else 0.0)
        self._aim_peptides(protein, _OMEGA_K_REFINED if refined else _OMEGA_K)
        self._context.setParameter(_RESTRAINT, hold * KJ_PER_KCAL / NM_PER_ANGSTROM**2)
        self._context.setParameter(_FREE, free * NM_PER_ANGSTROM)

    def _steps(self, protein: Protein, deadline: float, ladder: tuple[_Step, ...]) -> list[Stage]:
        x = self._forcefield.positions(protein)
        self._forget(x)
        stages: list[Stage] = []
        for step in ladder:
            if time.monotonic() >= deadline:
                there = (protein.coords[0], protein.oxt[0], protein.rider_places())
                stages.append(Stage(step.name, *there, np.nan, np.nan, 0, 0.0, "time"))
                break
            stage, x = self._run(step, protein, x, deadline)
            stages.append(stage)
            log.debug("%s: %s, %.0f → %.0f kcal/mol", protein.name, step.name, stage.energy_before, stage.energy)
        return stages

    def _forget(self, x: NDArray[np.float64]) -> None:
        """Make OpenMM list neighbours anew for positions ``x``: a list left by a model that ended nearby sums in
        another order.
        """
        self._context.setPositions((x + _ELSEWHERE) * NM_PER_ANGSTROM)
        self._energy((BONDED,))

    def _aim(
        self,
        protein: Protein,
        guarded: frozenset[int],
        restored: frozenset[int],
        share: float,
        kept: frozenset[int],
        kept_share: float,
    ) -> None:
        """Set the restraints to the positions of this model; N, C, O feel ``share`` of what CA does, side chains of
        ``kept`` residues ``kept_share``. Where a trans peptide is strained, what lies around it may move to make it
        flat.
        """
        ends = np.flatnonzero(strained_trans(protein))[:, None] + np.arange(1 - _AROUND_STRAINED, 1 + _AROUND_STRAINED)
        free = frozenset(ends.ravel().tolist())
        usual = (share, 1.0, share, share)
        for n, (i, k) in enumerate(self._held):
            if i in restored or (i in guarded and k < 5):
                weight = max(1.0, GUARD * share)
            elif i in free:
                weight = 0.0
            else:
                weight = usual[k] if k < 4 else kept_share if i in kept else 0.0
            place = (protein.coords[0, i, k].astype(float) * NM_PER_ANGSTROM).tolist()
            self._restraint.setParticleParameters(n, int(self._forcefield.particle[i, k]), (*place, weight))
        riders = zip(self._forcefield.riders, self._forcefield.rider_particles, strict=True)
        for n, (rider, particle) in enumerate(riders, len(self._held)):
            weight = max(1.0, GUARD * share) if rider.residue in restored else kept_share * (rider.residue in kept)
            place = (np.array(protein.hetero[rider.hetero].position) * NM_PER_ANGSTROM).tolist()
            self._restraint.setParticleParameters(n, particle, (*place, weight))
        self._restraint.updateParametersInContext(self._context)

    def _aim_peptides(self, protein: Protein, usual: float) -> None:
        """Hold the peptides of this model to their isomers, those that are not strained by ``usual`` kJ/mol."""
        cis, strained = cis_peptides(protein), strained_trans(protein)
        for n, i in enumerate(self._omega_residues):
            atoms = self._omega.getTorsionParameters(n)[:4]
            strength = _OMEGA_K_STRAINED if strained[i] else usual
            self._omega.setTorsionParameters(n, *atoms, 1, np.pi if cis[i] else 0.0, strength)
        self._omega.updateParametersInContext(self._context)

    def _energy(self, groups: tuple[int, ...]) -> float:
        state = self._context.getState(energy=True, groups=set(groups))
        return state.getPotentialEnergy().value_in_unit(unit.kilocalories_per_mole)

    def _run(
        self, step: _Step, protein: Protein, x: NDArray[np.float64], deadline: float
    ) -> tuple[Stage, NDArray[np.float64]]:
        begun, watch, after, before, energy = time.monotonic(), _Watch(deadline), x, np.nan, np.nan
        try:
            self._context.setPositions(x * NM_PER_ANGSTROM)
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
        coords, oxt = self._forcefield.coordinates(x, protein) if good else (protein.coords[0], protein.oxt[0])
        riders = self._forcefield.rider_places(x, protein) if good else protein.rider_places()
        return Stage(step.name, coords, oxt, riders, before, energy, watch.iterations, time.monotonic() - begun, end), x
