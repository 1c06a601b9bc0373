"""Evidence on the whole ensemble: the mean of a distance, or its distribution over the replicas."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.errors import InputError
from refine.structure.protein import Site

LEAST_REPLICAS = 16
"""Averages over fewer replicas are too noisy to steer by."""


@dataclasses.dataclass(frozen=True)
class Marginal:
    """What is known of one distance of the ensemble.

    Attributes:
        kind: ``mean`` or ``distribution``; first, second: the atoms.
        value: Å, the mean; of a distribution its own.
        edges: (B + 1,) Å, even bins; probability: (B,) summing to 1. Empty for a mean.
        weight: factor on how fast the bias learns; line: of the file, or 0.
    """

    kind: str
    first: Site
    second: Site
    value: float
    edges: NDArray[np.float64]
    probability: NDArray[np.float64]
    weight: float
    line: int


def marginal_of(
    kind: str, first: Site, second: Site, values: Mapping[str, Any], weight: float, line: int
) -> Marginal:
    """A row of kind ``mean`` (``value``) or ``distribution`` (``edges``, ``probability`` and, when the histogram holds
    the noise of a measurement, its ``sigma`` in Å, which is taken out again).

    Raises:
        InputError: values are missing or impossible.
    """
    if kind == "mean":
        mean = _numbers([values.get("value", math.nan)], "value")[0]
        if mean < 1.0:
            raise InputError(f"a mean distance of {mean:g} Å is impossible")
        return Marginal(kind, first, second, float(mean), np.zeros(0), np.zeros(0), weight, line)
    edges, counts = (_numbers(values.get(name, ()), name) for name in ("edges", "probability"))
    if len(edges) < 3 or len(counts) != len(edges) - 1:
        raise InputError(f"{len(edges)} edges for {len(counts)} probabilities", remedy="Give one edge more than bins")
    width = np.diff(edges)
    if (width <= 0).any() or not np.allclose(width, width[0], rtol=1e-3) or edges[0] < 0:
        raise InputError("the edges of the bins must ascend in even steps from 0 or more")
    if (counts < 0).any() or counts.sum() <= 0:
        raise InputError("probabilities must be 0 or more, and not all 0")
    sigma = float(_numbers([values.get("sigma", 0.0)], "sigma")[0])
    if sigma < 0:
        raise InputError(f"sigma = {sigma:g} is negative")
    share = deconvolved(counts / counts.sum(), float(width[0]), sigma)
    mean = float((share * 0.5 * (edges[1:] + edges[:-1])).sum())
    return Marginal(kind, first, second, mean, edges, share, weight, line)


def _numbers(values: object, name: str) -> NDArray[np.float64]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise InputError(f"{name} must be a list of numbers")
    try:
        numbers = np.array([float(v) for v in values], np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be a list of numbers") from error
    if not np.isfinite(numbers).all():
        raise InputError(f"{name} is missing or no finite number")
    return numbers


def deconvolved(share: NDArray[np.float64], width: float, sigma: float, rounds: int = 200) -> NDArray[np.float64]:
    """A histogram (B,) without the Gaussian noise ``sigma`` (Å) of its measurement, bins ``width`` Å wide.

    Richardson–Lucy (1972), which keeps it positive and its sum.
    """
    if sigma <= 0:
        return share
    offset = (np.arange(len(share))[:, None] - np.arange(len(share))) * width / sigma
    blur = np.exp(-0.5 * offset**2)
    blur /= blur.sum(0)
    found = np.full_like(share, 1.0 / len(share))
    for _ in range(rounds):
        found = found * (blur.T @ (share / np.maximum(blur @ found, 1e-12)))
    result: NDArray[np.float64] = found / found.sum()
    return result
