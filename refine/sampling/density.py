"""Free energy of a few variables from samples of them: an energy-based density, learned by the variational rule
∇KL(p ‖ p_θ) = ⟨∇F_θ⟩_p − ⟨∇F_θ⟩_{p_θ} with p_θ ∝ exp(−F_θ), F in units of kT (VIFE).
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

MAX_FORCE = 20.0
"""kT per standard deviation, to which the force on a chain is cut."""


@dataclasses.dataclass(frozen=True)
class DensitySettings:
    """How a density is learned.

    Attributes:
        epochs: times ``batches`` updates; batch: samples of each.
        rate: of Adam; late_rate: after the ``late`` share of the epochs.
        chains: persistent chains that sample the model; chain_steps: Langevin steps of theirs an update.
        chain_step: length of such a step in variances of the samples.
        average: decay of the running average of the weights, which is what is used.
    """

    epochs: int = 50
    batches: int = 100
    batch: int = 512
    rate: float = 1e-3
    late_rate: float = 2e-4
    late: float = 0.6
    chains: int = 512
    chain_steps: int = 10
    chain_step: float = 0.03
    average: float = 0.999


class FreeEnergyNetwork(nn.Module):
    """F_θ(q): a smooth network (SiLU) of standardised variables, or of sine and cosine of periodic ones, with a
    parabola that keeps unbounded variables near the samples.

    Args:
        mean, spread: (d,) of the samples.
        periods: of each variable, None where it is not periodic.
        width: of its three hidden layers.
    """

    def __init__(
        self, mean: Tensor, spread: Tensor, periods: Sequence[float | None] | None = None, width: int = 64
    ) -> None:
        super().__init__()
        given = periods if periods is not None else [None] * len(mean)
        self.periodic = torch.tensor([p is not None for p in given])
        turn = torch.tensor([2 * torch.pi / p if p else 1.0 for p in given], dtype=mean.dtype)
        self.mean = nn.Parameter(torch.where(self.periodic, 0.0, mean), requires_grad=False)
        self.spread = nn.Parameter(torch.where(self.periodic, 1 / turn, spread), requires_grad=False)
        features = int((1 + self.periodic).sum())
        layers: list[nn.Module] = []
        for into in (features, width, width):
            layers += [nn.Linear(into, width), nn.SiLU()]
        self.net = nn.Sequential(*layers, nn.Linear(width, 1)).to(mean.dtype)

    def scaled(self, q: Tensor) -> Tensor:
        """Variables in standard deviations, or in radians where they are periodic."""
        return (q - self.mean) / self.spread

    def forward(self, q: Tensor) -> Tensor:
        """(N,) kT at points (N, d)."""
        return self.of_scaled(self.scaled(q))

    def of_scaled(self, u: Tensor) -> Tensor:
        """``forward`` of what ``scaled`` gives."""
        free, turning = u[:, ~self.periodic], u[:, self.periodic]
        features = torch.cat((free, torch.sin(turning), torch.cos(turning)), dim=1)
        return self.net(features)[:, 0] + 0.125 * (free**2).sum(1)


def learn_density(
    samples: Tensor,
    settings: DensitySettings,
    generator: torch.Generator,
    periods: Sequence[float | None] | None = None,
    on_epoch: Callable[[int, FreeEnergyNetwork], None] | None = None,
) -> FreeEnergyNetwork:
    """The free energy of equilibrium samples.

    Args:
        samples: (N, d), each as likely as exp(−F); weights are not known here.
        settings: how; generator: of batches, chains and noise. The weights begin as torch's own seed has them.
        periods: of each variable, None where it is not periodic.
        on_epoch: told the number of the epoch (from 1) and the averaged network after it.

    Returns:
        the network whose weights are the running average.
    """
    network = FreeEnergyNetwork(samples.mean(0), samples.std(0), periods)
    averaged = copy.deepcopy(network).requires_grad_(False)
    optimiser = torch.optim.Adam(network.net.parameters(), lr=settings.rate)
    scaled = network.scaled(samples)
    chains = scaled[torch.randint(len(scaled), (settings.chains,), generator=generator)]
    for epoch in range(1, settings.epochs + 1):
        if epoch > settings.late * settings.epochs:
            optimiser.param_groups[0]["lr"] = settings.late_rate
        for _ in range(settings.batches):
            batch = scaled[torch.randint(len(scaled), (settings.batch,), generator=generator)]
            chains = _moved(network, chains, settings, generator)
            loss = network.of_scaled(batch).mean() - network.of_scaled(chains).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                for mean, now in zip(averaged.net.parameters(), network.net.parameters(), strict=True):
                    mean.lerp_(now, 1 - settings.average if epoch > 1 else 0.05)
        if on_epoch is not None:
            on_epoch(epoch, averaged)
    return averaged


def _moved(network: FreeEnergyNetwork, chains: Tensor, settings: DensitySettings, generator: torch.Generator) -> Tensor:
    """Chains after some Langevin steps on F_θ; they are never put back to the data."""
    h = settings.chain_step
    for _ in range(settings.chain_steps):
        at = chains.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(network.of_scaled(at).sum(), at)
        noise = torch.randn(at.shape, generator=generator, dtype=at.dtype)
        chains = at.detach() - h * slope.clamp(-MAX_FORCE, MAX_FORCE) + (2 * h) ** 0.5 * noise
    return chains
