"""A sampler learned from energies and forces alone, and the latent variables it finds.

Schöberl, Zabaras & Koutsourelakis, "Embedded-physics machine learning for coarse-graining and collective variable
discovery without data" (2020): latent z ~ N(0, 1), decoder q(x|z) = N(μ(z), σ²), encoder r(z|x). Maximised is
⟨−βU(x) + ln r(z|x) − ln q(z) − ln q(x|z)⟩ over q(x, z), at most ln Z − KL(q ‖ p), while β rises.

Reverse KL starves minor modes, and its value does not show it. Two things are added. A share of each update is the
forward divergence over the same samples with their importance weights (reweighted wake-sleep, Bornschein & Bengio
2015), which gives a mode back what the model has taken from it as long as some samples are there. And a temperature
counts as done only once the weights are even (``tempering``).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from refine.sampling.tempering import TemperingSettings, imbalance, kish, log_z_change, next_step

Energy = Callable[[Tensor], Tensor]
"""From configurations (J, D) to energies (J,), differentiable (``physics.bridge`` makes one of OpenMM)."""


@dataclasses.dataclass(frozen=True)
class SurrogateSettings:
    """Model and training.

    Attributes:
        latent: number of latent variables; hidden: width of the layers of encoder and decoder.
        samples: drawn for each update; rate: of Adam.
        forward: share of the forward divergence in each update; 0 is the method as published.
        box: half the width of the box that configurations are held in, by a slope that does not fall with β; 0 for
            none.
        slope: of the box.
        longest: a sample's gradient is cut to this times the mean length.
    """

    latent: int = 1
    hidden: int = 100
    samples: int = 1000
    rate: float = 1e-3
    forward: float = 0.5
    box: float = 0.0
    slope: float = 1000.0
    longest: float = 3.0


@dataclasses.dataclass(frozen=True)
class Batch:
    """Samples x (J, D), z (J, K), noise (J, D) with x = μ(z) + σ noise, energies (J,) and ln w (J,)."""

    x: Tensor
    z: Tensor
    energy: Tensor
    log_weights: Tensor


class Surrogate(nn.Module):
    """Decoder, encoder and the decoder's spread.

    Args:
        dimensions: of the configurations; settings: see there; seed: of the first parameters.
    """

    def __init__(self, dimensions: int, settings: SurrogateSettings, seed: int) -> None:
        super().__init__()
        self.settings, self.dimensions = settings, dimensions
        width, latent = settings.hidden, settings.latent
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.decoder = nn.Sequential(
                nn.Linear(latent, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, dimensions)
            )
            self.encoder = nn.Sequential(
                nn.Linear(dimensions, width), nn.SELU(), nn.Linear(width, width), nn.SELU(),
                nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 2 * latent),
            )  # fmt: skip
        self.log_variance = nn.Parameter(torch.zeros(dimensions))

    def log_decoder(self, x: Tensor, z: Tensor) -> Tensor:
        """ln q(x|z) (J,)."""
        return _log_normal(x, self.decoder(z), self.log_variance)

    def log_encoder(self, x: Tensor, z: Tensor) -> Tensor:
        """ln r(z|x) (J,)."""
        mean, log_variance = self.encoder(x).chunk(2, -1)
        return _log_normal(z, mean, log_variance)

    def encoded(self, x: Tensor) -> Tensor:
        """Mean latent variables (J, K) of configurations (J, D)."""
        mean: Tensor = self.encoder(x).chunk(2, -1)[0]
        return mean

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Configurations (count, D) and their latents (count, K); gradients flow to the decoder."""
        z = torch.randn(count, self.settings.latent, generator=generator)
        noise = torch.randn(count, self.dimensions, generator=generator)
        return self.decoder(z) + (0.5 * self.log_variance).exp() * noise, z


def _log_normal(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    squares = (x - mean) ** 2 * (-log_variance).exp()
    return -0.5 * (squares + log_variance + math.log(2 * math.pi)).sum(-1)


@dataclasses.dataclass(frozen=True)
class Temperature:
    """What one inverse temperature ended with: updates, Kish share, evenness of the weights (0 is even), ln Z, bound
    on the divergence, and what ``watch`` measured.
    """

    beta: float
    updates: int
    kish: float
    imbalance: float
    log_z: float
    divergence: float
    watched: Mapping[str, float]


Watch = Callable[[Surrogate, Batch], Mapping[str, float]]


def fit(
    model: Surrogate,
    energy: Energy,
    tempering: TemperingSettings,
    seed: int,
    watch: Watch = lambda model, batch: {},
    final_updates: int = 0,
    largest_step: float = math.inf,
    least_step: float = 0.02,
) -> list[Temperature]:
    """Train ``model`` (in place) to sample exp(−βU), β rising from ``tempering.first`` to ``tempering.last``.

    Args:
        energy: U.
        seed: of the samples.
        watch: measures at the end of every temperature, e.g. how much each known mode has.
        final_updates: more of them at the last temperature.
        largest_step, least_step: of β; the least does not hold back what the weights forbid.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=model.settings.rate)
    beta, log_z, step = tempering.first, math.nan, largest_step
    history: list[Temperature] = []
    while True:
        least = tempering.updates if history else tempering.first_updates
        updates, batch = _converge(model, energy, beta, tempering, optimiser, generator, least)
        last = beta >= tempering.last
        for _ in range(final_updates if last else 0):
            batch = _update(model, energy, beta, optimiser, generator)
        if not history:
            log_z = float(torch.logsumexp(batch.log_weights, 0)) - math.log(len(batch.energy))
        divergence = log_z - float(batch.log_weights.mean())
        share, uneven = kish(batch.log_weights), imbalance(batch.log_weights, batch.z)
        history.append(Temperature(beta, updates, share, uneven, log_z, divergence, watch(model, batch)))
        if last:
            return history
        slower = 0.5 * step if share < tempering.converged and math.isfinite(step) else largest_step
        slower = max(slower, least_step)  # halving without an end was measured to stall where the share stays low
        step = next_step(batch.log_weights, batch.energy, beta, tempering, divergence, slower)
        log_z += log_z_change(batch.log_weights, batch.energy, step)
        beta = tempering.last if beta + step >= tempering.last * (1 - 1e-9) else beta + step


def _converge(
    model: Surrogate,
    energy: Energy,
    beta: float,
    tempering: TemperingSettings,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    least: int,
) -> tuple[int, Batch]:
    """Updates until the weights are even enough, ``least`` at the least; how many, and the last batch."""
    for count in range(1, max(least, tempering.most_updates) + 1):
        batch = _update(model, energy, beta, optimiser, generator)
        if count >= least and kish(batch.log_weights) >= tempering.converged:
            break
    return count, batch


def _update(
    model: Surrogate, energy: Energy, beta: float, optimiser: torch.optim.Optimizer, generator: torch.Generator
) -> Batch:
    settings = model.settings
    x, z = model.sample(settings.samples, generator)
    if x.requires_grad:
        x.register_hook(lambda gradient: shortened(gradient, settings.longest))
    energies, outside = _boxed(energy, x, settings.box)
    log_q = model.log_decoder(x, z) + _log_normal(z, torch.zeros_like(z), torch.zeros_like(z))
    log_w = -beta * energies - settings.slope * outside + model.log_encoder(x, z) - log_q
    loss = -log_w.mean()
    if settings.forward > 0:
        still = x.detach()
        weights = torch.softmax(log_w.detach(), 0)
        forward = -(weights * model.log_decoder(still, z)).sum()
        loss = (1 - settings.forward) * loss + settings.forward * forward
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return Batch(x.detach(), z, energies.detach(), log_w.detach())


def _boxed(energy: Energy, x: Tensor, half: float) -> tuple[Tensor, Tensor]:
    """Energies at the nearest points of the box, and how far outside (J,) the configurations are."""
    if half <= 0:
        return energy(x), torch.zeros_like(x[:, 0])
    inner = x.clamp(-half, half)
    return energy(inner), (x - inner).abs().sum(-1)


def shortened(gradient: Tensor, longest: float) -> Tensor:
    """Gradients (J, D) of samples, none longer than ``longest`` times their mean length."""
    length = gradient.norm(dim=-1, keepdim=True)
    limit = longest * length.mean()
    return gradient * (limit / length.clamp_min(1e-300)).clamp_max(1.0)
