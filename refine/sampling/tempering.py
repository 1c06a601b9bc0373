"""Inverse temperatures from almost none to that asked for: how far each step may go, and what it does to ln Z.

Samples come with ln w = −βU + ln r(z|x) − ln q(x|z) − ln q(z), the logarithms of their importance weights
(``sampling.surrogate``), from which all that follows is taken.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from refine.settings_checks import above, at_least, within


@dataclasses.dataclass(frozen=True)
class TemperingSettings:
    """How β rises and when a temperature is done.

    Attributes:
        first, last: inverse temperatures at the ends, per unit of energy.
        first_updates, updates: least updates of the model at the first temperature and at each other.
        most_updates: at each temperature; one not converged by then halves the next step.
        converged: Kish size of the weights over the number of samples from which on a temperature is done.
        kept: the same of the weights that carry the samples to the next temperature: decides how far a step goes.
        bound: largest relative increase of the bound on the Kullback-Leibler divergence in a step (c_k of the paper).
    """

    first: float = 1e-10
    last: float = 1.0
    first_updates: int = 1000
    updates: int = 20
    most_updates: int = 200
    converged: float = 0.7
    kept: float = 0.95
    bound: float = 1.0

    def __post_init__(self) -> None:
        above("first", self.first, 0)
        above("last - first", self.last - self.first, 0)
        for name in ("first_updates", "updates", "most_updates"):
            at_least(name, getattr(self, name), 1)
        for name in ("converged", "kept"):
            within(name, getattr(self, name), 0, 1)
        above("bound", self.bound, 0)


def kish(log_weights: Tensor) -> float:
    """Effective share of samples (J,), (Σw)²/(J Σw²), in (0, 1]."""
    w = torch.softmax(log_weights, 0)
    return float(1 / (len(w) * (w * w).sum()))


def log_z_change(log_weights: Tensor, energy: Tensor, step: float) -> float:
    """ln Z(β + step) − ln Z(β) = ln Σ W exp(−step U), from weights at β."""
    return float(torch.logsumexp(torch.log_softmax(log_weights, 0) - step * energy, 0))


def bound_increase(log_weights: Tensor, energy: Tensor, step: float, divergence: float) -> float:
    """c_k: by how much a step raises the bound on KL(q ‖ p), relative to its value.

    Args:
        divergence: ln Z(β) − ⟨ln w⟩, the bound at β; below 1e-3 it counts as 1e-3, as it may come out near 0.
    """
    rise = log_z_change(log_weights, energy, step) + step * float(energy.mean())
    return rise / max(abs(divergence), 1e-3)


def next_step(
    log_weights: Tensor, energy: Tensor, beta: float, settings: TemperingSettings, divergence: float, largest: float
) -> float:
    """How far β may rise: not beyond ``largest`` and the end, and so that enough samples stay in force at the next
    temperature and the bound does not grow too much. The step shrinks by 0.6 until all hold.
    """
    step = min(largest, settings.last - beta)
    for _ in range(100):
        kept = kish(-step * energy)
        if kept >= settings.kept and bound_increase(log_weights, energy, step, divergence) <= settings.bound:
            break
        step *= 0.6
    return step


def imbalance(log_weights: Tensor, latent: Tensor, parts: int = 8) -> float:
    """How far the weights are from even over the latent space: the largest |ln(share)/(expected)| over ``parts``
    equal slices of each latent coordinate.

    A mode that the model gives too little has heavy weights in its slice, whatever the loss says. (J, K) latents.
    """
    w = torch.softmax(log_weights, 0)
    worst = 0.0
    for column in latent.T:
        for rows in column.argsort().tensor_split(parts):
            share = float(w[rows].sum()) * len(w) / len(rows)
            worst = max(worst, abs(float(torch.tensor(max(share, 1e-6)).log())))
    return worst
