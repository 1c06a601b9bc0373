"""The fits find what made-up data were made with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from refine.accuracy.calibration import Calibration, Residues, packaged, read_calibration, write_calibration
from refine.accuracy.fit import PairSample, fit_change, fit_linear, fit_logistic, fit_pairs
from refine.errors import ModelError
from refine.resources import models_dir

RNG = np.random.default_rng(5)


def test_a_line_is_found_and_unknown_truth_is_left_out() -> None:
    features = [{"a": RNG.normal(3, 2, n), "b": RNG.normal(0, 1, n), "flat": np.ones(n)} for n in (200, 50)]
    truth = [0.3 + 0.1 * f["a"] - 0.2 * f["b"] for f in features]
    truth[0][:20] = np.nan
    fitted = fit_linear(features, truth, ("a", "b", "flat"), ridge=1e-9)
    assert fitted.offset == pytest.approx(0.3, abs=1e-6) and fitted.weights["flat"] == 0
    assert (fitted.weights["a"], fitted.weights["b"]) == pytest.approx((0.1, -0.2), abs=1e-6)


def test_every_target_weighs_the_same() -> None:
    features = [{"a": np.zeros(1000)}, {"a": np.zeros(10)}]
    assert fit_linear(features, [np.zeros(1000), np.ones(10)], ("a",)).offset == pytest.approx(0.5)


def test_pairs_find_scale_pull_and_tails() -> None:
    n, samples = 20_000, []
    for _ in range(2):
        mean, width = RNG.uniform(5, 30, n), RNG.normal(0, 0.5, n)
        target = mean + RNG.normal(0, 1, n)
        truth = mean + 0.7 * (target - mean) + np.exp(0.2 + 0.8 * width) * RNG.standard_t(4, n)
        samples.append(PairSample(mean, truth, {"width": width}, target, np.ones(n)))
    fitted = fit_pairs(samples, ("width",))
    assert fitted.pull == pytest.approx(0.7, abs=0.05) and fitted.freedom == pytest.approx(4, rel=0.15)
    assert fitted.log_scale.offset == pytest.approx(0.2, abs=0.05) and fitted.log_scale.weights[
        "width"
    ] == pytest.approx(0.8, abs=0.05)
    assert fit_pairs(samples, ("width",), networks=False).pull == 0.0


def test_changes_are_a_parabola_of_the_room() -> None:
    room = RNG.uniform(0, 0.6, 80)
    fitted = fit_change(
        RNG.normal(-0.01, 0.003, 80), room, 0.01 + 0.2 * room - 0.5 * room**2 + RNG.normal(0, 0.005, 80)
    )
    assert fitted.offset == pytest.approx(0.01, abs=0.006) and fitted.room == pytest.approx(0.2, abs=0.05)
    assert (
        fitted.curve == pytest.approx(-0.5, abs=0.08)
        and fitted.deviation == pytest.approx(0.005, rel=0.3)
        and fitted.correlation > 0.8
    )
    assert fitted.widest == room.max() and fitted.targets == 80


def test_natives_are_fitted_and_do_not_make_the_verdict_surer() -> None:
    room = np.r_[RNG.uniform(0.2, 0.5, 40), np.zeros(20)]
    true = 0.05 * room + np.r_[RNG.normal(0, 0.01, 40), np.zeros(20)]
    fitted = fit_change(np.zeros(60), room, true, room == 0)
    assert (
        fitted.targets == 40
        and fitted.deviation == pytest.approx(0.01, rel=0.4)
        and fitted.offset == pytest.approx(0, abs=0.004)
    )


def test_tables_are_written_and_read_and_damage_is_named(tmp_path: Path) -> None:
    line = fit_linear([{"a": np.arange(9.0)}], [np.arange(9.0)], ("a",))
    calibration = Calibration({"geometry": Residues(line, line)}, {}, {}, {"prior.safetensors": "00"}, "test")
    path = tmp_path / "calibration.json"
    write_calibration(calibration, path)
    again = read_calibration(path)
    assert (
        again.residues["geometry"].lddt.weights["a"] == pytest.approx(line.weights["a"], rel=1e-5)
        and again.networks == calibration.networks
    )
    path.write_text("{}")
    with pytest.raises(ModelError, match="calibration"):
        read_calibration(path)


def test_the_packaged_calibration_belongs_to_the_packaged_networks() -> None:
    """Fails when networks are exchanged: run python benchmarks/ensemble_calibration.py --fit."""
    fitted = packaged()
    assert fitted.belongs_to(models_dir() / "small") and set(fitted.residues) == {"ensemble", "networks", "geometry"}


def test_a_logistic_fit_finds_its_weights_and_none_falls_where_it_must_rise() -> None:
    rng = np.random.default_rng(3)
    data = [{"a": rng.normal(size=400), "b": rng.normal(size=400)} for _ in range(4)]
    truth = [1.0 / (1.0 + np.exp(-(0.4 + 1.5 * f["a"] - 0.7 * f["b"]))) for f in data]
    truth[0][:10] = np.nan
    free = fit_logistic(data, truth, ["a", "b"], ridge=1e-9)
    assert free.offset == pytest.approx(0.4, abs=1e-3)
    assert free.weights == {"a": pytest.approx(1.5, abs=1e-3), "b": pytest.approx(-0.7, abs=1e-3)}
    rising = fit_logistic(data, truth, ["a", "b"], ridge=1e-9, rising=True)
    assert rising.weights["b"] == 0.0 and rising.weights["a"] > 1.0
