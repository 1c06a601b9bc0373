"""Contrastive learning: the energy is the density's own, the native is to win, near-natives have no rank."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.constants import BOLTZMANN
from refine.energy.free_energy import FreeEnergy
from refine.energy.learned import KT, AppliedNetworks, learned_terms
from refine.energy.system import System
from refine.errors import InputError
from refine.networks.weights import Networks
from refine.training.contrastive import ContrastiveSettings, contrastive_loss, free_energy
from refine.training.examples import Examples, ExampleSettings, collate, moved_on
from refine.training.pack import Pack
from refine.training.train import TrainingSettings, loss_of
from tests.networks.small import Structure, compact_protein, likelihood, prior, small_pack


def test_it_prices_a_structure_as_the_engine_does() -> None:
    protein = compact_protein()
    s = Structure(protein)
    system = System.from_protein(protein)
    networks = Networks((prior(torch.float32),), likelihood(torch.float32), None, Path(), {})
    x = s.backbone.float()
    energy = FreeEnergy(
        learned_terms(AppliedNetworks(networks, system, whole=False)), {"mediated": 0.0, "likelihood": 0.0}
    )
    whole = energy.at(x)(x).total
    out = networks.priors[0](x, *s.labels())
    assert float(free_energy(out, s.labels()[3])[0] * len(protein) * KT) == pytest.approx(float(whole[0]), rel=1e-4)
    assert pytest.approx(BOLTZMANN * 298.15) == KT


def test_the_native_is_to_win_over_what_is_wrong(tmp_path: Path) -> None:
    data = Examples(
        Pack(small_pack(tmp_path)), [], "train", ExampleSettings(natives=0.0, smooth=0.0), 0, 40, with_native=True
    )
    wrong = [e for e in (data[n] for n in range(40)) if e["lddt"].mean() < 0.9][:2]
    assert len(wrong) == 2
    batch, network = collate(wrong), prior(torch.float32).requires_grad_(True)

    def said_of(start: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        labels = batch["residue"], batch["position"], torch.zeros_like(batch["position"]), batch["mask"]
        return contrastive_loss(
            network, batch | {"start": start}, network(start, *labels), ContrastiveSettings(weight=1.0)
        )

    loss, figures = said_of(batch["start"])
    assert loss.item() > 0 and set(figures) == {"gap", "native_lower"}
    same, figures = said_of(batch["disguised"])  # nothing tells them apart
    assert same.item() == pytest.approx(math.log(2), abs=1e-4) and figures["gap"] == pytest.approx(0, abs=1e-4)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(30):
        optimiser.zero_grad()
        said_of(batch["start"])[0].backward()
        optimiser.step()
    after, figures = said_of(batch["start"])
    assert after.item() < 0.7 * loss.item() and figures["native_lower"] == 1.0


def test_near_natives_have_no_rank(tmp_path: Path) -> None:
    data = Examples(Pack(small_pack(tmp_path)), [], "train", ExampleSettings(natives=1.0), 0, 4, with_native=True)
    batch, network = collate([data[0], data[1]]), prior(torch.float32)
    batch["lddt"] = torch.ones_like(batch["lddt"])
    out = network(
        batch["start"], batch["residue"], batch["position"], torch.zeros_like(batch["position"]), batch["mask"]
    )
    loss, figures = contrastive_loss(network, batch, out, ContrastiveSettings(weight=1.0))
    assert loss.item() == 0 and figures == {}


def test_it_is_part_of_the_loss_and_goes_on_with_own_moves(tmp_path: Path) -> None:
    pack = Pack(small_pack(tmp_path))
    plain = Examples(pack, [], "train", ExampleSettings(), 0, 4)
    data = Examples(pack, [], "train", ExampleSettings(), 0, 4, with_native=True)
    example = data[0]
    assert all(np.array_equal(plain[0][key], example[key]) for key in plain[0]) and set(example) - set(plain[0]) == {
        "disguised"
    }
    assert 0 < np.abs(example["disguised"] - example["native"]).max() < 1.0
    still = np.zeros((len(example["residue"]), 3), np.float32)
    assert np.array_equal(
        moved_on(example, still, still, 0.1, np.random.default_rng(0))["disguised"], example["disguised"]
    )
    batch = collate([example, data[1]], 80)
    assert batch["disguised"].shape == batch["native"].shape
    network, without = prior(torch.float32), TrainingSettings(bf16=False)
    batch["lddt"] = 0.5 * batch["lddt"]
    with_it = dataclasses.replace(without, contrastive=ContrastiveSettings(weight=2.0))
    (one, few, _), (two, more, _) = loss_of(network, batch, without), loss_of(network, batch, with_it)
    assert set(more) - set(few) == {"gap", "native_lower"} and (two - one).item() > 0
    with pytest.raises(InputError, match="contrastive.weight is for the prior"):
        dataclasses.replace(with_it, network="judge")
