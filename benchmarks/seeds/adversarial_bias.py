"""A bias that drives a simulation to a prescribed distribution (TALOS): two distances, as in an S_N2 reaction.

    python benchmarks/seeds/adversarial_bias.py

Two states 12 kT apart along a curved valley, 64 walkers. The target is on d1 − d2 alone, even between the states and as
wide as they are; the bias acts on both distances. Judged under the bias as it is in the end, which then stands still.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from limits import write_result
from scipy.stats import wasserstein_distance
from torch import Tensor, nn

from refine.physics.toys import exchange, overdamped
from refine.sampling.adversary import Adversary, AdversarySettings, perceptron
from refine.sampling.reweight import LEAST_KISH, weights_of

WALKERS, STEP, MOVE_STEPS = 64, 2e-3, 60
MEMORY = 4
"""Last batches that bias and critic learn from."""
CENTRE = 1.9
"""Å, about which the bias sees the distances."""
FROZEN_STEPS = 20_000
LIMITS = {
    "crossings_frozen": (">=", 20),
    "crossings_plain": ("<=", 2),
    "w1_share_of_start": ("<=", 0.7),
    "complementarity": (">=", 0.8),
}
GOALS = {
    "crossings_frozen": (">=", 200),
    "w1_share_of_start": ("<=", 0.2),
    "complementarity": (">=", 0.9),
    "free_energy_error_kt": ("<=", 0.5),
    "kish": (">=", LEAST_KISH),
}


class Bias(nn.Module):
    """V of both distances, kT."""

    def __init__(self) -> None:
        super().__init__()
        self.net = perceptron(2)

    def forward(self, q: Tensor) -> Tensor:
        return self.net(q - CENTRE)


def along_valley(s: Tensor) -> Tensor:
    """Distances (N, 2) at the bottom of the valley."""
    r = 3 - 0.4 * s**2
    return torch.stack((r + s, r - s), 1) / 2**0.5


def difference(q: Tensor) -> Tensor:
    return q[..., 0] - q[..., 1]


def crossings(path: Tensor) -> int:
    """Times that walkers (F, W, 2) went from beyond −0.5 Å to beyond 0.5 Å of d1 − d2, or back."""
    side, count = torch.sign(difference(path[0])), 0
    for d in difference(path):
        new = torch.where(d.abs() > 0.5, torch.sign(d), side)
        count += int((new != side).sum())
        side = new
    return count


def measure(iterations: int, frozen_steps: int, seed: int = 0) -> tuple[dict[str, Any], list[float]]:
    """Numbers of the limits, and W1 at every tenth iteration."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    half = torch.ones(WALKERS)
    half[: WALKERS // 2] = -1
    plain = overdamped(exchange, along_valley(half), STEP, frozen_steps, 20, generator)
    settled = difference(plain[len(plain) // 5 :]).flatten()
    left, right = settled[settled < 0], settled[settled > 0]
    share = torch.rand(4000, generator=generator)
    spread = 0.5 * (left.std() + right.std()) * torch.randn(4000, generator=generator)
    target = ((1 - share) * left.mean() + share * right.mean() + spread)[:, None]
    adversary = Adversary(Bias(), 1, AdversarySettings(), generator)
    q, batches, course = plain[-1], list[Tensor](), list[float]()
    for n in range(iterations):
        path = overdamped(lambda x: exchange(x) + adversary.bias(x)[:, 0], q, STEP, MOVE_STEPS, 15, generator)
        q, batches = path[-1], [*batches, path.reshape(-1, 2)][-MEMORY:]
        recent = torch.cat(batches)
        adversary.update(recent, difference(recent)[:, None], target)
        if n % 10 == 9:
            course.append(adversary.distance)
    bias = adversary.averaged
    path = overdamped(lambda x: exchange(x) + bias(x)[:, 0], q, STEP, frozen_steps, 20, generator)
    return of_frozen(path, bias, target, adversary.start) | {
        "crossings_plain": crossings(plain),
        "moves": adversary.moved,
        "iterations": iterations,
        "walker_steps_frozen": frozen_steps * WALKERS,
    }, course


def of_frozen(path: Tensor, bias: nn.Module, target: Tensor, start: float) -> dict[str, Any]:
    """Numbers of the dynamics (F, W, 2) under the frozen bias."""
    late = path[len(path) // 10 :]
    d = difference(late).flatten().numpy()
    s = torch.linspace(-1.1, 1.1, 45)
    with torch.no_grad():
        weights = weights_of(bias(late.reshape(-1, 2))[:, 0].double().numpy())
        valley = bias(along_valley(s))[:, 0].numpy()
    right = float(weights.values[d > 0].sum())
    return {
        "crossings_frozen": crossings(path),
        "w1_share_of_start": float(wasserstein_distance(d, target[:, 0].numpy()) / start),
        "complementarity": float(np.corrcoef(valley, -exchange(along_valley(s)).numpy())[0, 1]),
        "free_energy_error_kt": abs(float(np.log(right / (1 - right)))) if 0 < right < 1 else None,
        "kish": weights.kish,
        "frames": len(d),
    }


def main() -> int:
    torch.set_num_threads(1)
    numbers, course = measure(400, FROZEN_STEPS)
    how = {
        "command": "python benchmarks/seeds/adversarial_bias.py",
        "goals": {name: list(goal) for name, goal in GOALS.items()},
        "w1_by_ten_iterations": course,
        "seed": 0,
    }
    return 0 if write_result("adversarial_bias", numbers, LIMITS, how) else 1


if __name__ == "__main__":
    sys.exit(main())
