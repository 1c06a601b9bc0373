"""Reverse KL with rising inverse temperature."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from refine.sampling.surrogate import Surrogate, SurrogateSettings, fit, shortened
from refine.sampling.tempering import (
    TemperingSettings,
    bound_increase,
    imbalance,
    kish,
    log_z_change,
    next_step,
)


def test_kish_share_and_change_of_ln_z() -> None:
    assert kish(torch.zeros(10)) == pytest.approx(1.0)
    assert kish(torch.tensor((0.0, -100.0))) == pytest.approx(0.5)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200_000, generator=generator, dtype=torch.float64)
    energy = 0.5 * x**2
    # from exp(-x²/2) to exp(-x²): Z falls by sqrt(1/2)
    assert log_z_change(torch.zeros(len(x)), energy, 1.0) == pytest.approx(-0.5 * math.log(2), abs=0.01)


def test_step_is_as_long_as_the_weights_allow() -> None:
    energy = torch.linspace(0, 10, 1000)
    settings = TemperingSettings(kept=0.9, bound=1e9)
    step = next_step(torch.zeros(1000), energy, 0.0, settings, 1.0, math.inf)
    assert 0 < step < 1
    assert kish(-step * energy) >= 0.9 > kish(-step / 0.6 * energy)
    assert next_step(torch.zeros(1000), energy, 0.999, settings, 1.0, math.inf) <= 0.001 + 1e-12
    short = next_step(torch.zeros(1000), energy, 0.0, TemperingSettings(kept=0.0, bound=1e-4), 1.0, math.inf)
    assert bound_increase(torch.zeros(1000), energy, short, 1.0) <= 1e-4 and short < step


def test_imbalance_shows_a_slice_of_latent_space_that_is_starved() -> None:
    latent = torch.linspace(-3, 3, 800)[:, None]
    even = torch.zeros(800)
    assert imbalance(even, latent) == pytest.approx(0.0, abs=1e-5)
    heavy = torch.where(latent[:, 0] > 2.3, 2.0, 0.0)
    assert imbalance(heavy, latent) > 0.5


def test_long_gradients_are_cut() -> None:
    gradient = torch.ones(10, 2)
    gradient[0] = 1000.0
    cut = shortened(gradient, 3.0)
    assert torch.equal(cut[1:], gradient[1:])
    assert float(cut[0].norm()) == pytest.approx(3 * float(gradient.norm(dim=-1).mean()), rel=1e-5)


def test_a_gaussian_and_its_ln_z_are_found() -> None:
    """U = ½(x1² + 4 x2²) − 2 x1: mean (2, 0), variances 1 and ¼, ln Z = ln 2π − ln 2 + 2."""

    def energy(x: Tensor) -> Tensor:
        return 0.5 * (x[:, 0] ** 2 + 4 * x[:, 1] ** 2) - 2 * x[:, 0]

    model = Surrogate(2, SurrogateSettings(hidden=24, samples=300, rate=1.5e-2, box=6.0), seed=0)
    tempering = TemperingSettings(first=1e-3, first_updates=120, updates=15, most_updates=30, kept=0.7)
    history = fit(model, energy, tempering, seed=1, final_updates=150)
    x, z = model.sample(4000, torch.Generator().manual_seed(2))
    assert history[-1].beta == 1.0
    assert float(x[:, 0].mean()) == pytest.approx(2.0, abs=0.15)
    assert float(x[:, 0].std()) == pytest.approx(1.0, abs=0.12)
    assert float(x[:, 1].std()) == pytest.approx(0.5, abs=0.08)
    assert history[-1].log_z == pytest.approx(math.log(math.pi) + 2, abs=0.4)
    assert history[-1].kish > 0.6


def test_same_seed_gives_the_same_model() -> None:
    def parameters(seed: int) -> Tensor:
        model = Surrogate(2, SurrogateSettings(hidden=8, samples=50, box=3.0), seed=0)
        few = TemperingSettings(first=0.5, first_updates=2, updates=1, most_updates=2)
        fit(model, lambda x: (x**2).sum(-1), few, seed)
        return torch.nn.utils.parameters_to_vector(model.parameters()).detach()

    assert torch.equal(parameters(1), parameters(1)) and not torch.equal(parameters(1), parameters(2))
