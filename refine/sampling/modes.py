"""Whether weighted samples are of two modes: two normal laws along one coordinate against one."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

APART = 2.0
"""Standard deviations (root mean square of both) between two means from which on they are two modes: closer, the sum of
two equal normal laws has one maximum (Ashman, Bird & Zepf 1994).
"""
LEAST = 10.0
"""Samples that a mode must have in force."""
_NARROWEST = 0.1
"""Of the standard deviation of all samples: a single heavy one is no mode."""
_ROUNDS = 60


@dataclasses.dataclass(frozen=True)
class TwoModes:
    """Two normal laws along each of D coordinates, the one with the lower mean first.

    Attributes:
        shares, means, deviations: (2, D).
        gain: (D,) by how many nats two describe the samples better than one, less what three more numbers must gain
            (half the difference of the Bayesian information criterion) and ln D, as the best coordinate is taken; −inf
            where they are not two modes.
        unlike: (D,) the same whether they are two modes or not: how far the samples are from one normal law.
    """

    shares: Tensor
    means: Tensor
    deviations: Tensor
    gain: Tensor
    unlike: Tensor


def two_modes(x: Tensor, log_weights: Tensor) -> TwoModes:
    """Fit two normal laws along each coordinate by expectation and maximisation, from the halves beside the mean.

    Args:
        x: (J, D); log_weights: (J,).
    """
    w = torch.softmax(log_weights, 0)[:, None]
    mean = (w * x).sum(0)
    spread = (w * (x - mean) ** 2).sum(0).sqrt().clamp_min(1e-12)
    u = (x - mean) / spread
    of_mode = torch.stack((u < 0, u >= 0)).double()
    for _ in range(_ROUNDS):
        counted = w * of_mode
        shares = counted.sum(1).clamp_min(1e-12)
        means = (counted * u).sum(1) / shares
        deviations = ((counted * (u - means[:, None]) ** 2).sum(1) / shares).sqrt().clamp_min(_NARROWEST)
        density = shares.log()[:, None] - 0.5 * ((u - means[:, None]) / deviations[:, None]) ** 2
        density = density - deviations.log()[:, None]
        both = torch.logsumexp(density, 0)
        of_mode = (density - both).exp()
    force = 1 / float((w * w).sum())
    unlike = force * ((w * both).sum(0) + 0.5) - 1.5 * math.log(force) - math.log(x.shape[1])
    apart = (means[1] - means[0]) / deviations.square().mean(0).sqrt()
    least = ((w * of_mode).sum(1) ** 2 / (w * of_mode).square().sum(1)).amin(0)
    gain = torch.where((apart > APART) & (least > LEAST) & (unlike > 0), unlike, -torch.inf)
    return TwoModes(shares, mean + spread * means, spread * deviations, gain, unlike)
