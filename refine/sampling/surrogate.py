"""A sampler learned from energies and forces alone, and the latent variables it finds.

Schöberl, Zabaras & Koutsourelakis, "Embedded-physics machine learning for coarse-graining and collective variable
discovery without data" (2020): latent z ~ N(0, 1), decoder q(x|z), encoder r(z|x). Maximised is
⟨−βU(x) + ln r(z|x) − ln q(z) − ln q(x|z)⟩ over q(x, z), at most ln Z − KL(q ‖ p), while β rises from 0.

Reverse KL starves minor modes, and its value does not show it. What is done here against that:

- a share of each update is the forward divergence over the same samples with their importance weights (as in
  reweighted wake-sleep, Bornschein & Bengio 2015, with both networks), which gives a mode back what the model has taken
  from it while samples of it are left;
- latents are drawn evenly (one in each of J equally probable intervals) from a law wider than theirs, with weights, so
  that a mode of 1 % in a tail has several % of the samples of every update, and the gradient is that along the samples
  alone, which has no noise where the model is exact (Roeder, Wu & Duvenaud 2017);
- it begins as one normal law, and where that no longer does the latents are turned to the coordinates least like one:
  left to themselves they find no direction before modes are lost (measured: two of three times);
- a temperature counts as done once the weights are even over the latent space (``tempering``);
- no gradient is cut: cutting those of single samples moves the balance of modes (measured);
- at β = 0 the law is a normal one that the decoder holds exactly, not a box, which no decoder fits.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from refine.sampling.tempering import TemperingSettings, imbalance, kish, log_z_change, next_step

Energy = Callable[[Tensor], Tensor]
"""From configurations (J, D) to reduced energies U/kT (J,), differentiable (``physics.bridge`` makes one of OpenMM)."""
LEADING = 0.8
"""Share of the standard deviation of a coordinate that a latent makes where it begins to lead."""
TWO_MODES = 2.2
"""Kurtosis of a coordinate below which one normal law does not do."""
CLEARLY = 5.0
"""Standard errors by which it must be below that of a normal law."""
SHORTEST = 0.02
"""Step of β that halving does not go below: shares of what is left would never reach the end."""
SETTLED = 0.05
"""Share of the rate at the end of the last updates."""
WINDOW = 10
"""Last updates of a temperature whose samples are judged together."""


@dataclasses.dataclass(frozen=True)
class SurrogateSettings:
    """Model and training.

    Attributes:
        latent: number of latent variables; hidden: width of the layers of encoder and decoder.
        samples: drawn for each update; rate: of Adam.
        forward: share of the forward divergence in each update; 0 is the method as published.
        wide: standard deviation of the latents that are drawn, in that of the model: minor modes sit in the tails, and
            have more samples than they weigh.
        fade: β, as a share of the last, at which nothing is left of the law at β = 0.
    """

    latent: int = 1
    hidden: int = 100
    samples: int = 1000
    rate: float = 1e-3
    forward: float = 0.5
    wide: float = 1.5
    fade: float = 1.0


@dataclasses.dataclass(frozen=True)
class Batch:
    """Samples x (J, D), z (J, K), ln of what each counts as one of the model (J,), their energies (J,), those of the
    law at β = 0, and ln w (J,), of what each counts as one of the target.
    """

    x: Tensor
    z: Tensor
    log_share: Tensor
    energy: Tensor
    start: Tensor
    log_weights: Tensor


class Surrogate(nn.Module):
    """Decoder N(μ(z), LLᵀ), L a triangle that does not depend on z, and encoder N(m(x), diag σ²(x)); μ and m are
    networks beside linear maps.

    It begins as one normal law, which needs no latents; ``lead`` gives them a direction.

    Args:
        spread: (D,) standard deviations of the law at β = 0, which is normal about 0.
        settings: see there; seed: of the first parameters.
    """

    def __init__(self, spread: Tensor, settings: SurrogateSettings, seed: int) -> None:
        super().__init__()
        self.settings, self.dimensions = settings, len(spread)
        width, latent = settings.hidden, settings.latent
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.decoder = nn.Sequential(
                nn.Linear(latent, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(),
                nn.Linear(width, self.dimensions),
            )  # fmt: skip
            self.encoder = nn.Sequential(
                nn.Linear(self.dimensions, width), nn.SELU(), nn.Linear(width, width), nn.SELU(),
                nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 2 * latent),
            )  # fmt: skip
        self.leading = nn.Parameter(torch.zeros(self.dimensions, latent))
        self.reading = nn.Parameter(torch.zeros(latent, self.dimensions))
        self.log_diagonal = nn.Parameter(torch.zeros(self.dimensions))
        self.triangle = nn.Parameter(torch.zeros(self.dimensions, self.dimensions))
        self.spread: Tensor
        self.register_buffer("spread", spread.clone())
        self.double()
        self._quieten()

    def _quieten(self) -> None:
        """Let both networks say nothing as yet."""
        with torch.no_grad():
            for network in (self.decoder, self.encoder):
                last = _last(network)
                last.weight.zero_()
                last.bias.zero_()

    @torch.no_grad()
    def lead(self, columns: Sequence[int]) -> None:
        """Let each latent explain ``LEADING`` of the spread of one coordinate and what goes with it; the law of the
        configurations stays as it is, and the encoder is the exact one.
        """
        whole = self.leading @ self.leading.T + self.factor @ self.factor.T
        rest = whole.clone()
        for k, column in enumerate(columns):
            self.leading[:, k] = LEADING * rest[:, column] / rest[column, column].sqrt()
            rest -= self.leading[:, k : k + 1] @ self.leading[:, k : k + 1].T
        lower = torch.linalg.cholesky(rest)
        self.log_diagonal.copy_(lower.diagonal().log())
        self.triangle.copy_(torch.tril(lower, -1))
        self._quieten()
        self.reading.copy_(torch.linalg.solve(whole, self.leading).T)
        left = 1 - (self.reading @ self.leading).diagonal()
        _last(self.encoder).bias[self.settings.latent :] = left.log()

    @property
    def factor(self) -> Tensor:
        """L (D, D), of coordinates in units of ``spread``."""
        return torch.tril(self.triangle, -1) + torch.diag(self.log_diagonal.exp())

    def decoded(self, z: Tensor) -> Tensor:
        """Mean configurations (J, D) of latents (J, K)."""
        mean: Tensor = (self.decoder(z) + z @ self.leading.T) * self.spread
        return mean

    def encoded(self, x: Tensor) -> Tensor:
        """Mean latent variables (J, K) of configurations (J, D)."""
        mean, _ = self._posterior(x)
        return mean

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance (J, K) of the latents of configurations (J, D)."""
        scaled = x / self.spread
        mean, log_variance = self.encoder(scaled).chunk(2, -1)
        return mean + scaled @ self.reading.T, log_variance

    def log_encoder(self, x: Tensor, z: Tensor) -> Tensor:
        """ln r(z|x) (J,)."""
        mean, log_variance = self._posterior(x)
        return _log_normal((z - mean) * (-0.5 * log_variance).exp()) - 0.5 * log_variance.sum(-1)

    def log_decoder(self, x: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
        """ln q(x|z) (J,) of configurations (J, D), ``decoded(z)`` and ``factor``."""
        scaled = torch.linalg.solve_triangular(factor, ((x - mean) / self.spread).T, upper=False).T
        return _log_normal(scaled) - (factor.diagonal() * self.spread).log().sum()

    def forward_bound(self, x: Tensor, weights: Tensor, generator: torch.Generator) -> Tensor:
        """⟨ln r(z|x) − ln q(z) − ln q(x|z)⟩ over configurations (J, D) with weights (J,) and z of the encoder: but for
        a constant what KL(p ‖ q) is at most. It gives each mode as many latents as it has weight.
        """
        mean, log_variance = self._posterior(x)
        noise = even_normal(len(x), self.settings.latent, generator)
        z = mean + (0.5 * log_variance).exp() * noise
        log_r = _log_normal(noise) - 0.5 * log_variance.sum(-1)
        log_q = _log_normal(z) + self.log_decoder(x, self.decoded(z), self.factor)
        return (weights * (log_r - log_q)).sum()

    def sample(
        self, count: int, generator: torch.Generator, wide: float = 1.0
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Configurations (count, D), their means (count, D), latents (count, K) and ln of what each counts (count,);
        with ``wide`` above 1 from a wider law of latents. Gradients flow to the decoder.
        """
        z = wide * even_normal(count, self.settings.latent, generator)
        noise = torch.randn(count, self.dimensions, generator=generator, dtype=z.dtype)
        mean = self.decoded(z)
        return mean + (noise @ self.factor.T) * self.spread, mean, z, 0.5 * ((z / wide) ** 2 - z**2).sum(-1)


def _last(network: nn.Sequential) -> nn.Linear:
    last = network[-1]
    assert isinstance(last, nn.Linear)
    return last


def even_normal(count: int, dimensions: int, generator: torch.Generator) -> Tensor:
    """Standard normal numbers (count, dimensions), each column with one in every of ``count`` equally probable
    intervals (Latin hypercube).
    """
    columns = [
        (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator, dtype=torch.float64))
        for _ in range(dimensions)
    ]
    return torch.special.ndtri((torch.stack(columns, 1) / count).clamp(1e-9, 1 - 1e-9))


def _log_normal(scaled: Tensor) -> Tensor:
    return -0.5 * (scaled**2 + math.log(2 * math.pi)).sum(-1)


@dataclasses.dataclass(frozen=True)
class Temperature:
    """What one inverse temperature ended with: updates, Kish share and imbalance of the weights of the last updates,
    ln Z, bound on the divergence, and what ``watch`` measured.
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
) -> list[Temperature]:
    """Train ``model`` (in place) to sample exp(−βU) from β = 0 to β = 1; what every temperature ended with.

    Args:
        energy: U/kT.
        seed: of the samples.
        watch: measures the samples of the last updates of every temperature, e.g. how much each known mode has.
        final_updates: more of them at β = 1, with a rate that falls.
    """
    training, leads = _Training(model, energy, seed), False
    log_z = float((model.spread * math.sqrt(2 * math.pi)).log().sum())
    beta, halvings = 0.0, 0
    history: list[Temperature] = []
    while True:
        least = tempering.updates if history else tempering.first_updates
        updates, batch = training.converge(beta, tempering, least)
        if not leads and (columns := not_normal(batch, tempering, model.settings.latent)):
            training.lead(columns)
            leads, (more, batch) = True, training.converge(beta, tempering, least)
            updates += more
        if beta == 1.0 and final_updates:
            batch = training.settle(beta, final_updates)
        divergence = log_z - float(torch.softmax(batch.log_share, 0) @ (batch.log_weights - batch.log_share))
        uneven = imbalance(batch.log_weights, batch.z)
        share = kish(batch.log_weights)
        history.append(Temperature(beta, updates, share, uneven, log_z, divergence, watch(model, batch)))
        if beta == 1.0:
            return history
        halvings = 0 if tempering.done(batch.log_weights, batch.z) else halvings + 1
        rise = _rise(batch, beta, model.settings.fade)
        step = next_step(batch.log_weights, batch.log_share, rise, 1.0 - beta, tempering, divergence)
        step = max(step * max(0.5**halvings, tempering.least_step), min(step, SHORTEST))
        log_z += log_z_change(batch.log_weights, rise(step))
        beta = 1.0 if beta + step >= 1 - 1e-9 else beta + step


def _start_share(beta: float, fade: float) -> float:
    """What is left at β of the law at β = 0."""
    return max(0.0, 1.0 - beta / fade)


def _rise(batch: Batch, beta: float, fade: float) -> Callable[[float], Tensor]:
    def rise(step: float) -> Tensor:
        less = _start_share(beta + step, fade) - _start_share(beta, fade)
        return step * batch.energy + less * batch.start

    return rise


class _Training:
    """Updates of one model, and the samples of the last of them."""

    def __init__(self, model: Surrogate, energy: Energy, seed: int) -> None:
        self.model, self.energy = model, energy
        self.generator = torch.Generator().manual_seed(seed)
        self.optimiser = torch.optim.Adam(model.parameters(), lr=model.settings.rate)

    def converge(self, beta: float, tempering: TemperingSettings, least: int) -> tuple[int, Batch]:
        """Updates until the weights are even, ``least`` at the least; how many, and the samples of the last ones."""
        done, batch = least, self.run(beta, least)
        while done < tempering.most_updates and not tempering.done(batch.log_weights, batch.z):
            batch = self.run(beta, WINDOW)
            done += WINDOW
        return done, batch

    def lead(self, columns: Sequence[int]) -> None:
        """Turn the latents to some coordinates; what the optimiser has gathered is of no more use."""
        self.model.lead(columns)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=self.model.settings.rate)

    def run(self, beta: float, updates: int) -> Batch:
        """The samples of the last ``WINDOW`` of some updates."""
        last: collections.deque[Batch] = collections.deque(maxlen=WINDOW)
        for _ in range(updates):
            last.append(self.update(beta))
        return _joined(last)

    def settle(self, beta: float, updates: int) -> Batch:
        """As ``run``, with a rate that falls to ``SETTLED`` of itself: at full rate the shares of modes waver."""
        rate = self.model.settings.rate
        last: collections.deque[Batch] = collections.deque(maxlen=WINDOW)
        for k in range(updates):
            fall = 0.5 * (1 + math.cos(math.pi * k / updates))
            self.optimiser.param_groups[0]["lr"] = rate * (SETTLED + (1 - SETTLED) * fall)
            last.append(self.update(beta))
        return _joined(last)

    def update(self, beta: float) -> Batch:
        model, settings = self.model, self.model.settings
        x, mean, z, log_share = model.sample(settings.samples, self.generator, settings.wide)
        energy, start = self.energy(x), 0.5 * (x / model.spread).square().sum(-1)
        reduced = beta * energy + _start_share(beta, settings.fade) * start
        # the decoder's own parameters held: its gradient flows through the samples alone
        log_q = model.log_decoder(x, mean.detach(), model.factor.detach()) + _log_normal(z)
        log_p = model.log_encoder(x, z) - reduced
        share = torch.softmax(log_share, 0)
        loss, still = -(share * (log_p - log_q)).sum(), (log_p - log_q).detach() + log_share
        if settings.forward > 0:
            forward = model.forward_bound(x.detach(), torch.softmax(still, 0), self.generator)
            loss = (1 - settings.forward) * loss + settings.forward * forward
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return Batch(x.detach(), z, log_share, energy.detach(), start.detach(), still)


def _joined(batches: Iterable[Batch]) -> Batch:
    parts = list(batches)
    return Batch(*(torch.cat([getattr(b, f.name) for b in parts]) for f in dataclasses.fields(Batch)))


def not_normal(batch: Batch, tempering: TemperingSettings, count: int) -> list[int]:
    """The ``count`` coordinates whose weighted samples have the least kurtosis (3 is that of a normal law, two equal
    modes have 1 to 2), once one has clearly less than ``TWO_MODES``, or the weights are too uneven; before that none.
    """
    weights = torch.softmax(batch.log_weights, 0)[:, None]
    away = batch.x - (weights * batch.x).sum(0)
    kurtosis = (weights * away**4).sum(0) / (weights * away**2).sum(0) ** 2
    even = kish(batch.log_weights)
    noise = math.sqrt(24 / (even * len(batch.x)))  # standard error for a normal law
    if float(kurtosis.min()) > min(TWO_MODES, 3 - CLEARLY * noise) and even >= tempering.converged:
        return []
    return [int(k) for k in kurtosis.argsort()[:count]]
