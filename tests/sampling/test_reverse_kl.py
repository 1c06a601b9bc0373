"""Reverse KL with rising inverse temperature."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from refine.sampling.reverse_kl import fit
from refine.sampling.surrogate import Surrogate, SurrogateSettings
from refine.sampling.tempering import TemperingSettings


def test_a_tilted_gaussian_and_its_ln_z_are_found() -> None:
    """U = x1² + x2² + 1.4 x1 x2 − 2 x1: precision ((2, 1.4), (1.4, 2)), mean its inverse times (2, 0)."""
    precision = torch.tensor(((2.0, 1.4), (1.4, 2.0)), dtype=torch.float64)
    mean = torch.linalg.solve(precision, torch.tensor((2.0, 0.0), dtype=torch.float64))

    def energy(x: Tensor) -> Tensor:
        return 0.5 * ((x @ precision) * x).sum(-1) - 2 * x[:, 0]

    model = Surrogate(torch.tensor((1.5, 1.5)), SurrogateSettings(hidden=16, samples=200, rate=2e-2), seed=0)
    tempering = TemperingSettings(first_updates=40, updates=15, most_updates=30, kept=0.8)
    history = fit(model, energy, tempering, seed=1, final_updates=200)
    with torch.no_grad():
        x, _ = model.sample(4000, torch.Generator().manual_seed(2))
    assert history[-1].beta == 1.0 and len(history[-1].shares) == 1
    assert x.mean(0).tolist() == pytest.approx(mean.tolist(), abs=0.15)
    assert torch.cov(x.T).flatten().tolist() == pytest.approx(precision.inverse().flatten().tolist(), abs=0.2)
    exact = math.log(2 * math.pi) - 0.5 * float(precision.logdet()) + 0.5 * float(mean @ precision @ mean)
    assert history[-1].log_z == pytest.approx(exact, abs=0.1)
    assert history[-1].kish > 0.8


def two_gaussians(x: Tensor) -> Tensor:
    """−ln of 0.97 N((−2, 0), 0.4² and 1) + 0.03 N((2, 0), 0.4² and 1), in all of weight e³."""
    along = torch.stack((math.log(0.97) - 0.5 * ((x[:, 0] + 2) / 0.4) ** 2,
                         math.log(0.03) - 0.5 * ((x[:, 0] - 2) / 0.4) ** 2))  # fmt: skip
    return -torch.logsumexp(along, 0) + 0.5 * x[:, 1] ** 2 + math.log(0.4 * 2 * math.pi) - 3.0


def test_a_component_is_born_for_each_mode_and_weights_give_its_share() -> None:
    settings = SurrogateSettings(hidden=16, samples=200, rate=1e-2, components=2)
    model = Surrogate(torch.tensor((2.0, 1.5)), settings, seed=0)
    tempering = TemperingSettings(first_updates=20, updates=15, most_updates=30, kept=0.8)
    history = fit(model, two_gaussians, tempering, seed=1, final_updates=100)
    # at first both modes weigh the same: the law rises as p^β, beside a normal law that fades
    assert len(history[0].shares) == 1 and len(history[-1].shares) == 2
    assert min(history[-1].shares) == pytest.approx(0.03, rel=0.1)
    assert history[-1].log_z == pytest.approx(3.0, abs=0.15)
    x, _ = model.sample(5000, torch.Generator().manual_seed(3))
    assert float((x[:, 0] > 0).double().mean()) == pytest.approx(0.03, rel=0.15)
    assert history[-1].kish > 0.7


def test_same_seed_gives_the_same_model() -> None:
    def parameters(seed: int) -> Tensor:
        model = Surrogate(torch.ones(2), SurrogateSettings(hidden=8, samples=50), seed=0)
        few = TemperingSettings(first_updates=2, updates=1, most_updates=2, kept=0.1)
        fit(model, lambda x: (x**2).sum(-1), few, seed)
        return torch.nn.utils.parameters_to_vector(model.parameters()).detach()

    assert torch.equal(parameters(1), parameters(1))
    assert not torch.equal(parameters(1), parameters(2))
