"""Fitting of the calibration tables; every target weighs the same, however long it is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from refine.accuracy.calibration import Change, Linear, Pairs
from refine.accuracy.features import Features

RIDGE = 0.1
"""Penalty on the squared weights of standardised features, relative to the mean square of the residuals' scale of 1."""


def fit_linear(
    features: Sequence[Features], truth: Sequence[NDArray[np.floating]], names: Sequence[str], ridge: float = RIDGE
) -> Linear:
    """Ridge regression of ``truth`` on the features ``names``.

    Args:
        features: of each target, by name (n,); truth: (n,) of each target, NaN where unknown.
        ridge: penalty, see ``RIDGE``.
    """
    table = _standardised(features, truth, names)
    level = float(table.weight @ table.truth)
    weighted = (table.x * table.weight[:, None]).T
    gram = weighted @ table.x + ridge * np.eye(len(names))
    return table.linear(level, np.asarray(np.linalg.solve(gram, weighted @ (table.truth - level)), np.float64))


def fit_logistic(
    features: Sequence[Features],
    truth: Sequence[NDArray[np.floating]],
    names: Sequence[str],
    ridge: float = RIDGE,
    rising: bool = False,
) -> Linear:
    """The linear function whose logistic function is nearest to ``truth`` (shares, 0–1) by cross entropy.

    Arguments as of ``fit_linear``; with ``rising`` no weight is below 0.
    """
    table = _standardised(features, truth, names)

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value = theta[0] + table.x @ theta[1:]
        away = table.weight * (expit(value) - table.truth)
        entropy = table.weight @ (np.logaddexp(0.0, value) - table.truth * value)
        gradient = np.concatenate(([away.sum()], table.x.T @ away + ridge * theta[1:]))
        return float(entropy + 0.5 * ridge * theta[1:] @ theta[1:]), gradient

    bounds = [(None, None), *[(0.0 if rising else None, None)] * len(names)]
    theta = minimize(loss, np.zeros(1 + len(names)), jac=True, method="L-BFGS-B", bounds=bounds).x
    return table.linear(float(theta[0]), theta[1:])


@dataclasses.dataclass(frozen=True)
class _Standardised:
    """Features of all targets, each of mean 0 and deviation 1, their truth and weights that sum to 1."""

    names: Sequence[str]
    x: NDArray[np.float64]
    truth: NDArray[np.float64]
    weight: NDArray[np.float64]
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]

    def linear(self, level: float, slopes: NDArray[np.float64]) -> Linear:
        """``level`` + Σ slope · standardised feature as a function of the features themselves."""
        slopes = slopes / self.spread
        offset = level - float(slopes @ self.centre)
        return Linear(offset, {name: float(s) for name, s in zip(self.names, slopes, strict=True)})


def _standardised(
    features: Sequence[Features], truth: Sequence[NDArray[np.floating]], names: Sequence[str]
) -> _Standardised:
    measured = [np.isfinite(t) for t in truth]
    x = np.concatenate([np.stack([f[name][k] for name in names], 1) for f, k in zip(features, measured, strict=True)])
    y = np.concatenate([t[k] for t, k in zip(truth, measured, strict=True)])
    weight = np.concatenate([np.full(k.sum(), 1.0 / max(k.sum(), 1)) for k in measured])
    weight /= weight.sum()
    centre = weight @ x
    spread = np.sqrt(weight @ (x - centre) ** 2)
    spread = np.where(spread > 1e-6, spread, np.inf)
    return _Standardised(names, (x - centre) / spread, y, weight, centre, spread)


@dataclasses.dataclass(frozen=True)
class PairSample:
    """Pairs of one target, each array (n,).

    Attributes:
        mean: Å of the ensemble; truth: Å of the native; features: of ``pairs.pair_features``.
        target, known: the networks' distance (Å) and weight.
    """

    mean: NDArray[np.floating]
    truth: NDArray[np.floating]
    features: Mapping[str, NDArray[np.floating]]
    target: NDArray[np.floating]
    known: NDArray[np.floating]


def fit_pairs(samples: Sequence[PairSample], names: Sequence[str], *, networks: bool = True) -> Pairs:
    """Maximum likelihood of Student's t with a log-linear scale; without ``networks`` nothing pulls the location."""
    x = torch.from_numpy(
        np.concatenate([np.stack([s.features[name] for name in names], 1) for s in samples]).astype(np.float64)
    )
    off = torch.from_numpy(np.concatenate([s.truth - s.mean for s in samples]).astype(np.float64))
    move = torch.from_numpy(np.concatenate([s.known * (s.target - s.mean) for s in samples]).astype(np.float64))
    weight = torch.from_numpy(
        np.concatenate([np.full(len(s.truth), 1.0 / len(s.truth) / len(samples)) for s in samples])
    )
    centre = weight @ x
    centred = x - centre

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        t = torch.from_numpy(theta).requires_grad_(True)
        pull = t[1] if networks else torch.zeros((), dtype=torch.float64)
        value = (weight * student_loss(off - pull * move, t[0] + centred @ t[3:], t[2].exp())).sum() + 1e-4 * (
            t[3:] ** 2
        ).sum()
        (gradient,) = torch.autograd.grad(value, t, materialize_grads=True)
        return float(value.detach()), gradient.numpy()

    start = np.concatenate(([0.0, 0.0, math.log(4.0)], np.zeros(len(names))))
    bounds = [(-4.0, 4.0), (-0.5, 1.5), (math.log(1.5), math.log(60.0)), *[(-3.0, 3.0)] * len(names)]
    theta = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    offset = float(theta[0] - theta[3:] @ centre.numpy())
    linear = Linear(offset, {name: float(w) for name, w in zip(names, theta[3:], strict=True)})
    return Pairs(linear, float(theta[1]) if networks else 0.0, float(np.exp(theta[2])))


def student_loss(off: torch.Tensor, log_scale: torch.Tensor, freedom: torch.Tensor) -> torch.Tensor:
    """−log density of Student's t at ``off`` from its centre, all (n,) but ``freedom`` ()."""
    z = off * torch.exp(-log_scale)
    constant = torch.lgamma((freedom + 1) / 2) - torch.lgamma(freedom / 2) - 0.5 * torch.log(freedom * math.pi)
    return (freedom + 1) / 2 * torch.log1p(z * z / freedom) + log_scale - constant


def fit_change(
    estimated: NDArray[np.floating],
    room: NDArray[np.floating],
    true: NDArray[np.floating],
    natives: NDArray[np.bool_] | None = None,
) -> Change:
    """True changes (n,) of n targets as a parabola of the room above the input.

    Args:
        estimated: (n,) estimated changes; only their least is kept.
        room: (n,) 1 − the CA lDDT expected of the input.
        natives: (n,) which inputs are natives: fitted, but left out of deviation and correlation, which are of targets
            left out in turn.
    """
    models = np.ones(len(true), np.bool_) if natives is None else ~natives
    x = np.stack((np.ones(len(true)), room, room**2), 1)
    every = np.arange(len(true))
    predicted = np.array([np.linalg.lstsq(x[every != k], true[every != k])[0] @ x[k] for k in every])[models]
    correlation = float(np.corrcoef(predicted, true[models])[0, 1]) if np.ptp(predicted) > 0 else 0.0
    deviation = float(np.sqrt(np.mean((predicted - true[models]) ** 2)))
    offset, slope, curve = (float(v) for v in np.linalg.lstsq(x, true)[0])
    return Change(
        offset, slope, curve, deviation, correlation, int(models.sum()), float(room.max()), float(estimated.min())
    )
