"""Minimisation of all replicas at once: FIRE (Bitzek et al. 2006) with a step limit."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from refine.energy.free_energy import FreeEnergy
from refine.propagation.langevin import hold, limited
from refine.propagation.schedules import Point
from refine.propagation.state import Simulator, State, advance, begin, seeded

_FIRST_STEP, _LONGEST_STEP = 0.02, 0.2  # pseudo time, for unit masses
_GROW, _SHRINK, _MIX, _MIX_DECAY, _DELAY = 1.1, 0.5, 0.1, 0.99, 5


def fire(mobile: Tensor, max_step: float = 0.1) -> Simulator:
    """Downhill motion with inertia that stops whenever it would climb; each replica has its own pace. ``Point`` is not
    used.

    Args:
        mobile: (L,) bool; the others never move.
        max_step: Å, longest move of any atom.
    """

    def init(energy: FreeEnergy, coords: Tensor, rng: Tensor, point: Point) -> State:
        state = begin(energy, coords, rng)
        memory = torch.tensor([_FIRST_STEP, _MIX, 0.0], dtype=coords.dtype, device=coords.device).expand(len(coords), 3)
        return dataclasses.replace(state, memory=memory.clone())

    def step(state: State, point: Point, refresh: bool) -> State:
        force = hold(state.forces, torch.zeros_like(state.forces), mobile)
        pace, mix, downhill = state.memory.unbind(1)
        going_down = (force * state.velocities).sum((1, 2, 3)) > 0
        patient = going_down & (downhill >= _DELAY)
        pace = torch.where(
            patient, (pace * _GROW).clamp_max(_LONGEST_STEP), torch.where(going_down, pace, pace * _SHRINK)
        )
        mix = torch.where(patient, mix * _MIX_DECAY, torch.where(going_down, mix, torch.full_like(mix, _MIX)))
        downhill = torch.where(going_down, downhill + 1, torch.zeros_like(downhill))
        scale = _norm(state.velocities) / _norm(force).clamp_min(1e-12)
        mixed = (1 - _wide(mix)) * state.velocities + _wide(mix) * scale * force
        velocities = torch.where(_wide(going_down), mixed, torch.zeros_like(mixed)) + _wide(pace) * force
        moved = hold(state.coords + limited(_wide(pace) * velocities, max_step), state.coords, mobile)
        new = advance(state, moved, state.rng, refresh, velocities)
        return dataclasses.replace(new, memory=torch.stack((pace, mix, downhill), 1))

    return Simulator(init, step)


def minimise(energy: FreeEnergy, coords: Tensor, mobile: Tensor, steps: int = 200, tolerance: float = 0.1) -> State:
    """The state after at most ``steps`` FIRE steps, earlier when no force on a mobile atom exceeds ``tolerance``
    kcal/mol/Å.

    Args:
        energy: what is lowered; its learned terms are evaluated at the start only.
        coords: (R, L, 4, 3) Å; mobile: (L,) bool.

    Raises:
        EngineError: energy or forces are not finite.
    """
    simulator, point = fire(mobile), Point(0.0, 0.0)
    state = simulator.init(energy, coords, seeded(0), point)
    for _ in range(steps):
        if float((state.forces * mobile[:, None, None]).norm(dim=-1).max()) < tolerance:
            break
        state = simulator.step(state, point, False)
    return state


def _wide(x: Tensor) -> Tensor:
    return x[:, None, None, None]


def _norm(x: Tensor) -> Tensor:
    return x.flatten(1).norm(dim=1)[:, None, None, None]
