"""The confidence of an input: combined with the file's own, monotone, and the same whatever the options of the run."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from refine.accuracy.calibration import estimating_hashes
from refine.accuracy.confidence import AccuracyEstimate
from refine.accuracy.input_accuracy import (
    InputAccuracy,
    as_lddt,
    confidence_networks,
    expected,
    input_accuracy,
    input_features,
    logit,
    packaged_table,
    read_table,
    sigmoid,
)
from refine.engine import Engine, load_networks_of
from refine.errors import ModelError
from refine.networks.weights import load_networks
from refine.run import inputs
from refine.settings import RunSettings
from refine.structure.file_estimate import FileEstimate, not_given
from refine.structure.prepare import prepare

MODEL = Path(__file__).resolve().parent.parent.parent / "examples" / "1a8o_model.pdb"
LENGTH = 40


def features(level: float = 0.0) -> dict[str, np.ndarray]:
    """Made-up features; ``level`` moves what the networks expect."""
    rng = np.random.default_rng(1)
    names = set(packaged_table().alone.lddt.weights) | set(packaged_table().beside.lddt.weights)
    drawn = {name: rng.normal(size=LENGTH) for name in sorted(names)}
    return drawn | {"expected": drawn["expected"] + level}


def plddt(values: np.ndarray) -> FileEstimate:
    return FileEstimate("lddt", "pLDDT", "0-100", "by its values", values)


def of(file: np.ndarray, level: float = 0.0) -> InputAccuracy:
    return expected(features(level), plddt(file), packaged_table())


def test_more_of_the_files_estimate_is_never_less_of_the_combined() -> None:
    combined = np.stack([of(np.full(LENGTH, share)).combined for share in np.linspace(0.0, 1.0, 41)])
    assert (np.diff(combined, axis=0) >= 0.0).all() and (np.ptp(combined, axis=0) > 20.0).all()
    assert (combined > 0.0).all() and (combined < 100.0).all()


def test_more_of_ours_is_never_less_of_the_combined() -> None:
    assert packaged_table().beside.lddt.weights["expected"] > 0
    both = [of(np.full(LENGTH, 0.8), level) for level in np.linspace(-2.0, 2.0, 9)]
    assert (np.diff([b.ours for b in both], axis=0) > 0.0).all()
    assert (np.diff([b.combined for b in both], axis=0) >= 0.0).all()
    assert set(packaged_table().combined.lddt.weights) == {"ours", "file"}
    assert all(weight >= 0.0 for weight in packaged_table().combined.lddt.weights.values())


def test_not_given_is_ours_alone_whatever_the_reason() -> None:
    empty = expected(features(), not_given(LENGTH, "the B column is empty"), packaged_table())
    crystal = expected(features(), not_given(LENGTH, "experimental B factors"), packaged_table())
    for name in ("ours", "combined", "error"):
        assert getattr(empty, name).tobytes() == getattr(crystal, name).tobytes()
    np.testing.assert_array_equal(empty.combined, empty.ours)
    np.testing.assert_allclose(empty.ours, 100.0 * np.clip(packaged_table().alone.lddt(features()), 0.0, 1.0))
    assert np.isnan(empty.file).all() and empty.basis == "refine's own estimate"
    assert empty.facts()["file"] is None and not empty.facts()["estimate"]["given"]


def test_a_residue_without_a_value_has_ours() -> None:
    file = np.full(LENGTH, 0.9)
    file[5] = np.nan
    one = of(file)
    assert one.combined[5] == one.ours[5] and np.isnan(one.file[5]) and np.isfinite(one.combined).all()
    assert "pLDDT" in one.basis


def test_an_error_counts_as_an_lddt_that_falls() -> None:
    errors = np.geomspace(0.3, 20.0, LENGTH)
    shares = as_lddt(FileEstimate("error", "predicted error", "Å", "", errors), packaged_table().error_as_lddt)
    assert (np.diff(shares) < 0.0).all() and shares[0] > 0.85 and shares[-1] < 0.5


def test_logit_and_sigmoid_are_inverse_between_their_limits() -> None:
    shares = np.linspace(0.02, 0.98, 25)
    np.testing.assert_allclose(sigmoid(logit(shares)), shares)
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()


def test_a_models_confidence_is_the_inputs_and_what_the_run_sees_change() -> None:
    one = of(np.full(LENGTH, 0.8))
    start = AccuracyEstimate(np.full(LENGTH, 60.0, np.float32), np.full(LENGTH, 2.0, np.float32), "ensemble")
    better = dataclasses.replace(start, confidence=start.confidence + 3.0, error=start.error / 2.0)
    np.testing.assert_allclose(one.of_model(start, start).confidence, one.combined, rtol=1e-6)
    np.testing.assert_allclose(one.of_model(better, start).confidence, np.minimum(one.combined + 3.0, 100.0), rtol=1e-6)
    np.testing.assert_allclose(one.of_model(better, start).error, np.maximum(one.error / 2.0, 0.2), rtol=1e-6)
    assert one.of_model(better, start).basis == one.basis


def test_the_table_belongs_to_the_packaged_networks() -> None:
    now = estimating_hashes(load_networks().folder)
    assert packaged_table().networks == now, "run benchmarks/confidence.py for the networks of models/small"


@pytest.mark.parametrize(
    "settings",
    [
        RunSettings(networks="none"),
        RunSettings(seed=7, whole=False, relax_first=False, learned={"prior": 0.3}),
        RunSettings(freeze="151-160", keep_hands=True, models=1),
    ],
)
def test_no_option_of_the_run_changes_it(settings: RunSettings) -> None:
    usual, other = RunSettings(device="cpu"), dataclasses.replace(settings, device="cpu")
    found = []
    for one in (usual, other):
        prepared = inputs.prepared_for(MODEL, one)
        engine = Engine(prepared.protein, load_networks_of(one), one)
        found.append(inputs.accuracy_of(prepared, engine))
    assert found[0].combined.tobytes() == found[1].combined.tobytes()
    assert found[0].error.tobytes() == found[1].error.tobytes()


def test_networks_at_hand_are_used_only_if_they_are_the_packaged_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = load_networks()
    assert confidence_networks(packaged, "cpu") is packaged
    other = dataclasses.replace(packaged, folder=Path("elsewhere"))
    monkeypatch.setattr("refine.accuracy.input_accuracy.load_networks", lambda name, device: packaged)
    assert confidence_networks(other, "cpu") is packaged and confidence_networks(None, "cpu") is packaged


def test_the_example_is_judged_by_what_it_is() -> None:
    prepared = prepare(MODEL)
    networks = load_networks()
    one = input_accuracy(prepared.usual, prepared.estimate, networks)
    assert not prepared.estimate.given and 20.0 < one.combined.mean() < 95.0
    assert set(input_features(prepared.usual, networks)) >= set(packaged_table().alone.lddt.weights)


def test_a_table_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be read"):
        read_table(tmp_path / "table.json")
