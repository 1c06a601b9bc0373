"""Statistics of the simulators against exact results, and what must never happen."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from refine.constants import BOLTZMANN
from refine.energy.free_energy import FreeEnergy
from refine.errors import EngineError
from refine.propagation.langevin import ACCELERATION, MASSES, baoab, limited, overdamped
from refine.propagation.schedules import Point
from refine.propagation.state import Simulator, State, seeded

ALL = torch.ones(40, dtype=torch.bool)


@dataclasses.dataclass(frozen=True)
class Well:
    """k/2 (x - 1)^2 on every coordinate."""

    stiffness: float
    name: str = "well"

    def __call__(self, coords: Tensor) -> Tensor:
        return 0.5 * self.stiffness * ((coords - 1.0) ** 2).sum((-1, -2))

    def at(self, coords: Tensor) -> Well:
        return self


@dataclasses.dataclass(frozen=True)
class DoubleWell:
    """h (x^2 - 1)^2 + tilt x on every coordinate."""

    height: float
    tilt: float
    name: str = "double"

    def __call__(self, coords: Tensor) -> Tensor:
        return (self.height * (coords**2 - 1) ** 2 + self.tilt * coords).sum((-1, -2))

    def at(self, coords: Tensor) -> DoubleWell:
        return self


@dataclasses.dataclass(frozen=True)
class Trap:
    """Not a number in replica 1 beyond 0.5 Å, flat elsewhere."""

    everywhere: bool = False
    name: str = "trap"

    def __call__(self, coords: Tensor) -> Tensor:
        bad = coords.detach().abs().amax((1, 2, 3)) > 0.5
        if not self.everywhere:
            bad[0] = False
        return (coords * 0).sum((-1, -2)) + torch.where(bad, math.nan, 0.0)[:, None]

    def at(self, coords: Tensor) -> Trap:
        return self


def run(
    simulator: Simulator, energy: FreeEnergy, point: Point, warm: int, steps: int, every: int, start: float = 1.0
) -> list[State]:
    coords = torch.full((64, 40, 4, 3), start, dtype=torch.float64)
    state, samples = simulator.init(energy, coords, seeded(0), point), []
    for i in range(warm + steps):
        state = simulator.step(state, point, False)
        if i >= warm and i % every == 0:
            samples.append(state)
    return samples


@pytest.mark.parametrize(("alpha_a", "alpha_b"), [(0.1, 0.01), (0.5, 0.01), (0.9, 0.2)])
def test_overdamped_has_the_exact_discrete_stationary_mean_and_variance(alpha_a: float, alpha_b: float) -> None:
    stiffness = 2.0
    samples = run(overdamped(ALL, math.inf), FreeEnergy((Well(stiffness),)), Point(alpha_a, alpha_b), 60, 400, 20)
    x = torch.stack([s.coords for s in samples])
    expected = alpha_b / (1 - (1 - alpha_a * stiffness) ** 2)
    # 20 snapshots of 30,720 coordinates; their correlation costs at most a factor of about two
    assert float(x.mean()) == pytest.approx(1.0, abs=5 * math.sqrt(2 * expected / x.numel()) + 1e-9)
    assert float(x.var()) == pytest.approx(expected, rel=0.02)


def test_step_and_noise_are_independent() -> None:
    samples = run(overdamped(ALL, math.inf), FreeEnergy((Well(2.0),)), Point(0.1, 0.0), 0, 200, 199, start=3.0)
    assert float(samples[-1].coords.std()) < 1e-12
    assert float(samples[-1].coords.mean()) == pytest.approx(1 + 2 * 0.8**200, abs=1e-12)
    samples = run(overdamped(ALL, math.inf), FreeEnergy((Well(2.0),)), Point(0.0, 0.04), 0, 26, 25)
    assert float(samples[-1].coords.var()) == pytest.approx(26 * 0.04, rel=0.03)  # free diffusion


def test_double_well_populations_follow_the_boltzmann_law() -> None:
    height, tilt, kt = 1.0, 0.25, 0.6
    alpha_a = 0.01
    energy = FreeEnergy((DoubleWell(height, tilt),))
    samples = run(overdamped(ALL, math.inf), energy, Point(alpha_a, 2 * alpha_a * kt), 1500, 1500, 100, start=0.0)
    right = torch.stack([s.coords > 0 for s in samples]).double().mean()
    grid = torch.linspace(-3, 3, 20001, dtype=torch.float64)
    weight = torch.exp(-(height * (grid**2 - 1) ** 2 + tilt * grid) / kt)
    expected = weight[grid > 0].sum() / weight.sum()
    assert 0.2 < float(expected) < 0.4
    assert float(right) == pytest.approx(float(expected), abs=0.012)


def test_baoab_has_the_right_positions_and_temperature() -> None:
    stiffness, temperature, dt = 100.0, 300.0, 0.004
    samples = run(baoab(ALL, dt, friction=20.0), FreeEnergy((Well(stiffness),)), Point(0, 0, temperature), 100, 400, 20)
    x = torch.stack([s.coords for s in samples])
    kt = BOLTZMANN * temperature
    assert float(x.var()) == pytest.approx(kt / stiffness, rel=0.02)  # exact for any stable time step
    for atom, mass in enumerate(MASSES):
        v = torch.stack([s.velocities[:, :, atom] for s in samples])
        frequency2 = stiffness * ACCELERATION / mass
        expected = kt * ACCELERATION / mass * (1 - frequency2 * dt**2 / 4)
        assert float((v**2).mean()) == pytest.approx(expected, rel=0.02), atom


def kinetic_temperature(state: State) -> float:
    """K, mean over replicas, from the velocities of all atoms; no degrees of freedom are taken off."""
    mass = torch.tensor(MASSES, dtype=state.velocities.dtype)[:, None]
    return float((mass * state.velocities**2).mean() / (ACCELERATION * BOLTZMANN))


def test_baoab_has_the_temperature_asked_for_and_follows_a_changed_one() -> None:
    energy, simulator = FreeEnergy((Well(5.0),)), baoab(ALL, 0.001, friction=100.0)
    state = simulator.init(energy, torch.ones(64, 40, 4, 3), seeded(0), Point(0, 0, 300.0))
    assert kinetic_temperature(state) == pytest.approx(300.0, rel=0.03)
    for _ in range(60):
        state = simulator.step(state, Point(0, 0, 600.0), False)
    assert kinetic_temperature(state) == pytest.approx(600.0, rel=0.03)


@pytest.mark.parametrize("make", [lambda m: overdamped(m), lambda m: baoab(m)])
def test_frozen_residues_keep_every_bit(make: object) -> None:
    mobile = ALL.clone()
    mobile[10:20] = False
    simulator = make(mobile)  # type: ignore[operator]
    coords = torch.randn(3, 40, 4, 3, generator=torch.Generator().manual_seed(0)) * 30
    state = simulator.init(FreeEnergy((Well(2.0),)), coords, seeded(0), Point(0.1, 0.1, 300.0))
    for _ in range(20):
        state = simulator.step(state, Point(0.1, 0.1, 300.0), True)
    assert state.coords[:, 10:20].numpy().tobytes() == coords[:, 10:20].numpy().tobytes()
    assert not torch.isclose(state.coords[:, :10], coords[:, :10], atol=1e-3).all(-1).any()


def test_drift_is_limited_residue_by_residue() -> None:
    drift = torch.zeros(1, 3, 4, 3)
    drift[0, 0, 1, 0], drift[0, 0, 2, 1], drift[0, 1, 3, 2] = 2.0, 1.0, 0.2
    short = limited(drift, 0.5)
    assert short[0, 0, 1, 0] == 0.5 and short[0, 0, 2, 1] == 0.25
    assert torch.equal(short[0, 1:], drift[0, 1:])


def test_a_failed_replica_goes_back_and_is_counted() -> None:
    simulator, point = overdamped(ALL), Point(0.1, 0.01)
    state = simulator.init(FreeEnergy((Trap(),)), torch.zeros(2, 40, 4, 3), seeded(0), point)
    for _ in range(40):
        state = simulator.step(state, point, True)
        assert torch.isfinite(state.table.total).all() and state.coords[1].abs().max() <= 0.5
    assert int(state.rejected[0]) == 0 and int(state.rejected[1]) > 5
    assert state.coords[0].abs().max() > 0.5


def test_a_run_that_never_moves_is_given_up_and_a_bad_start_named() -> None:
    simulator, point = overdamped(ALL), Point(0.1, 100.0)
    energy = FreeEnergy((Trap(everywhere=True),))
    state = simulator.init(energy, torch.zeros(2, 40, 4, 3), seeded(0), point)
    with pytest.raises(EngineError, match="no replica"):
        for _ in range(50):
            state = simulator.step(state, point, False)
    with pytest.raises(EngineError, match="'trap'.*number 1 of the model"):
        simulator.init(energy, torch.ones(2, 40, 4, 3), seeded(0), point)


def test_a_step_changes_no_earlier_state() -> None:
    simulator, point = overdamped(ALL), Point(0.1, 0.01)
    state = simulator.init(FreeEnergy((Well(2.0),)), torch.zeros(2, 40, 4, 3), seeded(0), point)
    before = (state.coords.clone(), state.rng.clone(), state.forces.clone())
    first, second = simulator.step(state, point, False), simulator.step(state, point, False)
    assert torch.equal(first.coords, second.coords)
    assert all(torch.equal(a, b) for a, b in zip(before, (state.coords, state.rng, state.forces), strict=True))
