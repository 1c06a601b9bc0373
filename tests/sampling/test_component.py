"""One decoder and encoder."""

from __future__ import annotations

import math

import pytest
import torch

from refine.sampling.component import LEADING, Component, even_normal

MEAN = torch.tensor((1.0, -2.0, 0.5), dtype=torch.float64)
COVARIANCE = torch.tensor(((4.0, 1.0, 0.0), (1.0, 1.0, -0.3), (0.0, -0.3, 0.25)), dtype=torch.float64)


def test_even_normal_numbers_have_one_in_each_interval() -> None:
    z = even_normal(100, 2, torch.Generator().manual_seed(3))
    for column in torch.special.ndtr(z).T:
        assert torch.equal((100 * column).floor().sort().values, torch.arange(100, dtype=torch.float64))
    assert abs(float(torch.corrcoef(z.T)[0, 1])) < 0.3


@pytest.mark.parametrize("columns", [(), (1,), (2,)])
def test_it_begins_as_the_normal_law_asked_for_with_the_exact_encoder(columns: tuple[int, ...]) -> None:
    component = Component(MEAN, COVARIANCE, columns, 1, 8, seed=0)
    with torch.no_grad():
        whole = component.covariance + torch.outer(*[component.leading[:, 0] * component.spread] * 2)
        x = MEAN + torch.randn(20, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        log_q = component.log_marginal(x)
    exact = torch.distributions.MultivariateNormal(MEAN, COVARIANCE).log_prob(x)
    assert torch.allclose(whole, COVARIANCE)
    assert torch.allclose(log_q, exact)


def test_latents_are_read_from_what_they_lead_along() -> None:
    component = Component(MEAN, COVARIANCE, (2, 0), 2, 8, seed=0)
    z = even_normal(500, 2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        read, _ = component.posterior(component.decoded(z))
    assert float((read - z).square().mean().sqrt()) < 1.5 * (1 - LEADING**2)


def test_noise_along_what_is_led_is_a_share_of_what_latents_make() -> None:
    component = Component(MEAN, COVARIANCE, (1,), 1, 8, seed=0)
    with torch.no_grad():
        component.log_diagonal += 3.0
        component.leading[1, 0] *= 0.3
        component.decoder[-1].weight[1] = 0.1  # the network makes some of it, too
        made = component.decoded(even_normal(20_000, 1, torch.Generator().manual_seed(0)))[:, 1]
        share = float(component.covariance[1, 1] / made.var())
        assert share == pytest.approx((1 - LEADING**2) / LEADING**2, rel=0.02)
        assert float(component.covariance[0, 0]) > math.exp(5.0)


def test_samples_have_the_density_that_is_said() -> None:
    component = Component(MEAN, COVARIANCE, (2,), 1, 8, seed=0)
    mean = component.decoded(torch.zeros(50_000, 1, dtype=torch.float64))
    with torch.no_grad():
        x = component.around(mean, torch.Generator().manual_seed(5))
        entropy = -float(component.log_decoder(x, mean, component.factor).mean())
        exact = 0.5 * float(component.covariance.logdet()) + 1.5 * (1 + math.log(2 * math.pi))
        assert torch.allclose(torch.cov(x.T), component.covariance, atol=0.05)
    assert entropy == pytest.approx(exact, abs=0.02)
