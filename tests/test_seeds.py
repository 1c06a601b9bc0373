"""Experiments of benchmarks/seeds: the numbers that were measured, and small variants of the same scripts."""

from __future__ import annotations

import json
from pathlib import Path

import adversarial_bias
import alanine_dipeptide
import backmapping
import latent_efficiency
import latent_langevin
import limits
import numpy as np
import plain_dynamics
import promotion
import pytest
import three_wells
import torch

from refine.sampling.density import DensitySettings
from refine.sampling.settings import ExploreSettings
from refine.sampling.states import StateSettings

MEASURED = tuple(sorted(path.stem for path in limits.RESULTS.glob("*.json")))


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


@pytest.fixture(scope="module")
def hot(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Plain dynamics at 500 K, once made and once read back."""
    keep = tmp_path_factory.mktemp("plain")
    frames = plain_dynamics.trajectory(500.0, 0.7, 0, keep)
    assert np.array_equal(plain_dynamics.trajectory(500.0, 0.7, 0, keep), frames)
    return frames


def test_plain_dynamics_in_short_does_not_cross_phi(hot: np.ndarray) -> None:
    assert hot.shape == (3000, 22, 3)
    phi = plain_dynamics.torsions(hot)[:, 0]
    assert (phi < 0).mean() > 0.8 and plain_dynamics.phi_crossings(phi) < 5


def test_alanine_dipeptide_in_short_is_biased(tmp_path: Path) -> None:
    """Too short for any crossing; what the script reads from the folder is what the exploration did."""
    found = alanine_dipeptide.explored(0, 0.1, tmp_path)
    assert found["frozen_frames"] == 1000 - ExploreSettings(ns=0.1).frozen_from * 50
    assert found["bias_range_kt"] > 1.0 and found["complementarity"] > 0.5
    assert 1 <= found["kish"] <= found["frozen_frames"] and found["states"]


def test_metastable_states_in_short(hot: np.ndarray) -> None:
    script = pytest.importorskip("metastable_states")
    settings = StateSettings(seeds=1, steps=300, batch=512)
    numbers, found, label = script.measure(500, [hot], settings, "2ps", script.LAGS["2ps"])
    assert numbers["states_500K_2ps"] >= 2 and numbers["ami_core_sets_500K_2ps"] > 0.6
    assert numbers["ami_markov_500K_2ps"] > 0.6 and len(label) == len(hot)
    assert sum(found["500K_2ps"]["population"]) == pytest.approx(1.0)


def test_promotion_in_short_finds_rare_modes() -> None:
    """The campaign under kills is tests/sampling/test_campaign.py."""
    numbers = promotion.check_choice(seeds=1)
    judged = limits.judged(numbers, {k: v for k, v in promotion.LIMITS.items() if k in numbers})
    assert len(judged) == len(numbers) and all(judged.values())


def test_backmapping_in_short(example_model: Path) -> None:
    native = backmapping.read_native(example_model)
    for kind in backmapping.KINDS:
        row = backmapping.row_of((example_model, "", kind))
        assert not isinstance(row, str)
        assert row["backbone_rmsd"] < 0.6 and row["chi1"] > 0.4 and row["cis_errors"] == row["chirality_errors"] == 0
    assert backmapping.embedded([native])["distances_ca_rmsd_largest"] < 1.0


def test_latent_langevin_in_short() -> None:
    formula, joint = (latent_langevin.check((name, 0)) for name in ("formula", "joint density"))
    assert formula["formula_error"] < 1e-9 and joint["joint_density_error"] < 0.05
    law = latent_langevin.check(("right", 150))
    assert max(law[f"tv_{name}"] for name in latent_langevin.NAMES) < 0.15


def test_latent_efficiency_in_short() -> None:
    (latent, law), (cartesian, _) = (
        latent_efficiency.samples_of(setting, 600) for setting in (("latent", 0.04, 10.0), ("baoab", 0.004, 10.0))
    )
    assert latent > 1.5 * cartesian and law < 0.15
