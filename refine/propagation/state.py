"""What a simulation carries from step to step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from refine.energy.free_energy import EnergyTable, FreeEnergy
from refine.errors import EngineError
from refine.propagation.schedules import Point

PATIENCE = 20
"""Steps in a row that every replica may fail before the run is given up."""


@dataclasses.dataclass(frozen=True)
class State:
    """R replicas at one moment; never changed in place.

    Attributes:
        coords: (R, L, 4, 3) Å; velocities: the same shape, Å/ps for Langevin (0 without inertia).
        energy: the free energy in force, with what its terms hold fixed; table and forces (kcal/mol/Å) are its values
            here.
        rng: state of the random generator (``torch.Generator.get_state``), always of a CPU generator.
        step: steps done.
        rejected: (R,) steps undone because energy or forces were not finite; stuck: (R,) of them in a row up to now.
    """

    coords: Tensor
    velocities: Tensor
    energy: FreeEnergy
    table: EnergyTable
    forces: Tensor
    rng: Tensor
    step: int
    rejected: Tensor
    stuck: Tensor


@dataclasses.dataclass(frozen=True)
class Simulator:
    """A way to move: ``init(energy, coords, rng, point)`` makes a state, ``step(state, point, refresh)`` the next."""

    init: Callable[[FreeEnergy, Tensor, Tensor, Point], State]
    step: Callable[[State, Point, bool], State]


def seeded(seed: int) -> Tensor:
    """Generator state of a seed; 0 is a seed like any other."""
    return torch.Generator().manual_seed(seed).get_state()


def normal(rng: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Standard normal numbers shaped as ``like``, drawn on the CPU on any device, and the generator's next state."""
    generator = torch.Generator()
    generator.set_state(rng)
    return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device), generator.get_state()


def begin(energy: FreeEnergy, coords: Tensor, rng: Tensor) -> State:
    """The state at rest at ``coords``, with the learned terms evaluated there.

    Raises:
        EngineError: energy or forces are not finite at the start; names the term and the residue number in the chain
            order.
    """
    coords = coords.detach().clone()
    energy = energy.at(coords)
    forces, table = energy.forces(coords)
    if not bool(_finite(forces, table).all()):
        raise _not_finite(table, forces)
    count = torch.zeros(coords.shape[0], dtype=torch.int64, device=coords.device)
    return State(coords, torch.zeros_like(coords), energy, table, forces, rng, 0, count, count)


def advance(state: State, coords: Tensor, rng: Tensor, refresh: bool, velocities: Tensor | None = None) -> State:
    """The state at new ``coords``; replicas whose energy or forces are not finite there go back and rest.

    Raises:
        EngineError: every replica has failed ``PATIENCE`` times in a row, or a failure remains after going back.
    """
    accepted = torch.isfinite(coords).flatten(1).all(1)
    proposed = torch.where(accepted[:, None, None, None], coords, state.coords)
    energy = state.energy.at(proposed) if refresh else state.energy
    forces, table = energy.forces(proposed)
    finite = _finite(forces, table)
    if not bool(finite.all()):
        proposed = torch.where(finite[:, None, None, None], proposed, state.coords)
        energy = state.energy.at(proposed) if refresh else state.energy
        forces, table = energy.forces(proposed)
        if not bool(_finite(forces, table).all()):
            raise _not_finite(table, forces)
    accepted = accepted & finite
    stuck = torch.where(accepted, torch.zeros_like(state.stuck), state.stuck + 1)
    if int(stuck.min()) >= PATIENCE:
        raise EngineError(
            f"no replica has made a step for {PATIENCE} steps", remedy="Use a smaller propagation.step_size"
        )
    speed = state.velocities if velocities is None else velocities
    speed = torch.where(accepted[:, None, None, None], speed, torch.zeros_like(speed))
    return State(proposed, speed, energy, table, forces, rng, state.step + 1, state.rejected + ~accepted, stuck)


def _finite(forces: Tensor, table: EnergyTable) -> Tensor:
    """(R,) bool."""
    return torch.isfinite(table.total) & torch.isfinite(forces).flatten(1).all(1)


def _not_finite(table: EnergyTable, forces: Tensor) -> EngineError:
    for name, value in table.per_residue.items():
        bad = torch.nonzero(~torch.isfinite(value))
        if len(bad):
            return EngineError(
                f"the energy term {name!r} is not finite",
                residue=f"number {int(bad[0, 1]) + 1} of the model",
                remedy="Check this residue",
            )
    bad = torch.nonzero(~torch.isfinite(forces).all(-1))
    return EngineError(
        "the force is not finite", residue=f"number {int(bad[0, 1]) + 1} of the model", remedy="Check this residue"
    )
