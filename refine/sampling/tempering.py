"""Inverse temperatures from none to that asked for: how far each step may go, when a temperature is done, and what a
step does to ln Z.

Samples come with ln w = −(reduced energy) + ln r(z|x) − ln q(x|z) − ln q(z), the logarithms of their importance weights
(``sampling.surrogate``), from which all that follows is taken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from refine.settings_checks import above, at_least, within


@dataclasses.dataclass(frozen=True)
class TemperingSettings:
    """How β rises, from 0 to 1 in units of the inverse temperature asked for, and when a temperature is done.

    Attributes:
        first_updates, updates: least updates of the model at β = 0 and at each other.
        most_updates: at each temperature; one that is not done by then halves the next step.
        converged: Kish share of the weights of every component from which on a temperature is done.
        kept: Kish share of the weights that carry the samples to the next temperature: decides how far a step goes.
        bound: largest relative increase of the bound on the Kullback-Leibler divergence in a step (c_k of the paper).
        least_step: a halved step is not made shorter than this share of what ``kept`` and ``bound`` allow; without an
            end, halving was measured to stall.
    """

    first_updates: int = 200
    updates: int = 20
    most_updates: int = 200
    converged: float = 0.6
    kept: float = 0.95
    bound: float = 1.0
    least_step: float = 0.25

    def __post_init__(self) -> None:
        for name in ("first_updates", "updates", "most_updates"):
            at_least(f"tempering.{name}", getattr(self, name), 1)
        for name in ("converged", "kept", "least_step"):
            within(f"tempering.{name}", getattr(self, name), 0, 1)
        above("tempering.bound", self.bound, 0)


def kish(log_weights: Tensor) -> float:
    """Effective share of samples (J,), (Σw)²/(J Σw²), in (0, 1]."""
    w = torch.softmax(log_weights, 0)
    return float(1 / (len(w) * (w * w).sum()))


def log_z_change(log_weights: Tensor, rise: Tensor) -> float:
    """ln Z' − ln Z = ln Σ W exp(−rise), from weights (J,) under the old law and the rise (J,) of the reduced energy."""
    return float(torch.logsumexp(torch.log_softmax(log_weights, 0) - rise, 0))


def bound_increase(log_weights: Tensor, log_share: Tensor, rise: Tensor, divergence: float) -> float:
    """c_k: by how much a rise (J,) of the reduced energy raises the bound on KL(q ‖ p), relative to its value.

    Args:
        log_share: (J,) ln of what each sample counts in an average over the model.
        divergence: ln Z − ⟨ln w⟩, the bound before; below 1e-3 it counts as 1e-3, as it may come out near 0.
    """
    return (log_z_change(log_weights, rise) + float(torch.softmax(log_share, 0) @ rise)) / max(abs(divergence), 1e-3)


def next_step(
    log_weights: Tensor,
    log_share: Tensor,
    rise: Callable[[float], Tensor],
    largest: float,
    settings: TemperingSettings,
    divergence: float,
) -> float:
    """How far β may rise: at most ``largest``, and so that enough samples stay in force and the bound does not grow too
    much. The step shrinks by 0.6 until both hold.

    Args:
        log_share: as of ``bound_increase``; rise: of the reduced energies (J,) by a step.
    """
    step = largest
    for _ in range(100):
        change = rise(step)
        if (
            kish(-change) >= settings.kept
            and bound_increase(log_weights, log_share, change, divergence) <= settings.bound
        ):
            break
        step *= 0.6
    return step
