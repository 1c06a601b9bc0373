"""Symmetries, locality and smoothness of the likelihood and the prior."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from refine.networks.environment import smooth_cutoff
from refine.networks.prior import PriorOutput, student
from refine.structure.geometry import rotation_from_vector, to_global
from tests.networks.small import Structure, compact_protein, likelihood, prior

TURN = rotation_from_vector(torch.tensor([0.7, -1.1, 0.4], dtype=torch.float64))
SHIFT = torch.tensor([3.0, -8.0, 5.0], dtype=torch.float64)


@pytest.fixture
def structure() -> Structure:
    return Structure(compact_protein())


def said(structure: Structure, backbone: Tensor | None = None) -> PriorOutput:
    return prior()(structure.backbone if backbone is None else backbone, *structure.labels())


def logits(structure: Structure) -> Tensor:
    return likelihood()(structure.backbone, structure.side_chain, structure.present, *structure.labels())


def dense(values: Tensor, index: Tensor) -> Tensor:
    """(B, L, K, 2) as (B, L, L, 2), so that the order of neighbours does not matter."""
    length = index.shape[1]
    return torch.zeros(1, length, length, 2, dtype=values.dtype).scatter(
        2, index.unsqueeze(-1).expand(-1, -1, -1, 2), values
    )


def test_rotation_and_translation_change_nothing_and_vectors_turn_along(structure: Structure) -> None:
    one, two = said(structure), said(structure, structure.backbone @ TURN.T + SHIFT)
    assert one.shift.norm(dim=-1).min() > 1e-2
    for name in ("shift", "shift_log_b", "turn", "turn_log_b", "whole_shift", "whole_turn", "lddt"):
        torch.testing.assert_close(getattr(one, name), getattr(two, name), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(
        dense(one.delta, one.region.index), dense(two.delta, two.region.index), rtol=1e-6, atol=1e-7
    )
    goal = to_global(one.region.rot, one.region.origin, one.shift)
    moved = to_global(two.region.rot, two.region.origin, two.shift)
    torch.testing.assert_close(goal @ TURN.T + SHIFT, moved)


def test_likelihood_is_invariant(structure: Structure) -> None:
    one = logits(structure)
    structure.backbone, structure.side_chain = (
        structure.backbone @ TURN.T + SHIFT,
        structure.side_chain @ TURN.T + SHIFT,
    )
    torch.testing.assert_close(one, logits(structure), rtol=1e-6, atol=1e-7)


def test_order_of_residues_and_chains_does_not_matter(structure: Structure) -> None:
    before, other = said(structure), logits(structure)
    order = torch.randperm(28, generator=torch.Generator().manual_seed(0))
    for name in ("backbone", "side_chain", "present", "residue", "position", "chain"):
        setattr(structure, name, getattr(structure, name)[:, order])
    after = said(structure)
    torch.testing.assert_close(before.shift[:, order], after.shift)
    torch.testing.assert_close(before.lddt[:, order], after.lddt)
    whole = dense(before.delta, before.region.index)[:, order][:, :, order]
    torch.testing.assert_close(whole, dense(after.delta, after.region.index))
    torch.testing.assert_close(other[:, order], logits(structure))


def test_mirror_image_looks_different(structure: Structure) -> None:
    before, other = said(structure), logits(structure)
    flip = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    structure.backbone, structure.side_chain = structure.backbone * flip, structure.side_chain * flip
    assert (before.lddt - said(structure).lddt).abs().mean() > 1e-3
    assert (other - logits(structure)).abs().mean() > 1e-2


def test_centre_does_not_see_itself_but_its_neighbours(structure: Structure) -> None:
    before, i = logits(structure), 9
    structure.residue = structure.residue.clone()
    structure.residue[0, i] = (structure.residue[0, i] + 7) % 20
    structure.side_chain = structure.side_chain.clone()
    structure.side_chain[0, i] += torch.tensor([1.0, -0.5, 0.8])
    after = logits(structure)
    assert torch.equal(before[0, i], after[0, i])
    near = (structure.backbone[0, :, 1] - structure.backbone[0, i, 1]).norm(dim=-1) < 8
    near[i] = False
    assert (before - after)[0, near].abs().amax(-1).min() > 1e-3


def test_absent_atoms_do_not_count_wherever_they_lie(structure: Structure) -> None:
    before, i = logits(structure), 9
    structure.side_chain = structure.side_chain.clone()
    structure.side_chain[~structure.present] += 2.0
    assert torch.equal(before, logits(structure))
    structure.present = structure.present.clone()
    structure.present[0, i] = False
    assert (before - logits(structure))[0].abs().amax() > 1e-3


def test_likelihood_sees_single_atoms_and_feels_them_come_and_go_smoothly(structure: Structure) -> None:
    """Two atoms of one side chain change places, their centroid stays; then one atom is led away in steps of 0.01 Å."""
    i = next(k for k in range(28) if structure.present[0, k].sum() >= 4)
    before, at = logits(structure), structure.side_chain
    structure.side_chain = at.clone()
    structure.side_chain[0, i, [2, 3]] = at[0, i, [3, 2]]
    assert (before - logits(structure)).abs().max() > 1e-3
    outputs = []
    for k in range(800):
        structure.side_chain = at.clone()
        structure.side_chain[0, i, 3] += torch.tensor([0.6, -0.6, 0.5], dtype=torch.float64) * 0.01 * k
        outputs.append(logits(structure))
    change = torch.stack([(b - a).abs().max() for a, b in zip(outputs, outputs[1:], strict=False)])
    kink = torch.stack(
        [(c - 2 * b + a).abs().max() for a, b, c in zip(outputs, outputs[1:], outputs[2:], strict=False)]
    )
    assert 1e-4 < change.max() < 0.05 and kink.max() < 0.1 * change.max()


def test_padding_changes_nothing(structure: Structure) -> None:
    before, other = said(structure), logits(structure)
    far = structure.backbone[:, :5] + 500.0
    structure.backbone = torch.cat((structure.backbone, far), 1)
    structure.side_chain = torch.cat((structure.side_chain, far[:, :, :1].expand(-1, -1, 10, -1)), 1)
    structure.present = torch.cat((structure.present, torch.ones(1, 5, 10, dtype=torch.bool)), 1)
    for name in ("residue", "position", "chain"):
        setattr(structure, name, torch.cat((getattr(structure, name), torch.zeros(1, 5, dtype=torch.int64)), 1))
    structure.mask = torch.cat((structure.mask, torch.zeros(1, 5, dtype=torch.bool)), 1)
    torch.testing.assert_close(before.shift, said(structure).shift[:, :28])
    torch.testing.assert_close(other, logits(structure)[:, :28])


def test_neighbour_crossing_the_cutoff_is_not_felt(structure: Structure) -> None:
    """A chain is led out through the cutoff in steps of 0.01 Å: outputs change no more there than elsewhere."""
    away = torch.tensor([0.6, 0.6, 0.5], dtype=torch.float64) / torch.tensor([0.6, 0.6, 0.5]).norm()
    outputs = []
    for k in range(0, 60):
        x = structure.backbone.clone()
        x[0, 16:] += away * (4.0 + 0.01 * k)
        outputs.append(said(structure, x).shift)
    steps = torch.stack([(b - a).abs().max() for a, b in zip(outputs, outputs[1:], strict=False)])
    kinks = torch.stack(
        [(c - 2 * b + a).abs().max() for a, b, c in zip(outputs, outputs[1:], outputs[2:], strict=False)]
    )
    assert 1e-6 < steps.max() < 0.02
    assert kinks.max() < 1e-3
    x = structure.backbone.clone()
    x[0, 16:] += 200.0
    one = said(structure, x).shift
    x[0, 16:] += 50.0
    torch.testing.assert_close(one, said(structure, x).shift)


def test_envelope_is_smooth() -> None:
    d = torch.linspace(7, 13, 6001, dtype=torch.float64, requires_grad=True)
    w = smooth_cutoff(d, 8.0, 12.0)
    (slope,) = torch.autograd.grad(w.sum(), d)
    assert w[0] == 1 and w[-1] == 0
    assert slope[0] == slope[-1] == 0 and slope.diff().abs().max() < 1e-3


@pytest.mark.parametrize("log_b", [-1.5, 0.0, 1.2])
def test_student_densities_integrate_to_one(log_b: float) -> None:
    b = torch.tensor(log_b, dtype=torch.float64).exp()
    u = torch.linspace(0, 1, 400_002, dtype=torch.float64)[1:-1]
    r, jacobian = b * u / (1 - u), b / (1 - u) ** 2
    log = torch.tensor(log_b, dtype=torch.float64)
    line = 2 * torch.trapezoid(torch.exp(-student(r**2, log, 1)) * jacobian, u)
    ball = torch.trapezoid(4 * torch.pi * r**2 * torch.exp(-student(r**2, log, 3)) * jacobian, u)
    assert float(line) == pytest.approx(1, abs=1e-3)
    assert float(ball) == pytest.approx(1, abs=1e-3)
