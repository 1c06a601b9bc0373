"""Langevin molecular dynamics in blocks, each of which begins from plain numbers: a run that was stopped goes on as if
it had not been.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit

from refine.errors import EngineError
from refine.physics.forces import BIAS

STEP_FS = 4.0
"""Step; with hydrogens of ``HYDROGEN_MASS`` and their bonds constrained."""
HYDROGEN_MASS = 3.0
"""Atomic mass units."""
REFERENCE_ATOMS = 40
"""Atoms below which the Reference platform is faster than the CPU platform (50 against 189 µs a step of 22 atoms)."""
PEPTIDE_FORCE_FIELD = ("amber99sbildn.xml", "amber99_obc.xml")
"""Of peptides given by sequence: ff99SB-ILDN with OBC solvent."""
_BEGIN_ITERATIONS = 200


def rigid_hydrogens() -> dict[str, Any]:
    """Options of ``ForceField.createSystem`` for steps of ``STEP_FS``."""
    return {"constraints": app.HBonds, "hydrogenMass": HYDROGEN_MASS * unit.amu}


def peptide_system(
    topology: app.Topology, forcefield: Sequence[str] = PEPTIDE_FORCE_FIELD, *, rigid: bool = True
) -> openmm.System:
    """System of a peptide without cutoff; ``rigid`` constrains bonds to hydrogen, which get ``HYDROGEN_MASS``.

    Raises:
        EngineError: the force field does not know a residue.
    """
    options = rigid_hydrogens() if rigid else {}
    try:
        return app.ForceField(*forcefield).createSystem(
            topology, nonbondedMethod=app.NoCutoff, removeCMMotion=False, **options
        )
    except (ValueError, openmm.OpenMMException) as error:
        raise EngineError(f"OpenMM could not set up the peptide: {error}") from error


@dataclasses.dataclass(frozen=True)
class Phase:
    """Where a simulation stands.

    Attributes:
        positions: (n, 3) nm; velocities: (n, 3) nm/ps.
    """

    positions: NDArray[np.float64]
    velocities: NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Block:
    """What a block of dynamics gave.

    Attributes:
        frames: (F, n, 3) float32 Å; bias: (F,) kcal/mol, energy of the forces in the group ``BIAS``.
        end: where it ended.
    """

    frames: NDArray[np.float32]
    bias: NDArray[np.float64]
    end: Phase


class Dynamics:
    """Langevin dynamics (BAOAB, ``openmm.LangevinMiddleIntegrator``) of one system.

    The noise of a block depends on the seed and on the number of the block alone, and each block begins with forces as
    they stand in the system then, neighbours listed anew: blocks are the same however they are spread over processes.

    Args:
        system: of OpenMM; it owns the bias forces, whose tables may change between blocks.
        temperature: K; friction: 1/ps; seed: of the noise.
        threads: of the CPU platform; small systems are computed on Reference.
        groups: force groups that act.

    Raises:
        EngineError: OpenMM cannot simulate the system.
    """

    def __init__(
        self,
        system: openmm.System,
        *,
        temperature: float = 300.0,
        friction: float = 1.0,
        seed: int = 0,
        threads: int = 1,
        groups: frozenset[int] | None = None,
    ) -> None:
        self.system, self.temperature, self._seed = system, temperature, seed
        self._integrator = openmm.LangevinMiddleIntegrator(temperature, friction, STEP_FS * 1e-3)
        if groups is not None:
            self._integrator.setIntegrationForceGroups(set(groups))
        small = system.getNumParticles() < REFERENCE_ATOMS
        self.platform = "Reference" if small else "CPU"
        properties = {} if small else {"Threads": str(threads), "DeterministicForces": "true"}
        platform = openmm.Platform.getPlatformByName(self.platform)
        try:
            self._context = openmm.Context(system, self._integrator, platform, properties)
        except openmm.OpenMMException as error:
            raise EngineError(f"OpenMM could not start the dynamics: {error}") from error

    def begin(self, positions: NDArray[np.float64]) -> Phase:
        """Minimise from positions (n, 3) Å, then draw velocities; raises EngineError where that fails."""
        try:
            self._context.setPositions(positions * 0.1)
            openmm.LocalEnergyMinimizer.minimize(self._context, 10.0, _BEGIN_ITERATIONS)
            self._context.setVelocitiesToTemperature(self.temperature, self._seed_of(-1))
        except openmm.OpenMMException as error:
            raise EngineError(f"OpenMM could not minimise the start: {error}") from error
        return self._phase()

    def run(self, begin: Phase, number: int, steps: int, every: int) -> Block:
        """Block ``number`` (from 0) of ``steps`` steps from ``begin``, a frame after each ``every``.

        Raises:
            EngineError: the dynamics blew up.
        """
        self._integrator.setRandomNumberSeed(self._seed_of(number))
        self._context.reinitialize()
        frames, bias = [], []
        try:
            self._context.setPositions(begin.positions)
            self._context.setVelocities(begin.velocities)
            for _ in range(steps // every):
                self._integrator.step(every)
                frames.append(self._context.getState(positions=True).getPositions(asNumpy=True)._value)
                energy = self._context.getState(energy=True, groups={BIAS}).getPotentialEnergy()
                bias.append(energy.value_in_unit(unit.kilocalories_per_mole))
        except openmm.OpenMMException as error:
            raise EngineError(f"the dynamics failed in block {number}: {error}") from error
        x = np.asarray(frames)
        if not np.isfinite(x).all():
            raise EngineError(f"the dynamics blew up in block {number}", remedy="Refine the input first (refine run)")
        return Block((10.0 * x).astype(np.float32), np.array(bias), self._phase())

    def _phase(self) -> Phase:
        state = self._context.getState(positions=True, velocities=True)
        return Phase(
            np.array(state.getPositions(asNumpy=True)._value), np.array(state.getVelocities(asNumpy=True)._value)
        )

    def _seed_of(self, number: int) -> int:
        """A seed of OpenMM, 1 to 2³¹ − 1 (0 would mean a random one)."""
        return 1 + int(np.random.SeedSequence((self._seed, number + 1)).generate_state(1, np.uint32)[0]) % (2**31 - 2)
