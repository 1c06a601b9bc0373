"""From a system to its free energy."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from refine.energy.bonds import angles, bonds
from refine.energy.chirality import chirality
from refine.energy.free_energy import FreeEnergy
from refine.energy.omega import omega
from refine.energy.ramachandran import ramachandran
from refine.energy.restraint import start_pull
from refine.energy.settings import EnergySettings
from refine.energy.sterics import sterics
from refine.energy.system import System
from refine.energy.term import Term


def assemble(
    system: System,
    settings: EnergySettings,
    start: Tensor | None = None,
    pull: Tensor | None = None,
    learned: Sequence[Term] = (),
    learned_weights: Mapping[str, float] | None = None,
) -> FreeEnergy:
    """F = learned terms + bonds, angles, omega, chirality, sterics, Ramachandran + pull towards the start.

    Args:
        system: what the terms need to know.
        settings: weights.
        start: (L, 4, 3) Å, where the pull leads; without it nothing pulls.
        pull: (L,) stiffness per residue in kcal/mol/Å^2, instead of ``settings.start_pull``.
        learned: the terms of F_SR and F_MED; learned_weights: their factors, 1 unless given.

    Raises:
        InputError: weights or restraints that cannot be used.
    """
    terms: list[Term] = [*learned, *(make(system) for make in (bonds, angles, omega, chirality, sterics, ramachandran))]
    if start is not None:
        restraint = start_pull(system, start, settings.start_pull if pull is None else pull)
        if restraint is not None:
            terms.append(restraint)
    return FreeEnergy(tuple(terms), {**settings.weights, **(learned_weights or {})})


def seconds_per_gradient(energy: FreeEnergy, coords: Tensor, repeats: int = 10) -> float:
    """Median seconds of one gradient of all replicas of ``coords`` (R, L, 4, 3) Å, after one uncounted call.

    The coordinates jitter by 0.01 Å between calls, so that pair lists are used as in a run.
    """
    generator = torch.Generator().manual_seed(0)
    energy.forces(coords)
    times = []
    for _ in range(repeats):
        moved = coords + 0.01 * torch.randn(coords.shape, generator=generator).to(coords)
        if coords.is_cuda:
            torch.cuda.synchronize()
        begin = time.perf_counter()
        energy.forces(moved)
        if coords.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def log_log_slope(lengths: Sequence[int], seconds: Sequence[float]) -> float:
    """Least-squares slope of log time against log length: 1 is linear, 2 quadratic."""
    return float(np.polyfit(np.log(lengths), np.log(seconds), 1)[0])
