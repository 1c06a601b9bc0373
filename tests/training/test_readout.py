"""Reading priors out anew: known coefficients are found, real models gain, all else of a prior stays."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.networks.prior import WHOLE_SHIFT_OUTPUTS
from refine.networks.weights import load_network, save_network
from refine.training.readout import (
    NormalEquations,
    ReadoutSettings,
    equations,
    hidden_values,
    main,
    of_train_split,
    read_anew,
    whole_displacement,
)
from refine.training.real_models import RealModels
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


def test_real_models_gain_and_the_rest_stays() -> None:
    before = prior(torch.float32)
    after = copy.deepcopy(before)
    models, settings = [real_model(k, "predicted") for k in range(4)], ReadoutSettings(ridge=1e-4)
    read_anew(after, equations(after, models, settings), settings)

    def missed(network: torch.nn.Module) -> float:
        return float(np.mean([np.abs(hidden_values(network, m)[1] - whole_displacement(m)).mean() for m in models]))

    assert missed(after) < 0.8 * missed(before)
    changed = [k for k, v in after.state_dict().items() if not torch.equal(v, before.state_dict()[k])]
    assert changed == ["frame_head.3.weight", "frame_head.3.bias"]
    rows = torch.ones(15, dtype=torch.bool)
    rows[WHOLE_SHIFT_OUTPUTS] = False
    assert torch.equal(after.frame_head[3].weight[rows], before.frame_head[3].weight[rows])


def test_command_writes_a_prior_that_says_what_it_was_read_from(file: Path, tmp_path: Path) -> None:  # noqa: F811
    source = tmp_path / "prior.safetensors"
    save_network(prior(torch.float32), source, {"steps": 3})
    assert main([str(source), "--real", str(file), "--out", str(tmp_path / "new")]) == 0
    network, facts = load_network(tmp_path / "new" / "prior.safetensors", "prior")
    assert facts["steps"] == 3 and facts["read_out_anew"]["models"] == 2
    assert facts["read_out_anew"]["residues"] == sum(len(m.residue) for m in of_train_split(RealModels(file)))
    assert not torch.equal(network.frame_head[3].weight, load_network(source, "prior")[0].frame_head[3].weight)
    assert main([str(source), "--real", str(source), "--out", str(tmp_path / "new")]) != 0


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError):
        ReadoutSettings(ridge=-1)
