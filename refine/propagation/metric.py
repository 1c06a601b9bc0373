"""Kinetic metric of a few coordinates Q = f(x) of a molecule, and the force of their free energy.

A generalised velocity is dQ/dt = J v with J = ∂f/∂x, so at equilibrium its covariance is kT R⁻¹ with
R⁻¹ = J M⁻¹ Jᵀ. Where R⁻¹ is a function of Q alone, momenta P = R dQ/dt exist that move Q as the whole molecule moves
it (Bruce, Aghili, Marinescu & Sabo, "Latent spaces for Langevin dynamics").
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jacrev, vmap

Coordinates = Callable[[Tensor], Tensor]
"""From one configuration (N, 3) to its K coordinates (K,); differentiable twice."""


def jacobian(coordinates: Coordinates, x: Tensor) -> Tensor:
    """J = ∂Q/∂x (B, K, 3N) of configurations (B, N, 3)."""
    return vmap(jacrev(coordinates))(x).flatten(-2)


def inverse_metric(coordinates: Coordinates, x: Tensor, masses: Tensor) -> Tensor:
    """R⁻¹ = J M⁻¹ Jᵀ (B, K, K) of configurations (B, N, 3) with ``masses`` (N,)."""
    j = jacobian(coordinates, x)
    return (j / masses.repeat_interleave(3)) @ j.transpose(-1, -2)


def mean_force(coordinates: Coordinates, x: Tensor, masses: Tensor, gradient: Tensor, kt: float) -> Tensor:
    """Estimate (B, K) of ∇A(Q) from single configurations: B ∇U − kT ∇·B, whose mean at fixed Q is ∇A.

    A = −kT ln p(Q), and B = (J M⁻¹ Jᵀ)⁻¹ J M⁻¹, one of the matrices with B Jᵀ = 1 (Ciccotti, Kapral &
    Vanden-Eijnden 2005).

    Args:
        x: (B, N, 3); masses: (N,); gradient: (B, N, 3), ∇U there, energy per length; kt: in its unit of energy.
    """
    weights = masses.repeat_interleave(3)

    def projector(one: Tensor) -> Tensor:
        j = jacrev(coordinates)(one).flatten(-2)
        return torch.linalg.solve((j / weights) @ j.T, j / weights)

    def divergence(one: Tensor) -> Tensor:
        # Not jacfwd: the forward derivative of linalg.solve is wrong under vmap (torch 2.13).
        return torch.einsum("kaa->k", jacrev(lambda flat: projector(flat.view_as(one)))(one.flatten()))

    b = vmap(projector)(x)
    return (b @ gradient.flatten(-2).unsqueeze(-1)).squeeze(-1) - kt * vmap(divergence)(x)


def metric_spread(q: Tensor, metric: Tensor, bins: int = 8) -> float:
    """How far R⁻¹ is from a function of Q: its spread within small bins of Q, relative to its size.

    Root mean square of the Frobenius norm of R⁻¹ − ⟨R⁻¹⟩ over that of ⟨R⁻¹⟩, over bins that hold two points at the
    least. Above 0.1 the dynamics of ``propagation.latent`` is no longer that of the molecule, while its distribution of
    Q still is that of the free energy it is given. Bins of finite width leave some spread in any case.

    Args:
        q: (B, K); metric: (B, K, K) at the same configurations; bins: along each coordinate, between its extremes.

    Raises:
        ValueError: no bin holds two points.
    """
    low, high = q.amin(0), q.amax(0)
    place = ((q - low) / (high - low).clamp_min(1e-12) * bins).long().clamp_max(bins - 1)
    _, which, count = torch.unique(place, dim=0, return_inverse=True, return_counts=True)
    total = torch.zeros(len(count), *metric.shape[1:], dtype=metric.dtype).index_add_(0, which, metric)
    centre = (total / count[:, None, None])[which]
    shared = count[which] > 1
    if not bool(shared.any()):
        raise ValueError("no bin of Q holds two configurations: give more of them, or fewer bins")
    deviation = (metric - centre)[shared].square().sum((-1, -2)).mean()
    return float((deviation / centre[shared].square().sum((-1, -2)).mean()).sqrt())


def hinge(x: Tensor) -> Tensor:
    """Distances to the middle of three points (3, 3) and the cosine of the angle there: (d1, d2, c)."""
    first, second = x[0] - x[1], x[2] - x[1]
    d1, d2 = first.norm(), second.norm()
    return torch.stack((d1, d2, first @ second / (d1 * d2)))


def hinge_metric(q: Tensor, masses: Tensor) -> Tensor:
    """R⁻¹ (..., 3, 3) of ``hinge`` in closed form, from (..., 3) coordinates and the three masses in its order."""
    d1, d2, c = q.unbind(-1)
    w1, w0, w2 = (1 / masses).unbind()
    sine2 = 1 - c * c
    first, second = (w1 + w0).expand_as(c), (w2 + w0).expand_as(c)
    turn = sine2 * (w1 / d1**2 + w2 / d2**2 + w0 * (1 / d1**2 + 1 / d2**2 - 2 * c / (d1 * d2)))
    rows = (
        torch.stack((first, w0 * c, w0 * sine2 / d2), -1),
        torch.stack((w0 * c, second, w0 * sine2 / d1), -1),
        torch.stack((w0 * sine2 / d2, w0 * sine2 / d1, turn), -1),
    )
    return torch.stack(rows, -2)
