"""The read-out for near-native structures: known coefficients are found, and real models gain."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.files import file_hash
from refine.networks.prior import Prior
from refine.networks.readout import Readout
from refine.networks.weights import load_network, save_network
from refine.training.readout import (
    FitSettings,
    NormalEquations,
    equations,
    fitted,
    hidden_values,
    main,
    of_train_split,
    whole_displacement,
)
from refine.training.real_models import RealModel, RealModels
from tests.networks.small import prior
from tests.training.test_real_models import file, real_model  # noqa: F401 (a fixture)


def test_known_coefficients_are_found_whatever_the_scale() -> None:
    rng = np.random.default_rng(0)
    values = np.c_[rng.normal(size=(200, 5)) * [1, 10, 0.1, 1, 1], np.ones(200)]
    true = rng.normal(size=(6, 3))
    sums = NormalEquations(6)
    for part in np.split(values, 4):
        sums.add(part, part @ true, rng.uniform(0.5, 2.0, len(part)))
    assert sums.residues == 200
    assert np.allclose(sums.solution(0.0), true)
    held = sums.solution(1e6)
    assert np.abs(held[:-1] * [[1], [10], [0.1], [1], [1]]).max() < 1e-4 and np.abs(held[-1]).max() > 0.01


def test_displacements_lead_to_the_native() -> None:
    model = real_model(0, "predicted")
    turned = dataclasses.replace(model, native=model.native[:, :, [1, 2, 0]] + 7)
    assert np.allclose(whole_displacement(model), whole_displacement(turned), atol=1e-4)
    assert 0.1 < np.linalg.norm(whole_displacement(model), axis=1).mean() < 1.2


def said(readout: Readout, priors: list[Prior], model: RealModel) -> np.ndarray:
    values = torch.from_numpy(hidden_values(priors, model)[0][:, :-1]).float()
    return readout(values.split([prior.settings.trunk.width for prior in priors], dim=-1)).detach().numpy()


def test_held_back_by_all_means_it_says_what_the_priors_say() -> None:
    priors, models = [prior(torch.float32, seed=k) for k in range(2)], [real_model(0, "predicted")]
    settings = FitSettings(ridge=1e9)
    readout = fitted(priors, equations(priors, models, settings), settings)
    constant = readout.linear.bias - torch.stack([p.frame_head[3].bias[8:11] for p in priors]).mean(0)
    assert np.allclose(
        said(readout, priors, models[0]) - constant.detach().numpy(), hidden_values(priors, models[0])[1], atol=1e-4
    )


def test_real_models_gain() -> None:
    priors = [prior(torch.float32, seed=k) for k in range(2)]
    models, settings = [real_model(k, "predicted") for k in range(4)], FitSettings(ridge=1e-4)
    readout = fitted(priors, equations(priors, models, settings), settings)
    own = np.mean([np.abs(hidden_values(priors, m)[1] - whole_displacement(m)).mean() for m in models])
    new = np.mean([np.abs(said(readout, priors, m) - whole_displacement(m)).mean() for m in models])
    assert new < 0.8 * own


def test_command_writes_a_read_out_that_says_what_it_was_fitted_on(file: Path, tmp_path: Path) -> None:  # noqa: F811
    sources = [tmp_path / "prior.safetensors", tmp_path / "prior_2.safetensors"]
    for k, source in enumerate(sources):
        save_network(prior(torch.float32, seed=k), source, {"steps": 3})
    names, out = [str(source) for source in sources], tmp_path / "near_native.safetensors"
    assert main([*names, "--real", str(file), "--out", str(out)]) == 0
    network, facts = load_network(out, "readout")
    assert isinstance(network, Readout) and network.settings.states == 32
    assert facts["priors"] == [file_hash(source) for source in sources]
    assert facts["data"]["residues"] == sum(len(m.residue) for m in of_train_split(RealModels(file)))
    assert main([*names, "--real", str(sources[0]), "--out", str(out)]) != 0


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError):
        FitSettings(ridge=-1)
