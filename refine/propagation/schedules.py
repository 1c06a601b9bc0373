"""How step, noise and temperature change in the course of a run.

A schedule is a function of progress t in [0, 1) that gives a factor on alpha_b and on the temperature; alpha_a stays.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from refine.propagation.settings import PropagationSettings

Schedule = Callable[[float], float]


@dataclasses.dataclass(frozen=True)
class Point:
    """The parameters of one step.

    Attributes:
        alpha_a: Å^2 mol/kcal, drift per force.
        alpha_b: Å^2, variance of the noise on each coordinate.
        temperature: K, for simulators with velocities.
    """

    alpha_a: float
    alpha_b: float
    temperature: float = 0.0


def constant() -> Schedule:
    """Always 1."""
    return lambda t: 1.0


def cycles(count: int, cold: float) -> Schedule:
    """``count`` coolings, each from 1 down to ``cold`` along half a cosine, begun anew after each."""

    def factor(t: float) -> float:
        phase = min(t, 1.0) * count
        within = 1.0 if phase >= count else phase - math.floor(phase)
        return cold + (1.0 - cold) * 0.5 * (1.0 + math.cos(math.pi * within))

    return factor


def annealing(cold: float) -> Schedule:
    """One cooling from 1 to ``cold``."""
    return cycles(1, cold)


def schedule_of(settings: PropagationSettings) -> Callable[[int], Point]:
    """The parameters of step 0, 1, … of a run with ``settings``; the last step is the coldest."""
    factor = {
        "constant": constant(),
        "annealing": annealing(settings.cold),
        "cycles": cycles(settings.cycles, settings.cold),
    }[settings.schedule]
    last = max(settings.steps - 1, 1)
    span = 1.0 if settings.schedule != "cycles" else last / settings.steps

    def at(step: int) -> Point:
        heat = factor(span * step / last)
        return Point(settings.step_size, settings.noise_variance * heat, settings.temperature * heat)

    return at
