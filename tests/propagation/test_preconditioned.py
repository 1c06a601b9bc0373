"""The preconditioned drift: exact for one density, never past the optimum, blind to what may not move."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from refine.energy.curvature import curved_part, moved_rigidly, rigid_moves
from refine.energy.free_energy import FreeEnergy
from refine.energy.learned import AppliedNetworks, DistanceDensity, Fields, FrameDensity, learned_terms
from refine.energy.system import System
from refine.errors import InputError
from refine.propagation.langevin import preconditioned
from refine.propagation.propagate import propagate
from refine.propagation.schedules import Point
from refine.propagation.settings import PropagationSettings
from refine.propagation.state import seeded
from refine.structure.geometry import distance, frames, rotation_from_vector, virtual_cb
from tests.energy.test_learned import coords, networks, system
from tests.networks.small import compact_protein

SYSTEM = System.from_protein(compact_protein(), dtype=torch.float64)


def only(name: str, weight: float = 1.0) -> FreeEnergy:
    return FreeEnergy(
        tuple(t for t in learned_terms(AppliedNetworks(networks(), SYSTEM)) if t.name == name), {name: weight}
    )


def test_the_prior_alone_leads_each_residue_to_its_own_most_likely_frame() -> None:
    x = coords()
    energy = only("prior", 0.3).at(x)
    part = curved_part(energy)
    assert part is not None
    shift, turn = rigid_moves(part, x)
    moved = moved_rigidly(x, shift, turn)
    term = energy.terms[0]
    assert isinstance(term, FrameDensity) and term.fields is not None
    torch.testing.assert_close(moved[:, :, 1], term.fields.place)
    torch.testing.assert_close(frames(*moved[:, :, :3].unbind(2)), term.fields.rot, atol=1e-6, rtol=0)


def test_each_step_makes_the_same_part_of_the_way_whatever_the_width() -> None:
    x, mobile = coords(), torch.ones(len(SYSTEM), dtype=torch.bool)
    energy = only("prior")
    simulator = preconditioned(mobile, 0.25, max_step=10.0)
    point = Point(0.01, 0.0, 300.0)
    state = simulator.init(energy, x, seeded(0), point)
    term = state.energy.terms[0]
    assert isinstance(term, FrameDensity) and term.fields is not None
    before = term.fields.place - state.coords[:, :, 1]
    for k in range(1, 4):
        state = simulator.step(state, point, False)
        torch.testing.assert_close(term.fields.place - state.coords[:, :, 1], 0.75**k * before, rtol=1e-6, atol=1e-8)


def test_curvature_of_distances_is_the_hessian_where_all_distances_are_right() -> None:
    x = coords(replicas=1)
    applied = AppliedNetworks(networks(), SYSTEM)
    fields = applied.fields(x)
    n, ca, c, _ = x.unbind(-2)
    cb = virtual_cb(n, ca, c)
    length = x.shape[1]
    index = torch.stack([torch.tensor([j for j in range(length) if j != i]) for i in range(length)])[None]
    now = torch.stack([distance(p[0][index[0]], p[0].unsqueeze(1)) for p in (ca, cb)], -1)[None]
    envelope = torch.ones(index.shape, dtype=x.dtype)
    right = dataclasses.replace(
        fields, index=index, envelope=envelope, distances=now, distance_b=torch.full_like(now, 0.7)
    )
    term = DistanceDensity(applied, fields=right)
    block = term.curvature(x).shift[0]

    def shifted(by: Tensor, i: int) -> Tensor:
        only_i = torch.nn.functional.one_hot(torch.tensor(i), length)[:, None, None] * by
        return term(x + only_i).sum()

    for i in (0, 7, 20):
        exact = torch.autograd.functional.hessian(lambda by, i=i: shifted(by, i), torch.zeros(3, dtype=x.dtype))
        torch.testing.assert_close(block[i], exact, rtol=1e-5, atol=1e-6)
    assert isinstance(right, Fields)


def test_energy_of_the_frozen_densities_falls_at_every_step() -> None:
    x = coords()
    energy = FreeEnergy(learned_terms(AppliedNetworks(networks(), SYSTEM)), {"likelihood": 0.0}).at(x)
    part = curved_part(energy)
    assert part is not None and part.names == ("prior", "mediated")
    last = part(x).total
    for _ in range(5):
        shift, turn = rigid_moves(part, x)
        x = moved_rigidly(x, 0.3 * shift, 0.3 * turn)
        now = part(x).total
        assert bool((now < last).all())
        last = now


def test_moves_turn_with_the_structure() -> None:
    turn = rotation_from_vector(torch.tensor([0.3, 1.2, -0.8], dtype=torch.float64))
    x = coords()
    energy = FreeEnergy(learned_terms(AppliedNetworks(networks(), system())), {"likelihood": 0.0})
    ends = []
    for start in (x, x @ turn.T + 3.0):
        part = curved_part(energy.at(start))
        assert part is not None
        ends.append(moved_rigidly(start, *rigid_moves(part, start)))
    torch.testing.assert_close(ends[0] @ turn.T + 3.0, ends[1], rtol=1e-5, atol=1e-5)


def test_frozen_residues_keep_every_bit_and_the_seed_decides_the_bytes() -> None:
    x, mobile = coords(replicas=1), torch.ones(len(SYSTEM), dtype=torch.bool)
    mobile[3:9] = False
    energy = FreeEnergy(learned_terms(AppliedNetworks(networks(), SYSTEM)), {"likelihood": 0.0})
    settings = PropagationSettings(replicas=2, steps=3, noise=1e-3)
    one, two, other = (propagate(energy, x, settings, seed, mobile, None).final for seed in (0, 0, 1))
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(one[:, ~mobile], x.expand(2, -1, -1, -1)[:, ~mobile]) and not torch.equal(
        one[:, mobile], other[:, mobile]
    )


def test_longest_move_is_kept() -> None:
    x, mobile = coords(), torch.ones(len(SYSTEM), dtype=torch.bool)
    simulator = preconditioned(mobile, 1.0, max_step=0.05)
    point = Point(0.01, 0.0, 300.0)
    state = simulator.step(simulator.init(only("prior"), x, seeded(0), point), point, False)
    length = (state.coords - x)[:, :, 1].norm(dim=-1)
    assert length.max() <= 0.05 + 1e-9 and length.max() > 0.049


def test_a_fraction_beyond_the_whole_way_is_refused() -> None:
    with pytest.raises(InputError, match="fraction"):
        PropagationSettings(fraction=1.5)
