"""A sampler of several components, and their shares."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from refine.sampling.component import even_normal
from refine.sampling.modes import two_modes
from refine.sampling.surrogate import LEAST_SHARE, Surrogate, SurrogateSettings


def parted(shares: tuple[float, float] = (0.7, 0.3)) -> Surrogate:
    """Two components of unit variance at −4 and 4 of the second of two coordinates, the other along with it."""
    count = 20_000
    x = torch.randn(count, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    low = torch.arange(count) < shares[0] * count
    x[:, 1] += torch.where(low, -4.0, 4.0)
    model = Surrogate(torch.tensor((1.0, 4.0)), SurrogateSettings(hidden=8), seed=0)
    model.divide(0, two_modes(x, torch.zeros(count, dtype=torch.float64)), torch.Generator().manual_seed(1))
    return model


def test_a_component_becomes_two_with_the_laws_of_its_modes() -> None:
    model = parted()
    x, z = model.sample(20_000, torch.Generator().manual_seed(2))
    low = x[:, 1] < 0
    assert model.shares.tolist() == pytest.approx([0.7, 0.3], abs=0.01)
    assert float(low.double().mean()) == pytest.approx(0.7, abs=0.02)
    for rows, place in ((low, -4.0), (~low, 4.0)):
        assert x[rows].mean(0).tolist() == pytest.approx([0.0, place], abs=0.1)
        assert x[rows].std(0).tolist() == pytest.approx([1.0, 1.0], abs=0.05)
    assert z.mean().item() == pytest.approx(0.0, abs=0.01) and z.std().item() == pytest.approx(1.0, abs=0.01)


def test_latents_go_through_the_components_in_order_and_back() -> None:
    model = parted()
    z = even_normal(2000, 1, torch.Generator().manual_seed(0)).sort(0).values
    with torch.no_grad():
        x = model.decoded(z)
        again = model.encoded(x)
    assert bool((x[1:, 1] > x[:-1, 1]).all())
    assert float((again - z).square().mean().sqrt()) < 0.05


def test_boxes_fill_latent_space_by_shares() -> None:
    model = Surrogate(torch.ones(2), SurrogateSettings(latent=2, hidden=8), seed=0)
    model.components.extend([model.components[0]] * 2)
    model.tree, model.shares = (1, (0, 2, 0), 1), torch.tensor((0.3, 0.5, 0.2), dtype=torch.float64)
    low, high = model.boxes()
    assert (high - low).prod(1).tolist() == pytest.approx([0.3, 0.5, 0.2])
    assert low.tolist() == [[0.4, 0.0], [0.0, 0.5], [0.0, 0.0]]
    assert high.tolist() == [[1.0, 0.5], [1.0, 1.0], [0.4, 0.5]]


def test_a_component_without_weight_stays() -> None:
    model = parted()
    model.share(torch.tensor((0.0, -100.0), dtype=torch.float64))
    assert model.shares.tolist() == pytest.approx([1 - LEAST_SHARE, LEAST_SHARE], rel=1e-5)


def test_what_lies_between_is_parted_by_density() -> None:
    model = parted((0.5, 0.5))
    x = torch.tensor(((0.0, -4.0), (0.0, 0.0), (0.0, 4.0)), dtype=torch.float64)
    with torch.no_grad():
        assignment: Tensor = model.log_assignment(x).exp()
    assert assignment[:, 0].tolist() == pytest.approx([1.0, 0.5, 0.0], abs=0.1)
    assert assignment.sum(1).tolist() == pytest.approx([1.0] * 3)
