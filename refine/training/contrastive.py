"""Contrastive learning: the prior's free energy of a native below that of what its own dynamics, or an error, made of
it.

The likelihood of the native given a structure says where to go and nothing about how two structures compare. Here both
are priced by
themselves, as the engine does: F(x) = mean over residues of −log p(x_i | y_i(x)), in kT, and the native is to win.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional as F

from refine.networks.prior import Prior, PriorOutput, student

_TELLING = 0.97  # mean lDDT; what is nearer to the native than this has no rank


@dataclasses.dataclass(frozen=True)
class ContrastiveSettings:
    """How natives are set against their decoys.

    Attributes:
        weight: of the loss beside the others; 0 switches this off. It costs one more evaluation of the network.
        sharpness: per kT and residue; the loss of a pair is log(1 + exp(−sharpness · (F(decoy) − F(native)))).
    """

    weight: float = 0.0
    sharpness: float = 4.0


def free_energy(out: PriorOutput, mask: Tensor) -> Tensor:
    """−log p of each structure where it is (B,), kT per residue."""
    shift = student((out.shift**2).sum(-1), out.shift_log_b, 3)
    turn = student((out.turn**2).sum(-1), out.turn_log_b, 3)
    return ((shift + turn) * mask).sum(-1) / mask.sum(-1).clamp_min(1)


def contrastive_loss(
    network: Prior, batch: dict[str, Tensor], out: PriorOutput, settings: ContrastiveSettings
) -> tuple[Tensor, dict[str, float]]:
    """Unweighted loss over the decoys ``out`` was said of, and the figures ``gap`` (kT per residue) and
    ``native_lower`` (share).

    ``batch`` holds ``disguised`` (B, L, 4, 3), natives whose local geometry tells as little as the decoys' does. A
    batch without a decoy below 0.97 lDDT costs nothing and has no figures.
    """
    mask = batch["mask"]
    mean = (batch["lddt"] * mask).sum(-1) / mask.sum(-1).clamp_min(1)
    said = network(batch["disguised"], batch["residue"], batch["position"], torch.zeros_like(batch["position"]), mask)
    gap = (free_energy(out, mask) - free_energy(said, mask))[mean < _TELLING]
    if len(gap) == 0:
        return out.shift.sum() * 0.0, {}
    figures = {"gap": gap.mean().item(), "native_lower": (gap > 0).float().mean().item()}
    return F.softplus(-settings.sharpness * gap).mean(), figures
