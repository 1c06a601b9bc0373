"""One decoder and encoder: a law of configurations over latent variables of which it makes one mode."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

LEADING = 0.98
"""Share of the standard deviation of a coordinate that the latent makes which leads along it."""
_NOISE = math.sqrt(1 - LEADING**2) / LEADING
_NODES = 64
"""Latents over which what they make along a coordinate is measured."""


class Component(nn.Module):
    """Latents z ~ N(0, 1), decoder N(μ(z), LLᵀ), L a triangle that does not depend on z, and encoder
    N(m(x), diag σ²(x)); μ and m are networks beside linear maps.

    It begins as a normal law of which the encoder is the exact one; each latent explains ``LEADING`` of the spread of
    one coordinate and what goes with it. The noise along that coordinate is held to that share of what the latents
    make: of two ways to make the same law the bound prefers the one whose latents say nothing, as nothing is easily
    encoded.

    Args:
        mean, covariance: (D,) and (D, D), of the law that it begins as.
        columns: coordinates that the latents lead along; without any they lead nowhere.
        latent: number of latents; hidden: width of the layers of the networks; seed: of their parameters.
    """

    def __init__(
        self, mean: Tensor, covariance: Tensor, columns: Sequence[int], latent: int, hidden: int, seed: int
    ) -> None:
        super().__init__()
        self.dimensions, self.latent, self.columns = len(mean), latent, tuple(columns)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.decoder = nn.Sequential(
                nn.Linear(latent, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(),
                nn.Linear(hidden, self.dimensions),
            )  # fmt: skip
            self.encoder = nn.Sequential(
                nn.Linear(self.dimensions, hidden), nn.SELU(), nn.Linear(hidden, hidden), nn.SELU(),
                nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 2 * latent),
            )  # fmt: skip
        self.centre: Tensor
        self.spread: Tensor
        self.register_buffer("centre", mean.clone())
        self.register_buffer("spread", covariance.diagonal().sqrt())
        self.nodes: Tensor
        self.register_buffer("nodes", _nodes(latent))
        self.leading = nn.Parameter(torch.zeros(self.dimensions, latent))
        self.reading = nn.Parameter(torch.zeros(latent, self.dimensions))
        self.log_diagonal = nn.Parameter(torch.zeros(self.dimensions))
        self.triangle = nn.Parameter(torch.zeros(self.dimensions, self.dimensions))
        self.order = [*self.columns, *(k for k in range(self.dimensions) if k not in self.columns)]
        self.back = sorted(range(self.dimensions), key=self.order.__getitem__)
        self.double()
        self._begin(covariance / self.spread / self.spread[:, None])

    @torch.no_grad()
    def _begin(self, whole: Tensor) -> None:
        """Share a covariance (D, D) in units of ``spread`` between the latents and the noise; the networks say nothing
        as yet.
        """
        rest = whole.clone()
        for k, column in enumerate(self.columns):
            self.leading[:, k] = LEADING * rest[:, column] / rest[column, column].sqrt()
            rest -= self.leading[:, k : k + 1] @ self.leading[:, k : k + 1].T
        lower = torch.linalg.cholesky(rest[self.order][:, self.order])
        self.log_diagonal.copy_(lower.diagonal().log())
        self.triangle.copy_(torch.tril(lower, -1))
        for network in (self.decoder, self.encoder):
            _last(network).weight.zero_()
            _last(network).bias.zero_()
        self.reading.copy_(torch.linalg.solve(whole, self.leading).T)
        _last(self.encoder).bias[self.latent :] = (1 - (self.reading @ self.leading).diagonal()).log()

    @property
    def factor(self) -> Tensor:
        """L (D, D), of coordinates in units of ``spread``, those that latents lead along first (``order``)."""
        diagonal = self.log_diagonal.exp()
        if self.columns:
            made = (self.decoder(self.nodes) + self.nodes @ self.leading.T)[:, list(self.columns)]
            diagonal = torch.cat((_NOISE * made.std(0, correction=0), diagonal[len(self.columns) :]))
        return torch.tril(self.triangle, -1) + torch.diag(diagonal)

    def decoded(self, z: Tensor) -> Tensor:
        """Mean configurations (J, D) of latents (J, K)."""
        return self.centre + (self.decoder(z) + z @ self.leading.T) * self.spread

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance (J, K) of the latents of configurations (J, D)."""
        scaled = (x - self.centre) / self.spread
        mean, log_variance = self.encoder(scaled).chunk(2, -1)
        return mean + scaled @ self.reading.T, log_variance

    def log_encoder(self, x: Tensor, z: Tensor) -> Tensor:
        """ln r(z|x) (J,)."""
        mean, log_variance = self.posterior(x)
        return log_normal((z - mean) * (-0.5 * log_variance).exp()) - 0.5 * log_variance.sum(-1)

    def log_decoder(self, x: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
        """ln q(x|z) (J,) of configurations (J, D), ``decoded(z)`` and ``factor``."""
        scaled = torch.linalg.solve_triangular(factor, ((x - mean) / self.spread)[:, self.order].T, upper=False).T
        return log_normal(scaled) - (factor.diagonal() * self.spread).log().sum()

    def log_marginal(self, x: Tensor) -> Tensor:
        """ln q(x) (J,), as it is where the encoder is the exact one: ln q(z) + ln q(x|z) − ln r(z|x) at its mean."""
        mean, log_variance = self.posterior(x)
        log_joint = log_normal(mean) + self.log_decoder(x, self.decoded(mean), self.factor)
        return log_joint + 0.5 * (log_variance + math.log(2 * math.pi)).sum(-1)

    def forward_bound(self, x: Tensor, weights: Tensor, generator: torch.Generator) -> Tensor:
        """⟨ln r(z|x) − ln q(z) − ln q(x|z)⟩ over configurations (J, D) with weights (J,) and z of the encoder: but for
        a constant what KL(p ‖ q) is at most.
        """
        mean, log_variance = self.posterior(x)
        noise = even_normal(len(x), self.latent, generator)
        z = mean + (0.5 * log_variance).exp() * noise
        log_r = log_normal(noise) - 0.5 * log_variance.sum(-1)
        return (weights * (log_r - log_normal(z) - self.log_decoder(x, self.decoded(z), self.factor))).sum()

    def around(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """Configurations (J, D) about their means (J, D)."""
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
        return mean + (noise @ self.factor.T)[:, self.back] * self.spread

    @property
    def covariance(self) -> Tensor:
        """Of the noise (D, D)."""
        scaled = self.factor[self.back] * self.spread[:, None]
        return scaled @ scaled.T


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


def _nodes(latent: int) -> Tensor:
    """Latents (``_NODES``, K) of mean 0 and covariance 1."""
    z = even_normal(_NODES, latent, torch.Generator().manual_seed(0))
    z = z - z.mean(0)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(z.T @ z / _NODES), z.T, upper=False).T


def log_normal(scaled: Tensor) -> Tensor:
    """ln of the standard normal density (J,) at points (J, D)."""
    return -0.5 * (scaled**2 + math.log(2 * math.pi)).sum(-1)
