"""Learned terms with small random networks: forces against finite differences, symmetries, frozen targets."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from refine.energy.free_energy import FreeEnergy
from refine.energy.learned import AppliedNetworks, DistanceDensity, FrameDensity, IdentityLikelihood, learned_terms
from refine.energy.system import System
from refine.networks.readout import Readout, ReadoutSettings
from refine.networks.weights import Networks
from refine.structure.geometry import rotation_from_vector, to_global
from tests.networks.small import compact_protein, judge, likelihood, prior, randomised

NAMES = ("prior", "mediated", "likelihood")


def networks(count: int = 1) -> Networks:
    return Networks(tuple(prior(seed=k) for k in range(count)), likelihood(), None, None, None, Path("."), {})


def system() -> System:
    return System.from_protein(compact_protein(), dtype=torch.float64)


def coords(replicas: int = 2, noise: float = 0.1, seed: int = 0) -> Tensor:
    x = torch.from_numpy(compact_protein().coords[:, :, :4]).to(torch.float64).repeat(replicas, 1, 1, 1)
    return x + noise * torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(seed))


def energy(gradient: str = "central", count: int = 1) -> FreeEnergy:
    return FreeEnergy(learned_terms(AppliedNetworks(networks(count), system()), gradient))


@pytest.mark.parametrize("gradient", ["central", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_forces_equal_finite_differences(name: str, gradient: str) -> None:
    whole = energy(gradient, count=2)
    one = FreeEnergy(tuple(t for t in whole.terms if t.name == name)).at(coords(seed=1))
    x = coords()
    forces, table = one.forces(x)
    assert table.total.abs().min() > 1e-2 and forces.abs().amax((1, 2, 3)).min() > 1e-3
    generator = torch.Generator().manual_seed(2)
    for _ in range(3):
        direction = torch.randn(x.shape, dtype=x.dtype, generator=generator)
        slope = (one(x + 1e-5 * direction).total - one(x - 1e-5 * direction).total) / 2e-5
        torch.testing.assert_close(slope, -(forces * direction).sum((1, 2, 3)), rtol=1e-5, atol=1e-5)


def test_frozen_targets_are_exact_where_they_were_taken() -> None:
    """At the coordinates of the targets both variants give the same energy, but not the same force."""
    x = coords()
    central, full = energy("central").at(x), energy("full")
    one, two = central(x), full(x)
    for name in NAMES:
        torch.testing.assert_close(one.per_residue[name], two.per_residue[name])
    assert (central.forces(x)[0] - full.forces(x)[0]).abs().max() > 1e-3


@pytest.mark.parametrize("gradient", ["central", "full"])
def test_rotation_and_translation_turn_the_forces_along(gradient: str) -> None:
    turn = rotation_from_vector(torch.tensor([0.3, 1.2, -0.8], dtype=torch.float64))
    x, whole = coords(), energy(gradient)
    moved = x @ turn.T + torch.tensor([5.0, -3.0, 9.0], dtype=torch.float64)
    forces, table = whole.at(x).forces(x)
    again, other = whole.at(moved).forces(moved)
    for name in NAMES:
        torch.testing.assert_close(table.per_residue[name], other.per_residue[name], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(forces @ turn.T, again, rtol=1e-5, atol=1e-6)


def test_a_mirrored_structure_has_another_energy() -> None:
    x, whole = coords(), energy("full")
    one, two = whole(x), whole(x * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    for name in NAMES:
        assert (one.per_residue[name] - two.per_residue[name]).abs().max() > 1e-3


def test_replicas_do_not_see_each_other() -> None:
    x, whole = coords(), energy("full")
    torch.testing.assert_close(whole(x).total[1:], whole(x[1:]).total)


def test_terms_share_one_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    applied = AppliedNetworks(networks(), system())
    calls = []
    evaluate = AppliedNetworks._fields
    monkeypatch.setattr(AppliedNetworks, "_fields", lambda self, x: (calls.append(1), evaluate(self, x))[1])
    x = coords()
    one, two = FrameDensity(applied).at(x), DistanceDensity(applied).at(x)
    assert one.fields is two.fields and len(calls) == 1
    FrameDensity(applied).at(x + 0.1)
    assert len(calls) == 2
    full = FrameDensity(applied, "full")
    assert full.at(x) is full


def test_disagreement_widens_the_density() -> None:
    x = coords()
    alone, together = (AppliedNetworks(networks(n), system()).fields(x) for n in (1, 3))
    assert (alone.disagreement == 0).all() and together.disagreement.min() > 0
    assert (together.shift_b > 0).all()


def test_priors_apart_leads_from_their_mean_to_the_first() -> None:
    x, two = coords(), networks(2)
    together, first = AppliedNetworks(two, system()), dataclasses.replace(two, priors=two.priors[:1])
    only_first = AppliedNetworks(first, system())
    apart = together.priors_apart(x)
    assert torch.allclose(together.fields(x).place + apart, only_first.fields(x).place)
    assert torch.allclose(apart.norm(dim=-1), together.fields(x).disagreement)
    assert not only_first.priors_apart(x).any()


def test_a_near_native_read_out_moves_and_all_else_stays() -> None:
    x, two = coords(), networks(2)
    readout = randomised(lambda: Readout(ReadoutSettings(32)), 5).double()
    with_one = dataclasses.replace(two, near_native=readout)
    usual = AppliedNetworks(with_one, system()).fields(x)
    near = AppliedNetworks(with_one, system(), near_native=True)
    fields, outputs = near.fields(x), near.outputs(x)
    region = outputs[0].region
    place = to_global(region.rot, region.origin, readout([o.hidden for o in outputs]))
    assert torch.allclose(fields.place, place) and not torch.allclose(fields.place, usual.place)
    for name in ("shift_b", "rot", "turn_b", "distances", "distance_b", "lddt", "disagreement"):
        assert torch.equal(getattr(fields, name), getattr(usual, name)), name
    without = AppliedNetworks(two, system(), near_native=True).fields(x)
    assert torch.equal(without.place, usual.place)


def test_forces_change_little_over_a_hundredth_of_an_angstrom() -> None:
    """The largest change of a force component when one residue moves by 0.01 Å is about what curvature explains."""
    x, whole = coords(1), energy("full")
    forces = [whole.forces(_moved(x, 0.005 * k))[0] for k in range(5)]
    change = (forces[2] - forces[0]).abs().max()
    assert change < 1.0  # kcal/mol/Å
    bend = (forces[4] - 2 * forces[2] + forces[0]).abs().max()
    assert bend < 0.5 * change + 1e-3


def test_likelihood_in_parts_has_the_same_values_and_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    def both() -> tuple[Tensor, Tensor]:
        x = coords(3).requires_grad_()
        values = IdentityLikelihood(AppliedNetworks(networks(1), system()))(x)
        return values.detach(), torch.autograd.grad(values.sum(), x)[0]

    whole = both()
    monkeypatch.setattr("refine.energy.learned._RESIDUES_WITH_GRADIENT", 28)  # one structure a call
    parts = both()
    assert whole[0].shape == (3, 28) and whole[1].abs().max() > 1e-3
    torch.testing.assert_close(whole, parts)


def _moved(x: Tensor, by: float) -> Tensor:
    y = x.clone()
    y[:, 9] += torch.tensor([by, 0.0, 0.0], dtype=x.dtype)
    return y


def test_the_judge_is_asked_where_there_is_one_and_the_priors_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    x, without = coords(3), AppliedNetworks(networks(2), system())
    torch.testing.assert_close(without.judged(x), without.fields(x).lddt)
    with_judge = AppliedNetworks(dataclasses.replace(networks(2), judge=judge()), system())
    lddt = with_judge.judged(x)
    assert lddt.shape == (3, 28) and float((lddt - without.judged(x)).abs().max()) > 1e-3
    monkeypatch.setattr("refine.energy.learned._RESIDUES_AT_ONCE", 28)  # one structure a call
    torch.testing.assert_close(with_judge.judged(x), lddt)
