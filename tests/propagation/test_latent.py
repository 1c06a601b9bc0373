"""Dynamics of a few coordinates: the metric, the potential that belongs to it, and the law they sample."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from refine.propagation.latent import LatentSystem, latent_langevin
from refine.propagation.metric import hinge, hinge_metric, inverse_metric, mean_force, metric_spread
from refine.propagation.state import seeded

KT = 2.494
MASSES = torch.tensor((12.0, 14.0, 16.0), dtype=torch.float64)


def hinges(count: int, seed: int = 0) -> Tensor:
    """Three points (count, 3, 3), nowhere near a line."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.tensor(((0.5, 0.0, 0.0), (0.0, 0.0, 0.0), (0.1, 0.5, 0.0)), dtype=torch.float64)
    return first + 0.08 * torch.randn(count, 3, 3, generator=generator, dtype=torch.float64)


def test_closed_form_of_the_hinge_metric_is_that_of_automatic_differentiation() -> None:
    x = hinges(200)
    closed = hinge_metric(torch.func.vmap(hinge)(x), MASSES)
    assert torch.allclose(inverse_metric(hinge, x, MASSES), closed, rtol=1e-10, atol=1e-12)


def test_mean_force_is_the_gradient_of_the_free_energy() -> None:
    """For a hinge whose energy is a function of its coordinates, A = U − kT ln(d1² d2²) and every estimate is exact."""

    def energy(q: Tensor) -> Tensor:
        return 40.0 * (q[..., 0] - 0.5) ** 2 + 30.0 * q[..., 1] ** 2 + 5.0 * q[..., 2] * q[..., 0]

    x = hinges(50).requires_grad_(True)
    (gradient,) = torch.autograd.grad(energy(torch.func.vmap(hinge)(x)).sum(), x)
    q = torch.func.vmap(hinge)(x.detach()).requires_grad_(True)
    free = energy(q) - 2 * KT * (q[:, 0].log() + q[:, 1].log())
    (expected,) = torch.autograd.grad(free.sum(), q)
    assert torch.allclose(mean_force(hinge, x.detach(), MASSES, gradient, KT), expected, rtol=1e-8, atol=1e-8)


def test_metric_spread_tells_a_function_of_the_coordinates_from_one_that_is_not() -> None:
    q = torch.func.vmap(hinge)(hinges(20_000))
    metric = hinge_metric(q, MASSES)
    assert metric_spread(q[:, 2:], metric[:, 2:, 2:]) > 0.1
    assert metric_spread(q, metric, bins=16) < 0.1
    with pytest.raises(ValueError, match="no bin"):
        metric_spread(q[:2], metric[:2])


def test_forces_are_minus_the_gradient_of_the_hamiltonian() -> None:
    system = LatentSystem(lambda q: (q**4).sum(-1), lambda q: hinge_metric(q, MASSES), KT)
    q = torch.func.vmap(hinge)(hinges(5))
    p = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def hamiltonian(q: Tensor, p: Tensor) -> Tensor:
        return 0.5 * torch.einsum("wi,wij,wj->w", p, system.metric(q), p) + system.potential(q)

    velocity, force = system.forces(q, p)
    for axis in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[axis] = 1e-5
        by_q = (hamiltonian(q + step, p) - hamiltonian(q - step, p)) / 2e-5
        by_p = (hamiltonian(q, p + step) - hamiltonian(q, p - step)) / 2e-5
        assert torch.allclose(-by_q, force[:, axis], rtol=1e-5, atol=1e-5)
        assert torch.allclose(by_p, velocity[:, axis], rtol=1e-6, atol=1e-6)


def squared_radius(printed: bool) -> LatentSystem:
    """Q = |x|² of a harmonic point in four dimensions, kT = 1: p ∝ Q exp(−Q/2), and R⁻¹ = 4 Q/m, m = 1.

    ``printed`` takes the potential of the paper instead, A + ½ kT ln det R⁻¹, whose law is p/Q = exp(−Q/2).
    """

    def free_energy(q: Tensor) -> Tensor:
        exact = 0.5 * q[:, 0] - q[:, 0].clamp_min(1e-9).log()
        return exact + (4 * q[:, 0]).clamp_min(1e-9).log() if printed else exact

    return LatentSystem(free_energy, lambda q: 4.0 * q[:, :, None], 1.0, lambda q: q[:, 0] > 1e-3)


def total_variation(system: LatentSystem, steps: int = 700) -> float:
    """Of Q against Q exp(−Q/2)/4 in 24 bins up to 12, from walkers that all begin at Q = 9."""
    simulator = latent_langevin(system, 0.08, 0.4)
    state = simulator.init(torch.full((1500, 1), 9.0, dtype=torch.float64), seeded(0))
    kept = []
    for step in range(steps):
        state = simulator.step(state)
        if step >= 150 and step % 5 == 0:
            kept.append(state.q[:, 0])
    assert state.outside < 0.02 * 1500 * steps
    q = torch.cat(kept)
    edges = torch.linspace(0, 12, 25, dtype=torch.float64)
    cumulative = 1 - torch.exp(-edges / 2) * (1 + edges / 2)
    exact = torch.cat((cumulative.diff(), 1 - cumulative[-1:]))
    found = torch.bincount(torch.bucketize(q, edges[1:], right=True), minlength=25).double() / len(q)
    return 0.5 * float((found - exact).abs().sum())


def test_right_potential_samples_the_exact_law_and_the_printed_one_does_not() -> None:
    right, printed = (total_variation(squared_radius(printed)) for printed in (False, True))
    assert right < 0.05
    assert printed > 0.2


def test_constant_metric_gives_exact_variances_of_coordinates_and_momenta() -> None:
    metric = torch.tensor(((0.5, 0.2), (0.2, 0.4)), dtype=torch.float64)
    precision = torch.tensor(((3.0, 1.0), (1.0, 2.0)), dtype=torch.float64)
    system = LatentSystem(lambda q: 0.5 * torch.einsum("wi,ij,wj->w", q, precision, q), metric, 1.0)
    simulator = latent_langevin(system, 0.2, 2.0)
    state = simulator.init(torch.zeros(4000, 2, dtype=torch.float64), seeded(3))
    q, p = [], []
    for step in range(600):
        state = simulator.step(state)
        if step >= 100 and step % 4 == 0:
            q.append(state.q)
            p.append(state.p)
    assert torch.allclose(torch.cov(torch.cat(q).T), torch.linalg.inv(precision), rtol=0.04, atol=0.01)
    assert torch.allclose(torch.cov(torch.cat(p).T), torch.linalg.inv(metric), rtol=0.04, atol=0.03)


def test_energy_is_kept_without_friction_and_a_wall_turns_the_walker_round() -> None:
    system = LatentSystem(lambda q: 20.0 * ((q - 0.5) ** 2).sum(-1), lambda q: hinge_metric(q, MASSES), KT)
    simulator = latent_langevin(system, 0.002, 0.0)
    state = simulator.init(torch.func.vmap(hinge)(hinges(20)), seeded(4))

    def energy() -> Tensor:
        return 0.5 * torch.einsum("wi,wij,wj->w", state.p, system.metric(state.q), state.p) + system.potential(state.q)

    before = energy()
    for _ in range(30):
        state = simulator.step(state)
    assert torch.allclose(energy(), before, atol=1e-4)
    walled = dataclasses.replace(system, inside=lambda q: torch.zeros(len(q), dtype=torch.bool))
    turned = latent_langevin(walled, 0.002, 0.0).step(state)
    assert torch.equal(turned.q, state.q) and torch.allclose(turned.p, -state.p)
    assert turned.outside == state.outside + 20 and math.isfinite(float(energy().sum()))


def test_same_seed_gives_the_same_walk() -> None:
    def walk(seed: int) -> Tensor:
        simulator = latent_langevin(squared_radius(False), 0.05, 0.5)
        state = simulator.init(torch.full((3, 1), 4.0, dtype=torch.float64), seeded(seed))
        for _ in range(5):
            state = simulator.step(state)
        return state.q

    assert torch.equal(walk(1), walk(1)) and not torch.equal(walk(1), walk(2))
