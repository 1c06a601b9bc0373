"""Unrolled refinement: moves as the propagation makes them, an error that needs no superposition, gradients through
every step.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from refine.errors import InputError
from refine.networks.prior import PriorOutput
from refine.structure.geometry import frames, rotation_from_vector, to_global, vector_from_rotation
from refine.training.targets import lddt_ca
from refine.training.train import TrainingSettings, loss_of
from refine.training.unrolled import UnrolledSettings, local_error, moved, soft_lddt, soft_score, unrolled_loss
from tests.networks.small import Structure, compact_protein, prior, small_pack

TURN = rotation_from_vector(torch.tensor([0.7, -1.1, 0.4], dtype=torch.float64))


def said(s: Structure) -> PriorOutput:
    return prior()(s.backbone, *s.labels())


def test_a_whole_move_ends_where_the_density_has_its_centre() -> None:
    s = Structure(compact_protein())
    out = said(s)
    x = moved(s.backbone, out, 1.0)
    torch.testing.assert_close(x[:, :, 1], to_global(out.region.rot, out.region.origin, out.shift))
    turned = vector_from_rotation(out.region.rot.transpose(-1, -2) @ frames(*x.unbind(-2)[:3]))
    torch.testing.assert_close(turned, out.turn, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(moved(s.backbone, out, 0.0), s.backbone)
    for a, b in ((0, 1), (1, 2), (2, 3), (0, 2)):  # residues stay rigid
        torch.testing.assert_close(
            (x[:, :, a] - x[:, :, b]).norm(dim=-1), (s.backbone[:, :, a] - s.backbone[:, :, b]).norm(dim=-1)
        )


def test_the_error_is_zero_for_the_native_anywhere_and_saturates() -> None:
    s = Structure(compact_protein())
    region = said(s).region
    native = s.backbone @ TURN.T + 7.0
    assert float(local_error(s.backbone, native, region)) == pytest.approx(0, abs=1e-9)
    assert float(local_error(s.backbone * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64), native, region)) > 0.5
    sizes = [
        float(local_error(s.backbone + size * torch.randn(s.backbone.shape, dtype=torch.float64), native, region))
        for size in (0.1, 1.0, 50.0)
    ]
    assert 0 < sizes[0] < sizes[1] < sizes[2] < 4.0


@pytest.mark.parametrize(
    "settings", [UnrolledSettings(steps=2), UnrolledSettings(steps=2, weight=0, lddt=1.0, gdt=0.5, whole=True)]
)
def test_gradients_reach_the_first_step_through_the_second(settings: UnrolledSettings) -> None:
    s = Structure(compact_protein())
    network = prior().requires_grad_(True)
    labels = s.labels()
    native = s.backbone + 0.5 * torch.randn(s.backbone.shape, dtype=torch.float64)
    batch: dict[str, Tensor] = {"start": s.backbone, "native": native}
    batch |= {
        "residue": labels[0],
        "position": labels[1],
        "mask": labels[3],
        "whole_shift": torch.randn_like(native[:, :, 1]),
    }
    out = network(
        batch["start"], batch["residue"], batch["position"], torch.zeros_like(batch["position"]), batch["mask"]
    )
    name = "whole_shift" if settings.whole else "shift"
    first = getattr(out, name).detach().requires_grad_(True)
    held = dataclasses.replace(out, **{name: first})
    loss, figures = unrolled_loss(network, batch, held, settings)
    (slope,) = torch.autograd.grad(loss, first)
    assert figures["unrolled_ratio"] > 0 and float(slope.norm()) > 1e-6
    step = 1e-5 * torch.randn(first.shape, dtype=torch.float64)
    there = [
        unrolled_loss(network, batch, dataclasses.replace(out, **{name: first.detach() + k * step}), settings)[0]
        for k in (1, -1)
    ]
    assert float((there[0] - there[1]).detach()) / 2 == pytest.approx(float((slope * step).sum()), rel=1e-4)


def test_soft_scores_follow_the_hard_ones_and_see_no_padding() -> None:
    s = Structure(compact_protein())
    native, mask = s.backbone[:, :, 1], torch.ones(1, len(s.backbone[0]), dtype=torch.bool)
    torch.manual_seed(0)
    noise = torch.randn_like(native)
    hard = [float(lddt_ca(native[0].numpy(), (native + k * noise)[0].numpy()).mean()) for k in (0.0, 0.3, 1.0, 3.0)]
    soft = [float(soft_lddt(native + k * noise, native @ TURN.T + 7.0, mask)) for k in (0.0, 0.3, 1.0, 3.0)]
    assert hard == sorted(hard, reverse=True) and soft == sorted(soft, reverse=True)
    assert soft[0] == pytest.approx(1 / (1 + math.exp(-2)))  # the blur takes as much from every limit
    assert soft[1:] == pytest.approx(hard[1:], abs=0.2)
    far = torch.cat((native, torch.full_like(native, 1e3)), dim=1)
    assert float(soft_lddt(far, far, torch.cat((mask, ~mask), dim=1))) == pytest.approx(soft[0])
    error = torch.tensor([[0.4, 1.5, 9.0]])
    assert float(soft_score(error, torch.tensor([[True, True, False]]))) > float(
        soft_score(error, torch.ones(1, 3, dtype=torch.bool))
    )


def test_the_whole_displacement_is_another_move() -> None:
    s = Structure(compact_protein())
    out = said(s)
    x = moved(s.backbone, out, 1.0, whole=True)
    torch.testing.assert_close(x[:, :, 1], to_global(out.region.rot, out.region.origin, out.whole_shift))
    assert float((x - moved(s.backbone, out, 1.0)).abs().max()) > 1e-4


def test_it_is_part_of_the_loss_and_for_the_prior_alone(tmp_path: Path) -> None:
    from refine.training.examples import Examples, ExampleSettings, collate
    from refine.training.pack import Pack

    batch = collate([Examples(Pack(small_pack(tmp_path)), [], "train", ExampleSettings(), 0, 4)[n] for n in range(2)])
    network, plain = prior(torch.float32), TrainingSettings(bf16=False)
    with_it = dataclasses.replace(plain, unrolled=UnrolledSettings(steps=1, weight=2.0))
    (one, few, _), (two, more, _) = loss_of(network, batch, plain), loss_of(network, batch, with_it)
    assert set(more) - set(few) == {"unrolled_ratio", "unrolled_lddt", "unrolled_gdt"} and float(two - one) > 0
    with pytest.raises(InputError, match="unrolled.steps is for the prior"):
        dataclasses.replace(with_it, network="judge")
