"""Langevin simulators: the overdamped equation (3), plain and preconditioned, and BAOAB with inertia."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from refine.constants import BOLTZMANN
from refine.energy.curvature import curved_part, moved_rigidly, rigid_moves
from refine.energy.free_energy import FreeEnergy
from refine.propagation.constraints import Constraints
from refine.propagation.schedules import Point
from refine.propagation.state import Simulator, State, advance, begin, normal
from refine.propagation.torsions import TorsionSpace

ACCELERATION = 418.4
"""Å/ps^2 of one kcal/mol/Å on one g/mol."""
MASSES = (14.007, 12.011, 12.011, 15.999)
"""g/mol of N, CA, C, O."""


def hold(moved: Tensor, still: Tensor, mobile: Tensor) -> Tensor:
    """``moved`` where ``mobile`` (L,), elsewhere the very bits of ``still``; both (R, L, 4, 3)."""
    return torch.where(mobile[:, None, None], moved, still)


def limited(drift: Tensor, longest: float) -> Tensor:
    """Drift (R, L, 4, 3) with each residue's four vectors shortened together so that none exceeds ``longest`` Å."""
    if math.isinf(longest):
        return drift
    length = drift.norm(dim=-1).amax(-1)[..., None, None]
    return drift * (longest / length.clamp_min(longest))


def _heated(noise: Tensor, heat: Tensor | None) -> Tensor:
    """Noise (R, L, 4, 3) with the variance of residue i times ``heat`` (L,); None is 1 everywhere."""
    return noise if heat is None else heat.sqrt()[:, None, None] * noise


def _settled(
    state: State,
    moved: Tensor,
    point: Point,
    refresh: bool,
    mobile: Tensor,
    constraints: Constraints | None,
    sweeps: int,
    heat: Tensor | None,
    torsions: TorsionSpace | None,
) -> State:
    """The end of an overdamped step: noise, what must not move put back, bonded geometry kept or restored."""
    rng = state.rng
    if point.alpha_b > 0:
        noise, rng = normal(state.rng, state.coords)
        moved = moved + math.sqrt(point.alpha_b) * _heated(noise, heat)
    moved = hold(moved, state.coords, mobile)
    if torsions is not None:
        moved = hold(torsions.follow(state.coords, moved), state.coords, mobile)
    if constraints is not None:
        free = mobile if torsions is None else torsions.border
        moved = hold(constraints.restore(moved, free, sweeps), state.coords, mobile)
    return advance(state, moved, rng, refresh)


def _started(
    coords: Tensor, mobile: Tensor, constraints: Constraints | None, sweeps: int, torsions: TorsionSpace | None
) -> Tensor:
    """The start (R, L, 4, 3), its bonded geometry restored where the steps that follow will keep it."""
    if torsions is None or constraints is None:
        return coords
    return hold(constraints.restore(coords, mobile, sweeps), coords, mobile)


def overdamped(
    mobile: Tensor,
    max_step: float = 0.3,
    constraints: Constraints | None = None,
    sweeps: int = 0,
    heat: Tensor | None = None,
    torsions: TorsionSpace | None = None,
) -> Simulator:
    """X ← X − α_a ∂F/∂X + ε, ε ~ N(0, α_b) on every coordinate: equation (3), with independent α_a and α_b.

    In a harmonic well of stiffness k its stationary variance is α_b / (1 − (1 − α_a k)^2) as long as no step meets the
    limit.

    A learned drift moves residues by some tenths of an Å, while bonds (k in the hundreds) allow plain steps only up to
    α_a = 2/λ_max, about 0.001 (measured at a clashing model). The step is therefore split: the drift comes from the
    terms that are not implicit, and ``constraints.restore`` then acts in place of the stiff ones, as an implicit step
    of a flat-bottomed and otherwise infinitely stiff bonded energy would (a proximal step), stable for any α_a. Where
    no bond leaves its tolerance the projection does nothing and the step is equation (3) to the bit.

    Args:
        mobile: (L,) bool; the others never move.
        max_step: Å, see ``limited``; infinity switches the limit off.
        constraints: bonded distances to restore after each step; their terms become implicit.
        sweeps: how often; 0 is off.
        heat: (L,) factor on the variance of each residue's noise, its temperature over that of the run; None is 1.
        torsions: move these by what is nearest to the step, see there; None moves the atoms. The projection then acts
            on the start, and beside residues that do not move.
    """
    projected = constraints is not None and sweeps > 0

    def init(energy: FreeEnergy, coords: Tensor, rng: Tensor, point: Point) -> State:
        if constraints is not None and projected:
            energy = energy.with_implicit(constraints.replaces)
        return begin(energy, _started(coords, mobile, constraints, sweeps, torsions), rng)

    def step(state: State, point: Point, refresh: bool) -> State:
        drift = limited(point.alpha_a * state.forces, max_step)
        bonds = constraints if projected else None
        return _settled(state, state.coords + drift, point, refresh, mobile, bonds, sweeps, heat, torsions)

    return Simulator(init, step)


def preconditioned(
    mobile: Tensor,
    fraction: float,
    max_step: float = 0.3,
    constraints: Constraints | None = None,
    sweeps: int = 0,
    heat: Tensor | None = None,
    torsions: TorsionSpace | None = None,
) -> Simulator:
    """Equation (3) with the learned drift in every residue's own unit: X ← X + f M F_learned + α_a F_static + ε.

    M is the inverse of residue i's block of the learned terms' curvature (``energy.curvature``), a shift and a
    turn of the residue as a rigid body, so f is the part of the way to where the residue's own density is highest:
    residues the network is sure of and residues it is not arrive together, while with one α_a for all the sure ones,
    whose b is a fifth of an Å, set the pace and the others hardly move. Static terms, bonded projection and noise are
    those of ``overdamped``.

    Args:
        mobile: (L,) bool; the others never move.
        fraction: f, in (0, 1].
        max_step: Å, limit on the learned shift and on the static drift of a residue in one step.
        constraints, sweeps, heat, torsions: as in ``overdamped``.
    """
    projected = constraints is not None and sweeps > 0

    def init(energy: FreeEnergy, coords: Tensor, rng: Tensor, point: Point) -> State:
        learned = curved_part(energy)
        handled = frozenset(() if learned is None else learned.names)
        if constraints is not None and projected:
            handled |= constraints.replaces
        return begin(energy.with_implicit(handled), _started(coords, mobile, constraints, sweeps, torsions), rng)

    def step(state: State, point: Point, refresh: bool) -> State:
        moved, learned = state.coords, curved_part(state.energy)
        if learned is not None:
            shift, turn = rigid_moves(learned, state.coords)
            shift, turn = fraction * shift, fraction * turn
            length = shift.norm(dim=-1, keepdim=True)
            shorter = max_step / length.clamp_min(max_step)
            moved = moved_rigidly(moved, shorter * shift, shorter * turn)
        moved = moved + limited(point.alpha_a * state.forces, max_step)
        bonds = constraints if projected else None
        return _settled(state, moved, point, refresh, mobile, bonds, sweeps, heat, torsions)

    return Simulator(init, step)


def baoab(
    mobile: Tensor,
    time_step: float = 0.001,
    friction: float = 5.0,
    masses: tuple[float, ...] = MASSES,
    heat: Tensor | None = None,
) -> Simulator:
    """Langevin dynamics with inertia, splitting BAOAB (Leimkuhler & Matthews 2013).

    Positions in a harmonic well have exactly the variance kT/k at any stable time step; velocities have
    (kT/m)(1 − (ω dt)^2/4). Bonded terms must act as forces (no projection): 1 fs is safe, 2 fs about the limit.

    Args:
        mobile: (L,) bool; the others have no velocity and never move.
        time_step: ps; friction: 1/ps; masses: g/mol of the four atoms.
        heat: as in ``overdamped``, of velocities.
    """
    keep = math.exp(-friction * time_step)

    def inverse_mass(like: Tensor) -> Tensor:
        return (1.0 / torch.tensor(masses, dtype=like.dtype, device=like.device))[:, None]

    def speed(state: State, temperature: float) -> Tensor:
        return (BOLTZMANN * temperature * ACCELERATION * inverse_mass(state.coords)).sqrt()

    def init(energy: FreeEnergy, coords: Tensor, rng: Tensor, point: Point) -> State:
        state = begin(energy, coords, rng)
        noise, rng = normal(rng, state.coords)
        velocities = hold(speed(state, point.temperature) * _heated(noise, heat), torch.zeros_like(noise), mobile)
        return dataclasses.replace(state, velocities=velocities, rng=rng)

    def step(state: State, point: Point, refresh: bool) -> State:
        still, half = torch.zeros_like(state.velocities), 0.5 * time_step
        noise, rng = normal(state.rng, state.coords)
        kick = half * ACCELERATION * inverse_mass(state.coords)
        v = hold(state.velocities + kick * state.forces, still, mobile)  # B
        x = state.coords + half * v  # A
        # O
        v = hold(
            keep * v + math.sqrt(1 - keep * keep) * speed(state, point.temperature) * _heated(noise, heat),
            still,
            mobile,
        )
        x = hold(x + half * v, state.coords, mobile)  # A
        new = advance(state, x, rng, refresh, v)
        return dataclasses.replace(new, velocities=hold(new.velocities + kick * new.forces, still, mobile))  # B

    return Simulator(init, step)
