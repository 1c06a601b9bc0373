"""Two modes of weighted samples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from refine.sampling.modes import two_modes


def normal(count: int, dimensions: int) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_weights_make_the_modes() -> None:
    x = normal(2000, 3)
    x[:1000, 1] += 6.0
    weights = torch.where(x[:, 1] > 3, math.log(0.25), 0.0).double()
    modes = two_modes(x, weights)
    assert modes.gain.isfinite().tolist() == [False, True, False]
    assert modes.shares[:, 1].tolist() == pytest.approx([0.8, 0.2], abs=0.01)
    assert modes.means[:, 1].tolist() == pytest.approx([0.0, 6.0], abs=0.15)
    assert modes.deviations[:, 1].tolist() == pytest.approx([1.0, 1.0], abs=0.1)
    assert int(modes.unlike.argmax()) == 1


def test_one_normal_law_near_ones_and_a_heavy_sample_are_no_two_modes() -> None:
    x = normal(2000, 20)
    x[:, 2] = torch.cat((x[:1000, 2] - 0.8, x[1000:, 2] + 0.8))  # one maximum
    x[0, 3] = 8.0
    heavy = torch.zeros(2000, dtype=torch.float64)
    heavy[0] = 6.0
    assert not bool(two_modes(x, heavy).gain[[0, 2, 3]].isfinite().any())
    assert not bool(two_modes(x[:, 4:], torch.zeros_like(heavy)).gain.isfinite().any())
