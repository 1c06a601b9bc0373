"""A bias that drives a simulation to a prescribed distribution of a descriptor, learned against a critic (TALOS).

The critic D is trained to tell samples of the target from those of the simulation: its loss ⟨D⟩_sampled − ⟨D⟩_target,
with gradients held to 1, estimates −W1, the Wasserstein distance. The bias V descends the score-function gradient
⟨(D − ⟨D⟩) β∇V⟩ of ⟨−D⟩ over the simulation, so that it falls where the target wants more samples. V is in kT.

Adam walks at full speed whatever the size of a gradient. So the bias only moves while the critic can be trusted, which
in one dimension is known exactly, and its speed falls with the distance that is left.
"""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True)
class AdversarySettings:
    """How bias and critic are learned.

    Attributes:
        critic_rate, bias_rate: of Adam.
        warm_up: updates of the critic before the bias moves; critic_updates: before each move.
        penalty: weight of (max(0, |∇D| − 1))².
        batch: samples of an update of the critic.
        trusted: largest relative error of the critic's W1 at which the bias moves.
        slowing: power of W1 over its start by which moves become slower.
        average: decay of the running average of the bias, which is what is used at the end.
    """

    critic_rate: float = 2e-3
    bias_rate: float = 3e-3
    warm_up: int = 300
    critic_updates: int = 12
    penalty: float = 10.0
    batch: int = 256
    trusted: float = 0.1
    slowing: float = 1.5
    average: float = 0.99


def perceptron(inputs: int, width: int = 32) -> nn.Sequential:
    """A smooth network of two hidden layers and one output."""
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))


class Adversary:
    """Bias and critic.

    Args:
        bias: network of V, (N, d) → (N, 1) kT; descriptors stay those of the caller.
        inputs: numbers that the critic sees of a sample.
        settings: how; generator: of batches. The weights of the critic begin as torch's own seed has them.

    Attributes:
        distance: W1 of the last move, by scipy where the descriptor is one number, else by the critic; start: of the
            first; moved: how many moves the bias made.
    """

    def __init__(self, bias: nn.Module, inputs: int, settings: AdversarySettings, generator: torch.Generator) -> None:
        self.bias, self.settings, self._generator = bias, settings, generator
        self.averaged = copy.deepcopy(bias).requires_grad_(False)
        self.critic = perceptron(inputs)
        betas = (0.5, 0.9)
        self._critic_step = torch.optim.Adam(self.critic.parameters(), lr=settings.critic_rate, betas=betas)
        self._bias_step = torch.optim.Adam(bias.parameters(), lr=settings.bias_rate, betas=betas)
        self.distance = self.start = float("nan")
        self.moved, self._rounds = 0, 0

    def update(self, q: Tensor, sampled: Tensor, target: Tensor) -> None:
        """Train the critic, then move the bias if the critic can be trusted.

        Args:
            q: (N, d) variables of samples that were made under the bias as it was lately; sampled: (N, inputs)
                descriptor of the same; target: (M, inputs) samples of what it should be.
        """
        s = self.settings
        for _ in range(s.critic_updates if self._rounds else s.warm_up):
            self._train_critic(sampled, target)
        self._rounds += 1
        with torch.no_grad():
            value = self.critic(sampled)[:, 0]
            claimed = float(self.critic(target).mean() - value.mean())
        exact = claimed
        if sampled.shape[1] == 1:
            exact = float(wasserstein_distance(sampled[:, 0].numpy(), target[:, 0].numpy()))
        self.distance = exact
        self.start = exact if np.isnan(self.start) else self.start
        if abs(claimed - exact) > s.trusted * exact:
            return
        self.moved += 1
        self._bias_step.param_groups[0]["lr"] = s.bias_rate * min(1.0, max(exact, 0.0) / self.start) ** s.slowing
        loss = ((value - value.mean()) * self.bias(q)[:, 0]).mean()
        self._bias_step.zero_grad()
        loss.backward()
        self._bias_step.step()
        with torch.no_grad():
            share = 1 - min(s.average, self.moved / (self.moved + 10))
            for mean, now in zip(self.averaged.parameters(), self.bias.parameters(), strict=True):
                mean.lerp_(now, share)

    def _train_critic(self, sampled: Tensor, target: Tensor) -> None:
        s, g = self.settings, self._generator
        ours = sampled[torch.randint(len(sampled), (s.batch,), generator=g)]
        wanted = target[torch.randint(len(target), (s.batch,), generator=g)]
        share = torch.rand((s.batch, 1), generator=g)
        between = (share * ours + (1 - share) * wanted).requires_grad_(True)
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        excess = (slope.norm(dim=1) - 1).clamp_min(0)
        loss = self.critic(ours).mean() - self.critic(wanted).mean() + s.penalty * excess.square().mean()
        self._critic_step.zero_grad()
        loss.backward()
        self._critic_step.step()
