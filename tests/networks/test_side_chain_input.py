"""Side chains as input of the prior: nothing at first and where none is given, invariant, saved and rebuilt."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from refine.networks.likelihood import AtomSettings
from refine.networks.prior import Prior
from refine.networks.weights import load_network, save_network
from refine.training.train import TrainingSettings, build, load_weights
from tests.networks.small import PRIOR, Structure, compact_protein, prior, randomised

SEEING = dataclasses.replace(PRIOR, side_chains=AtomSettings())


def seeing() -> Prior:
    return randomised(lambda: Prior(SEEING), 0).to(torch.float64)


def test_side_chains_count_and_absent_ones_do_not() -> None:
    s, network = Structure(compact_protein()), seeing()
    without = network(s.backbone, *s.labels())
    absent = network(s.backbone, *s.labels(), s.side_chain, torch.zeros_like(s.present))
    given = network(s.backbone, *s.labels(), s.side_chain, s.present)
    assert torch.equal(without.whole_shift, absent.whole_shift)
    assert (given.whole_shift - without.whole_shift).abs().max() > 1e-3
    elsewhere = torch.where(s.present.unsqueeze(-1), s.side_chain, s.side_chain + 3.0)
    same = network(s.backbone, *s.labels(), elsewhere, s.present)
    assert torch.allclose(given.whole_shift, same.whole_shift, atol=1e-12)


def test_nothing_changes_when_all_is_turned_and_shifted() -> None:
    s, network = Structure(compact_protein()), seeing()
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    turn = turn * torch.sign(torch.linalg.det(turn))
    shift = torch.tensor([4.0, -2.0, 7.0], dtype=torch.float64)
    one = network(s.backbone, *s.labels(), s.side_chain, s.present)
    two = network(s.backbone @ turn.T + shift, *s.labels(), s.side_chain @ turn.T + shift, s.present)
    assert torch.allclose(one.whole_shift, two.whole_shift, atol=1e-6)
    assert torch.allclose(one.lddt, two.lddt, atol=1e-6)


def test_a_prior_that_saw_none_goes_on_unchanged(tmp_path: Path) -> None:
    blind = prior(torch.float32)
    save_network(blind, tmp_path / "prior.safetensors", {})
    network = build(TrainingSettings(prior=SEEING))
    assert isinstance(network, Prior)
    load_weights(network, tmp_path / "prior.safetensors", grown=True)
    s = Structure(compact_protein(), torch.float32)
    given = network(s.backbone, *s.labels(), s.side_chain, s.present)
    assert torch.allclose(given.whole_shift, blind(s.backbone, *s.labels()).whole_shift, atol=1e-6)


def test_settings_come_back_from_the_file(tmp_path: Path) -> None:
    network = seeing().float()
    save_network(network, tmp_path / "prior.safetensors", {})
    again, _ = load_network(tmp_path / "prior.safetensors", "prior")
    assert again.settings == SEEING
    s = Structure(compact_protein(), torch.float32)
    inputs = (s.backbone, *s.labels(), s.side_chain, s.present)
    assert torch.equal(again(*inputs).whole_shift, network(*inputs).whole_shift)
