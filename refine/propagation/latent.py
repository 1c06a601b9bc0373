"""Langevin dynamics of a few coordinates Q with the kinetic metric R(Q) of the molecule they belong to.

H(Q, P) = ½ Pᵀ R⁻¹(Q) P + V(Q), dQ = R⁻¹P dt, dP = −∂H/∂Q dt − γ R⁻¹P dt + √(2γkT) dW, stationary ∝ exp(−H/kT).

Integrating the momenta out leaves exp(−V/kT) √det R, so Q has its true density p = exp(−A/kT) when

    V = A − ½ kT ln det R⁻¹.

Bruce et al. ("Latent spaces for Langevin dynamics", equation 9) print V = A + ½ kT ln det R⁻¹. Their partition function
holds the velocity R⁻¹P fixed instead of the momentum; δ(R⁻¹P − v) is δ(P − Rv) det R, so a factor det R⁻¹ is missing,
and their dynamics samples p det R. (Their equation 10 also lacks the ½ of ∇(½ PᵀR⁻¹P).) Both agree where R is constant.

Any positive R⁻¹(Q) gives the same density of Q, also one that is not J M⁻¹Jᵀ: it decides how fast the coordinates move,
not where they are. Time scales are not physical in any case, because γ is free and there is no memory.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from refine.propagation.state import normal

Scalar = Callable[[Tensor], Tensor]
"""From coordinates (W, K) to one number each, (W,)."""
Metric = Callable[[Tensor], Tensor]
"""From coordinates (W, K) to R⁻¹ (W, K, K), symmetric and positive."""


@dataclasses.dataclass(frozen=True)
class LatentSystem:
    """What moves: W walkers in K coordinates. Units are free as long as energy = mass length² / time².

    Attributes:
        free_energy: A(Q) = −kT ln p(Q), differentiable.
        inverse_metric: R⁻¹(Q), differentiable; or one matrix (K, K) that holds everywhere.
        kt: thermal energy.
        inside: which Q are possible, (W,) bool; None for all. A step that would leave is undone and its momentum
            turned round.
    """

    free_energy: Scalar
    inverse_metric: Metric | Tensor
    kt: float
    inside: Callable[[Tensor], Tensor] | None = None

    def metric(self, q: Tensor) -> Tensor:
        """R⁻¹ (W, K, K) at ``q`` (W, K)."""
        if isinstance(self.inverse_metric, Tensor):
            return self.inverse_metric.to(q).expand(len(q), -1, -1)
        return self.inverse_metric(q)

    def potential(self, q: Tensor) -> Tensor:
        """V(Q) = A(Q) − ½ kT ln det R⁻¹(Q), (W,)."""
        return self.free_energy(q) - 0.5 * self.kt * torch.linalg.slogdet(self.metric(q)).logabsdet

    def forces(self, q: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """dQ/dt and dP/dt (W, K) of the motion without friction."""
        q, p = q.detach().requires_grad_(True), p.detach()
        with torch.enable_grad():
            metric = self.metric(q)
            kinetic = 0.5 * torch.einsum("wi,wij,wj->w", p, metric, p)
            entropy = 0.5 * self.kt * torch.linalg.slogdet(metric).logabsdet
            (gradient,) = torch.autograd.grad((kinetic + self.free_energy(q) - entropy).sum(), q)
        return torch.einsum("wij,wj->wi", metric.detach(), p), -gradient


@dataclasses.dataclass(frozen=True)
class LatentState:
    """W walkers at one moment.

    Attributes:
        q, p: (W, K) coordinates and momenta.
        rng: state of the generator (``propagation.state.seeded``).
        step: steps done; outside: steps of walkers undone because they left the domain.
    """

    q: Tensor
    p: Tensor
    rng: Tensor
    step: int = 0
    outside: int = 0


@dataclasses.dataclass(frozen=True)
class LatentSimulator:
    """``init(q, rng)`` draws momenta at kT, ``step(state)`` makes one time step."""

    init: Callable[[Tensor, Tensor], LatentState]
    step: Callable[[LatentState], LatentState]


def latent_langevin(system: LatentSystem, time_step: float, friction: float) -> LatentSimulator:
    """Half a step of friction and noise, one without them, half a step of friction and noise.

    Friction and noise are exact at fixed Q, in the eigenvectors of R⁻¹. The motion between is Runge-Kutta of fourth
    order for a metric that changes (four gradients a step), and leapfrog for a constant one (one gradient).

    Args:
        time_step: less than a tenth of the fastest period.
        friction: γ, mass per time; the momentum along an eigenvector with eigenvalue w decays with γw.
    """
    constant = isinstance(system.inverse_metric, Tensor)
    move = _leapfrog if constant else _runge_kutta

    def init(q: Tensor, rng: Tensor) -> LatentState:
        q = q.detach().clone()
        noise, rng = normal(rng, q)
        return LatentState(q, _rubbed(system, q, torch.zeros_like(q), noise, math.inf), rng)

    def step(state: LatentState) -> LatentState:
        noise, rng = normal(state.rng, torch.stack((state.q, state.q)))
        p = _rubbed(system, state.q, state.p, noise[0], 0.5 * friction * time_step)
        q, moved = move(system, state.q, p, time_step)
        fine = torch.isfinite(q).all(-1) & torch.isfinite(moved).all(-1)
        if system.inside is not None:
            fine = fine & system.inside(q)
        q = torch.where(fine[:, None], q, state.q)
        p = torch.where(fine[:, None], moved, -p)
        p = _rubbed(system, q, p, noise[1], 0.5 * friction * time_step)
        return LatentState(q, p, rng, state.step + 1, state.outside + int((~fine).sum()))

    return LatentSimulator(init, step)


def _rubbed(system: LatentSystem, q: Tensor, p: Tensor, noise: Tensor, amount: float) -> Tensor:
    """Momenta after friction and noise at fixed Q: each eigenvector of R⁻¹ is an Ornstein-Uhlenbeck process."""
    with torch.no_grad():
        values, vectors = torch.linalg.eigh(system.metric(q))
        values = values.clamp_min(1e-12)
        keep = torch.exp(-amount * values)
        along = torch.einsum("wji,wj->wi", vectors, p)
        along = torch.where(keep > 0, keep * along, 0.0) + (system.kt * (1 - keep * keep) / values).sqrt() * noise
        return torch.einsum("wij,wj->wi", vectors, along)


def _leapfrog(system: LatentSystem, q: Tensor, p: Tensor, time_step: float) -> tuple[Tensor, Tensor]:
    metric = system.metric(q)
    q = q + 0.5 * time_step * torch.einsum("wij,wj->wi", metric, p)
    p = p + time_step * system.forces(q, p)[1]
    return q + 0.5 * time_step * torch.einsum("wij,wj->wi", metric, p), p


def _runge_kutta(system: LatentSystem, q: Tensor, p: Tensor, time_step: float) -> tuple[Tensor, Tensor]:
    """Walkers that leave where R⁻¹ exists within the step come back as NaN, which the caller undoes."""
    q1, p1 = system.forces(q, p)
    q2, p2 = system.forces(q + 0.5 * time_step * q1, p + 0.5 * time_step * p1)
    q3, p3 = system.forces(q + 0.5 * time_step * q2, p + 0.5 * time_step * p2)
    q4, p4 = system.forces(q + time_step * q3, p + time_step * p3)
    sixth = time_step / 6
    return q + sixth * (q1 + 2 * q2 + 2 * q3 + q4), p + sixth * (p1 + 2 * p2 + 2 * p3 + p4)
