"""Unrolled refinement: a few steps of the network's own moves, differentiated as a whole against the native.

The prior's likelihood asks for the best next move from where a structure is; this asks that several moves in a row end
nearer to the native, and lets the gradient run through the surroundings of the later ones. Nearer can mean three
things, each with its weight: the frame-aligned error of every region, lDDT, and GDT with the native laid onto the whole
start.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor

from refine.networks.environment import Region, neighbour_values
from refine.networks.prior import Prior, PriorOutput
from refine.structure.geometry import distance, frames, rotation_from_vector, to_global
from refine.training.targets import LDDT_LIMITS, LDDT_RADIUS

_SATURATION = 4.0  # Å; beyond it an error hardly counts, as in lDDT and GDT


@dataclasses.dataclass(frozen=True)
class UnrolledSettings:
    """How a training is unrolled.

    Attributes:
        steps: moves in a row; 0 switches this off. Each costs one more evaluation of the network.
        fraction: of the proposed move that a step makes, as in the propagation.
        whole: make the moves towards the native laid onto the whole model instead of the residue's region.
        weight: of the aligned error beside the other losses; lddt, gdt: of these.
    """

    steps: int = 0
    fraction: float = 0.4
    whole: bool = False
    weight: float = 1.0
    lddt: float = 0.0
    gdt: float = 0.0


class Moves(NamedTuple):
    """What a prior proposes: ``shift`` Å and ``turn`` rad (B, L, 3) in frames ``rot`` (B, L, 3, 3) at ``origin``."""

    shift: Tensor
    turn: Tensor
    rot: Tensor
    origin: Tensor


def moved(backbone: Tensor, out: PriorOutput, fraction: float, *, whole: bool = False) -> Tensor:
    """Backbones (B, L, 4, 3) whose residues made ``fraction`` of the move that ``out`` proposes for them."""
    shift, turn = out.motion(whole=whole)
    return moved_by(backbone, Moves(shift, turn, out.region.rot, out.region.origin), fraction)


def moved_by(backbone: Tensor, moves: Moves, part: Tensor | float) -> Tensor:
    """Backbones (B, L, 4, 3) whose residues made ``part`` of their moves, a number or (B, 1, 1)."""
    turned = moves.rot @ rotation_from_vector(part * moves.turn) @ moves.rot.transpose(-1, -2)
    place = to_global(moves.rot, moves.origin, part * moves.shift)
    return (backbone - backbone[:, :, 1:2]) @ turned.transpose(-1, -2) + place.unsqueeze(2)


def local_error(backbone: Tensor, native: Tensor, region: Region) -> Tensor:
    """Mean saturating error (Å) of where each residue's frame sees the N, CA, C, O of its region.

    The frame-aligned point error of Jumper et al. (2021) over ``region`` alone; an error d counts as d / (1 + d / 4 Å).
    """
    views = []
    for x in (backbone, native):
        n, ca, c, _ = x.unbind(-2)
        rot = frames(n, ca, c)
        near = neighbour_values(x, region.index) - ca[:, :, None, None]
        views.append((near.flatten(-3, -2) @ rot).unflatten(-2, near.shape[-3:-1]))
    away = distance(views[0], views[1])
    error = (away / (1 + away / _SATURATION)).mean(-1)
    return (error * region.envelope).sum() / region.envelope.sum().clamp_min(1.0)


def soft_score(error: Tensor, counted: Tensor) -> Tensor:
    """Share (B,) of the counted errors (B, ...) in Å below 0.5, 1, 2 and 4 Å, each limit blurred by half its height."""
    within = torch.stack([torch.sigmoid(2 * (limit - error) / limit) for limit in LDDT_LIMITS]).mean(0)
    weight = counted.to(error.dtype).flatten(1)
    return (within.flatten(1) * weight).sum(1) / weight.sum(1).clamp_min(1.0)


def soft_lddt(ca: Tensor, native: Tensor, mask: Tensor) -> Tensor:
    """Differentiable lDDT (B,) of CA positions (B, L, 3) against the native's, over native pairs within 15 Å."""
    true = distance(native[:, :, None], native[:, None])
    counted = (true < LDDT_RADIUS) & mask[:, :, None] & mask[:, None]
    counted &= ~torch.eye(ca.shape[1], dtype=torch.bool, device=ca.device)
    return soft_score((distance(ca[:, :, None], ca[:, None]) - true).abs(), counted)


def _left(after: Tensor, before: Tensor) -> Tensor:
    """What is missing of a soft score (B,) after the moves, relative to before (blur: at least 0.12); the mean."""
    return ((1 - after) / (1 - before.detach())).mean()


def unrolled_loss(
    network: Prior, batch: dict[str, Tensor], out: PriorOutput, settings: UnrolledSettings
) -> tuple[Tensor, dict[str, Tensor]]:
    """What is left to be gained of error, lDDT and GDT after ``settings.steps`` moves, the first by ``out``.

    Returns:
        the weighted loss, and the figures ``unrolled_ratio``, ``unrolled_lddt``, ``unrolled_gdt`` (1 = nothing gained).
    """
    start, native, mask, region = batch["start"], batch["native"], batch["mask"], out.region
    x, labels = start, (batch["residue"], batch["position"], torch.zeros_like(batch["position"]), mask)
    for step in range(settings.steps):
        output = out if step == 0 else network(x, *labels)
        with torch.autocast(x.device.type, enabled=False):
            x = moved(x, output, settings.fraction, whole=settings.whole)
    with torch.autocast(x.device.type, enabled=False):
        before = local_error(start, native, region).detach()
        ratio = local_error(x, native, region) / (before + 0.1)
        lddt = _left(soft_lddt(x[:, :, 1], native[:, :, 1], mask), soft_lddt(start[:, :, 1], native[:, :, 1], mask))
        goal = to_global(region.rot, region.origin, batch["whole_shift"].to(start.dtype))
        gdt = _left(soft_score(distance(x[:, :, 1], goal), mask), soft_score(distance(start[:, :, 1], goal), mask))
    loss = settings.weight * ratio + settings.lddt * lddt + settings.gdt * gdt
    figures = {
        "unrolled_ratio": ratio * (before + 0.1) / before.clamp_min(1e-3),
        "unrolled_lddt": lddt,
        "unrolled_gdt": gdt,
    }
    return loss, {name: value.detach() for name, value in figures.items()}
