"""From a start structure to an ensemble: the loop over the steps of a simulator."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable

import torch
from torch import Tensor

from refine.energy.free_energy import EnergyTable, FreeEnergy
from refine.errors import EngineError
from refine.propagation.constraints import Constraints
from refine.propagation.langevin import baoab, overdamped, preconditioned
from refine.propagation.schedules import schedule_of
from refine.propagation.settings import PropagationSettings
from refine.propagation.state import Simulator, State, seeded
from refine.propagation.torsions import TorsionSpace

log = logging.getLogger(__name__)

GROWN = 1.2
"""A settled way ends where a step is so many times as long as the shortest before: it leads elsewhere then."""

OnStep = Callable[[int, int, EnergyTable, Tensor], None]
Adapt = Callable[[int, State], State]


@dataclasses.dataclass(frozen=True)
class Trajectory:
    """What a propagation leaves.

    Attributes:
        snapshots: (S, R, L, 4, 3) Å, the start not included, the last step always; S = 1 (the start) when there were no
            steps.
        energies: (S, R) kcal/mol total free energy of the snapshots, learned targets as they were held at that step.
        final: (R, L, 4, 3) Å; table: its energies.
        rejected: (R,) steps that were undone because energy or forces were not finite.
    """

    snapshots: Tensor
    energies: Tensor
    final: Tensor
    table: EnergyTable
    rejected: Tensor

    def since(self, snapshot: int) -> Trajectory:
        """The same without what comes before ``snapshot``, of which at least the last is kept."""
        first = min(snapshot, len(self.snapshots) - 1)
        return dataclasses.replace(self, snapshots=self.snapshots[first:], energies=self.energies[first:])


def simulator_of(
    settings: PropagationSettings, mobile: Tensor, constraints: Constraints | None, heat: Tensor | None = None
) -> Simulator:
    """The simulator that ``settings`` name."""
    if settings.method == "baoab":
        return baoab(mobile, settings.time_step, settings.friction, heat=heat)
    space = None
    if settings.space == "torsions" and constraints is not None:
        space = TorsionSpace.of(constraints, mobile)
    how = (settings.max_step, constraints, settings.sweeps, heat, space)
    if settings.method == "preconditioned":
        return preconditioned(mobile, settings.fraction, *how)
    return overdamped(mobile, *how)


def propagate(
    energy: FreeEnergy,
    coords: Tensor,
    settings: PropagationSettings,
    seed: int,
    mobile: Tensor,
    constraints: Constraints | None,
    on_step: OnStep | None = None,
    heat: Tensor | None = None,
    adapt: Adapt | None = None,
) -> Trajectory:
    """Propagate replicas of a structure.

    There are two clocks: every step moves; every ``settings.refresh_every`` steps the energy is taken ``at`` the
    present coordinates, which evaluates the networks. After ``settings.steps`` a way that has settled goes on for
    ``settings.further_steps`` more, as long as steps do not grow. The same seed gives the same bytes on the same CPU,
    however often.

    Args:
        energy: the free energy.
        coords: (1, L, 4, 3) Å, copied to all replicas, or (R, L, 4, 3).
        settings: how.
        seed: of the noise; any integer.
        mobile: (L,) bool; the others keep every bit.
        constraints: bonded geometry that overdamped steps restore; None leaves it to the bonded terms.
        heat: (L,) factor on the noise variance of each residue, None for 1.
        on_step: called after each step with the step from 1, how many there may be, the energies and the coordinates.
        adapt: called after each step with the step from 1 and the state; gives the state from which the next begins.

    Raises:
        EngineError: the number of replicas does not fit, or energies are not finite.
    """
    start = coords.detach().expand(settings.replicas, -1, -1, -1) if coords.shape[0] == 1 else coords.detach()
    if start.shape[0] != settings.replicas:
        raise EngineError(
            f"{start.shape[0]} structures for {settings.replicas} replicas", remedy="Give one, or one per replica"
        )
    point_at = schedule_of(settings)
    simulator = simulator_of(settings, mobile, constraints, heat)
    state = simulator.init(energy, start, seeded(seed), point_at(0))
    snapshots, energies = [], []
    step, total, longest = 0, settings.steps + settings.further_steps, settings.settled
    while step < total:
        before = state.coords
        state = simulator.step(state, point_at(step), (step + 1) % settings.refresh_every == 0)
        step += 1
        if step >= settings.steps:
            moved = _moved(before, state.coords, mobile)
            total = total if moved < longest else step
            longest = min(longest, GROWN * moved)
        if adapt is not None:
            state = adapt(step, state)
        if step % settings.keep_every == 0 or step == total:
            snapshots.append(state.coords)
            energies.append(state.table.total)
        if on_step is not None:
            on_step(step, total, state.table, state.coords)
    if bool(state.rejected.any()):
        log.warning("steps undone because the energy was not finite, by replica: %s", state.rejected.tolist())
    if not snapshots:
        snapshots, energies = [state.coords], [state.table.total]
    return Trajectory(torch.stack(snapshots), torch.stack(energies), state.coords, state.table, state.rejected)


def _moved(before: Tensor, after: Tensor, mobile: Tensor) -> float:
    """Mean move of the mobile CA atoms, Å; infinite where nothing may move."""
    moved = (after - before)[:, mobile, 1].norm(dim=-1)
    return float(moved.mean()) if moved.numel() else math.inf
