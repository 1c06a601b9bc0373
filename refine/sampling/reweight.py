"""Averages without the bias from samples under one: weights, what they are worth, and when they are worth nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

LEAST_KISH = 50.0
"""Independent samples that weights must be worth at least."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """Weights of samples under a bias that did not change.

    Attributes:
        values: (F,) with sum 1.
        kish: (Σw)²/Σw², the number of unweighted samples that they are worth at most: neighbours in time are alike.
    """

    values: NDArray[np.float64]
    kish: float

    @property
    def refused(self) -> bool:
        """Whether they are too uneven for any average."""
        return self.kish < LEAST_KISH


def weights_of(bias: NDArray[np.floating]) -> Weights:
    """Weights ∝ exp(+βV) of samples whose bias energies (F,) are in kT.

    The bias must have been frozen: under one that changes the samples are of no known density.
    """
    raw = np.exp(bias - bias.max())
    values = raw / raw.sum()
    return Weights(values, float(1 / (values**2).sum()))
