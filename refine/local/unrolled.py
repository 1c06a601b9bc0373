"""Unrolled refinement: a few steps of the network's own moves, differentiated as a whole against the native.

The prior's likelihood asks for the best next move from where a structure is; this asks that several moves in a row end nearer to the
native, and lets the gradient run through the surroundings of the later ones.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from refine.local.environment import Region, gather
from refine.local.prior import Prior, PriorOutput
from refine.structure.geometry import distance, frames, rotation_from_vector, to_global

_SATURATION = 4.0  # Å; beyond it an error hardly counts, as in lDDT and GDT


@dataclasses.dataclass(frozen=True)
class UnrolledSettings:
    """How a training is unrolled.

    Attributes:
        steps: moves in a row; 0 switches this off. Each costs one more evaluation of the network.
        fraction: of the proposed move that a step makes, as in the propagation.
        weight: of the unrolled loss beside the others.
    """

    steps: int = 0
    fraction: float = 0.4
    weight: float = 1.0


def moved(backbone: Tensor, out: PriorOutput, fraction: float) -> Tensor:
    """Backbones (B, L, 4, 3) whose residues made ``fraction`` of the move that ``out`` proposes for them."""
    region = out.region
    turn = region.rot @ rotation_from_vector(fraction * out.turn) @ region.rot.transpose(-1, -2)
    place = to_global(region.rot, region.origin, fraction * out.shift)
    return (backbone - backbone[:, :, 1:2]) @ turn.transpose(-1, -2) + place.unsqueeze(2)


def local_error(backbone: Tensor, native: Tensor, region: Region) -> Tensor:
    """Mean saturating error (Å) of where each residue's frame sees the N, CA, C, O of its region, native against ``backbone``.

    The frame-aligned point error of Jumper et al. (2021) over ``region`` alone; an error d counts as d / (1 + d / 4 Å).
    """
    seen = []
    for x in (backbone, native):
        n, ca, c, _ = x.unbind(-2)
        rot = frames(n, ca, c)
        near = gather(x, region.index) - ca[:, :, None, None]
        seen.append((near.flatten(-3, -2) @ rot).unflatten(-2, near.shape[-3:-1]))
    away = distance(seen[0], seen[1])
    error = (away / (1 + away / _SATURATION)).mean(-1)
    return (error * region.envelope).sum() / region.envelope.sum().clamp_min(1.0)


def unrolled_loss(
    network: Prior, batch: dict[str, Tensor], out: PriorOutput, settings: UnrolledSettings
) -> tuple[Tensor, dict[str, float]]:
    """Error left after ``settings.steps`` moves, the first by ``out``, relative to the start's.

    Returns:
        the loss, unweighted, and the figure ``unrolled_ratio`` (1 = nothing gained).
    """
    x, region = batch["start"], out.region
    labels = batch["residue"], batch["position"], torch.zeros_like(batch["position"]), batch["mask"]
    for step in range(settings.steps):
        x = moved(x, out if step == 0 else network(x, *labels), settings.fraction)
    before = local_error(batch["start"], batch["native"], region).detach()
    ratio = local_error(x, batch["native"], region) / (before + 0.1)
    return ratio, {"unrolled_ratio": (ratio * (before + 0.1) / before.clamp_min(1e-3)).item()}
