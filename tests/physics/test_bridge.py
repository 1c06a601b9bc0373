"""OpenMM in a backward pass of torch."""

from __future__ import annotations

import openmm
import pytest
import torch

from refine.errors import EngineError
from refine.physics.bridge import OpenMMEnergy


def four_particles() -> openmm.System:
    system = openmm.System()
    bonds, angles, charges = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce(), openmm.NonbondedForce()
    for i in range(4):
        system.addParticle(12.0)
        charges.addParticle(0.3 * (-1) ** i, 0.3, 0.4)
    for i in range(3):
        bonds.addBond(i, i + 1, 0.15, 2.0e4)
        charges.addException(i, i + 1, 0.0, 0.3, 0.0)
    angles.addAngle(0, 1, 2, 1.9, 300.0)
    for force in (bonds, angles, charges):
        system.addForce(force)
    return system


def configurations(count: int) -> torch.Tensor:
    line = torch.tensor(((0.0, 0, 0), (1.5, 0, 0), (2.0, 1.4, 0), (3.4, 1.5, 0.6)), dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    return line + 0.1 * torch.randn(count, 4, 3, generator=generator, dtype=torch.float64)


def test_gradient_is_that_of_finite_differences() -> None:
    energy = OpenMMEnergy(four_particles())
    x = configurations(3).requires_grad_(True)
    weights = torch.tensor((1.0, -2.0, 0.5), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((weights * energy(x)).sum(), x)
    for j, i, axis in ((0, 0, 0), (1, 2, 1), (2, 3, 2)):
        step = torch.zeros_like(x)
        step[j, i, axis] = 1e-4
        slope = (energy(x.detach() + step) - energy(x.detach() - step))[j] / 2e-4
        assert float(weights[j] * slope) == pytest.approx(float(gradient[j, i, axis]), rel=1e-5, abs=1e-5)


def test_energies_are_in_kcal_and_a_longer_bond_costs_what_the_spring_says() -> None:
    system = openmm.System()
    bond = openmm.HarmonicBondForce()
    for _ in range(2):
        system.addParticle(12.0)
    bond.addBond(0, 1, 0.15, 2.0e4)
    system.addForce(bond)
    x = torch.tensor((((0.0, 0, 0), (1.6, 0, 0)),))
    energy = OpenMMEnergy(system)(x)
    assert energy.dtype == x.dtype
    assert float(energy) == pytest.approx(0.5 * 2.0e4 * 0.01**2 / 4.184, rel=1e-5)


def test_long_forces_are_cut_and_bad_input_is_refused() -> None:
    energy = OpenMMEnergy(four_particles(), longest=5.0)
    near = configurations(1)
    near[0, 3] = near[0, 0] + 0.2
    assert float(torch.tensor(energy.evaluate(near.numpy())[1]).norm(dim=-1).max()) <= 5.0 + 1e-9
    with pytest.raises(ValueError, match="shape"):
        energy(torch.zeros(2, 3, 3))
    with pytest.raises(EngineError, match="not a number"):
        energy(torch.full((1, 4, 3), float("nan")))
