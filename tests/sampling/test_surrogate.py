"""Reverse KL with rising inverse temperature."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from refine.sampling.surrogate import Surrogate, SurrogateSettings, even_normal, fit
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
    # from exp(-x²/2) to exp(-x²): Z falls by sqrt(1/2)
    assert log_z_change(torch.zeros(len(x)), 0.5 * x**2) == pytest.approx(-0.5 * math.log(2), abs=0.01)


def test_step_is_as_long_as_the_weights_allow() -> None:
    energy = torch.linspace(0, 10, 1000, dtype=torch.float64)
    even, settings = torch.zeros(1000, dtype=torch.float64), TemperingSettings(kept=0.9, bound=1e9)

    def rise(step: float) -> Tensor:
        return step * energy

    step = next_step(even, even, rise, 1.0, settings, 1.0)
    assert 0 < step < 1
    assert kish(-rise(step)) >= 0.9 > kish(-rise(step / 0.6))
    assert next_step(even, even, rise, 0.001, settings, 1.0) == 0.001
    short = next_step(even, even, rise, 1.0, TemperingSettings(kept=0.0, bound=1e-4), 1.0)
    assert bound_increase(even, even, rise(short), 1.0) <= 1e-4
    assert short < step


def test_imbalance_shows_a_tail_of_latent_space_that_is_starved() -> None:
    latent = even_normal(20_000, 1, torch.Generator().manual_seed(0))
    even = torch.zeros(len(latent), dtype=torch.float64)
    assert imbalance(even, latent) == pytest.approx(0.0, abs=0.02)
    starved = torch.where(latent[:, 0] > 2.6, math.log(5.0), 0.0).double()
    assert imbalance(starved, latent) > 1.0
    assert not TemperingSettings().done(starved, latent)
    assert TemperingSettings().done(even, latent)


def test_even_normal_numbers_have_one_in_each_interval() -> None:
    z = even_normal(100, 2, torch.Generator().manual_seed(3))
    for column in torch.special.ndtr(z).T:
        assert torch.equal((100 * column).floor().sort().values, torch.arange(100, dtype=torch.float64))
    assert abs(float(torch.corrcoef(z.T)[0, 1])) < 0.3


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
        x, _, _, _ = model.sample(4000, torch.Generator().manual_seed(2))
    assert history[-1].beta == 1.0
    assert x.mean(0).tolist() == pytest.approx(mean.tolist(), abs=0.15)
    assert torch.cov(x.T).flatten().tolist() == pytest.approx(precision.inverse().flatten().tolist(), abs=0.2)
    exact = math.log(2 * math.pi) - 0.5 * float(precision.logdet()) + 0.5 * float(mean @ precision @ mean)
    assert history[-1].log_z == pytest.approx(exact, abs=0.1)
    assert history[-1].kish > 0.8


def test_same_seed_gives_the_same_model() -> None:
    def parameters(seed: int) -> Tensor:
        model = Surrogate(torch.ones(2), SurrogateSettings(hidden=8, samples=50), seed=0)
        few = TemperingSettings(first_updates=2, updates=1, most_updates=2, kept=0.1)
        fit(model, lambda x: (x**2).sum(-1), few, seed)
        return torch.nn.utils.parameters_to_vector(model.parameters()).detach()

    assert torch.equal(parameters(1), parameters(1))
    assert not torch.equal(parameters(1), parameters(2))
