"""Experiments of benchmarks/seeds: the numbers that were measured, and small variants of the same scripts."""

from __future__ import annotations

import json

import adversarial_bias
import limits
import numpy as np
import pytest
import three_wells
import torch

from refine.sampling.density import DensitySettings

MEASURED = ("three_wells", "adversarial_bias", "alanine_dipeptide", "metastable_states")


@pytest.mark.parametrize("name", MEASURED)
def test_what_was_measured_holds_its_limits(name: str) -> None:
    """The limits of the script, not those of the file, judge the numbers of the file."""
    result = json.loads((limits.RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    script = pytest.importorskip(name)
    assert result["limits"] == {key: list(bound) for key, bound in script.LIMITS.items()}
    passed = limits.judged(result["numbers"], script.LIMITS)
    assert passed == result["passed"]
    assert result["pass"] == all(passed.values())


def test_a_limit_can_fail() -> None:
    assert limits.judged({"a": 1.0}, {"a": ("<=", 0.5), "b": (">=", 0.0)}) == {"a": False, "b": False}
    assert limits.judged({"a": float("nan")}, {"a": (">=", 0.0)}) == {"a": False}


def test_three_wells_in_short() -> None:
    """Too short for the minima, which the measured numbers have."""
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(1)
    data = three_wells.samples(generator, walkers=200, frames=50)
    settings = DensitySettings(epochs=8, batches=50, rate=3e-3, batch=256, chains=256, chain_steps=5, average=0.98)
    numbers, course = three_wells.measure(data, settings, generator)
    assert course[-1] < 0.5 * course[0] and numbers["kl_exact_to_model"] < 0.15
    assert numbers["rms_error_kt"] < 1.0


def test_an_adversary_in_short_pulls_walkers_over_the_barrier() -> None:
    numbers, course = adversarial_bias.measure(110, 1500)
    assert numbers["crossings_plain"] == 0 and numbers["crossings_frozen"] > 0
    assert numbers["w1_share_of_start"] < 0.9 and np.isfinite(course).all()
