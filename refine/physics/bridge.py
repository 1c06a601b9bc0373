"""OpenMM as a differentiable energy for torch: its forces are the backward pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import openmm
import torch
from openmm import unit
from torch import Tensor

from refine.errors import EngineError
from refine.physics.forcefield import KJ_PER_KCAL, NM_PER_ANGSTROM

SMALL = 40
"""Particles up to which OpenMM's Reference platform is faster than its CPU platform: starting threads costs more than
the forces (measured on a peptide of 22 atoms with generalised Born solvent, 50 against 189 microseconds)."""


class OpenMMEnergy:
    """Energies (J,) in kcal/mol of configurations (J, N, 3) in Å, differentiable once.

    Configurations are evaluated one after the other: about 0.15 ms each for a peptide of 22 atoms.

    Args:
        system: of OpenMM, of N particles without virtual sites.
        threads: of the CPU platform, for systems of more than ``SMALL`` particles.
        longest: kcal/mol/Å to which the force on a particle is cut; overlapping atoms give forces beyond what float32
            holds.

    Raises:
        EngineError: OpenMM cannot open the system.
    """

    def __init__(self, system: openmm.System, threads: int = 1, longest: float = 1e12) -> None:
        self.particles = system.getNumParticles()
        self.longest = longest
        name = "Reference" if self.particles <= SMALL else "CPU"
        try:
            platform = openmm.Platform.getPlatformByName(name)
            properties = {} if name == "Reference" else {"Threads": str(threads), "DeterministicForces": "true"}
            self.context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform, properties)
        except openmm.OpenMMException as error:
            raise EngineError(f"OpenMM cannot open the system: {error}") from error

    def __call__(self, x: Tensor) -> Tensor:
        """Energies (J,) of ``x`` (J, N, 3), of its type and on its device.

        Raises:
            EngineError: an energy is not a number.
        """
        if x.ndim != 3 or x.shape[1:] != (self.particles, 3):
            raise ValueError(f"configurations of shape {tuple(x.shape)} for {self.particles} particles")
        energies: Tensor = _Evaluate.apply(x, self)  # type: ignore[no-untyped-call]
        return energies

    def evaluate(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Energies (J,) in kcal/mol and forces (J, N, 3) in kcal/mol/Å of positions (J, N, 3) in Å, float64."""
        energies, forces = np.zeros(len(x)), np.zeros_like(x)
        for j, positions in enumerate(x):
            self.context.setPositions(positions * NM_PER_ANGSTROM)
            state = self.context.getState(getEnergy=True, getForces=True)
            energies[j] = state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
            forces[j] = state.getForces(asNumpy=True)._value
        if not np.isfinite(energies).all():
            raise EngineError(
                f"the energy of configuration {int(np.flatnonzero(~np.isfinite(energies))[0])} is not a number",
                remedy="Two atoms may lie on each other: begin from separated ones",
            )
        forces *= NM_PER_ANGSTROM / KJ_PER_KCAL
        length = np.linalg.norm(forces, axis=-1, keepdims=True)
        return energies / KJ_PER_KCAL, forces * np.minimum(1.0, self.longest / np.maximum(length, 1e-300))


class _Evaluate(torch.autograd.Function):
    """One call of OpenMM gives both: energies forward, forces kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, source: OpenMMEnergy) -> Tensor:
        energies, forces = source.evaluate(x.detach().double().cpu().numpy())
        ctx.save_for_backward(torch.as_tensor(forces).to(x))
        return torch.as_tensor(energies).to(x)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (forces,) = ctx.saved_tensors
        return -upstream[:, None, None] * forces, None
