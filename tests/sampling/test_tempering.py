"""How far inverse temperatures rise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from refine.sampling.tempering import TemperingSettings, bound_increase, kish, log_z_change, next_step


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
