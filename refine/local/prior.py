"""The prior: an explicit, normalised density of each residue's native frame and distances given its present region.

For residue i with surroundings y_i (perturbed as models are wrong) the network gives

    p(x_i | y_i) = SL3(t; mu_t, b_t) · SL3(w; mu_w, b_w)                         (frame)
    p(d_ij | y_i) = Laplace(d_ij; d_ij + delta_ij, b_ij)                          (CA–CA and CB–CB distances in the region)

t (Å) is the displacement of CA and w (rad) the rotation vector of the frame, both seen from the present frame of i,
that lead to the native when the native is laid onto the region of i. SL3 is the spherical Laplace density
exp(-|t - mu| / b) / (8 pi b^3): heavy-tailed as model errors are, first-order to train, and normalised, so -log p
has a defined unit.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn

from refine.local.environment import Region, RegionSettings, gather, offset_classes, regions
from refine.local.network import Trunk, TrunkSettings, head

LOG_8PI = math.log(8 * math.pi)
_LOG_B_RANGE = (-3.0, 2.5)  # b between 0.05 and 12 Å (rad): keeps the density proper where data are exact


@dataclasses.dataclass(frozen=True)
class PriorSettings:
    """Everything needed to rebuild a prior network."""

    trunk: TrunkSettings = TrunkSettings()
    region: RegionSettings = RegionSettings()


@dataclasses.dataclass(frozen=True)
class PriorOutput:
    """What the prior says about B structures of L residues with K neighbours.

    Attributes:
        shift: (B, L, 3) Å, most likely displacement of CA in the residue's frame; ``shift_log_b`` (B, L).
        turn: (B, L, 3) rad, most likely rotation vector in the residue's frame; ``turn_log_b`` (B, L).
        whole_shift, whole_turn: (B, L, 3) the same with the native laid onto the whole model (robustly).
        delta: (B, L, K, 2) Å, most likely change of the CA–CA and CB–CB distances; ``delta_log_b`` likewise.
        lddt: (B, L) in [0, 1], expected CA lDDT of the residue.
        region: the regions these belong to.
    """

    shift: Tensor
    shift_log_b: Tensor
    turn: Tensor
    turn_log_b: Tensor
    whole_shift: Tensor
    whole_turn: Tensor
    delta: Tensor
    delta_log_b: Tensor
    lddt: Tensor
    region: Region


def bounded_log_b(raw: Tensor) -> Tensor:
    """Smoothly maps any value into the allowed range of log b."""
    low, high = _LOG_B_RANGE
    return low + (high - low) * torch.sigmoid(raw)


class Prior(nn.Module):
    """See the module's text.

    Inputs: ``backbone`` (B, L, 4, 3) Å, ``residue`` (B, L) identities, ``position`` and ``chain`` (B, L), ``mask``
    (B, L). Outputs: ``PriorOutput``.
    """

    def __init__(self, settings: PriorSettings) -> None:
        super().__init__()
        self.settings = settings
        self.trunk = Trunk(settings.trunk)
        width = settings.trunk.width
        self.frame_head = head(width, 15)
        self.edge_head = head(width, 4)

    def forward(self, backbone: Tensor, residue: Tensor, position: Tensor, chain: Tensor, mask: Tensor) -> PriorOutput:
        region = regions(backbone, mask, self.settings.region)
        node, edge = self.trunk(region, offset_classes(position, chain, region.index), residue)
        frame = self.frame_head(node).float()
        pair = self.edge_head(node.unsqueeze(2) + gather(node, region.index) + edge).float()
        return PriorOutput(
            shift=frame[..., 0:3],
            shift_log_b=bounded_log_b(frame[..., 3]),
            turn=frame[..., 4:7],
            turn_log_b=bounded_log_b(frame[..., 7] - 1.0),
            whole_shift=frame[..., 8:11],
            whole_turn=frame[..., 11:14],
            delta=pair[..., 0:2],
            delta_log_b=bounded_log_b(pair[..., 2:4]),
            lddt=torch.sigmoid(frame[..., 14]),
            region=region,
        )


def spherical_laplace(value: Tensor, mean: Tensor, log_b: Tensor) -> Tensor:
    """−log density (...) of 3-vectors (..., 3) under the spherical Laplace law; smooth at its centre to 1e-3."""
    r = (((value - mean) ** 2).sum(-1) + 1e-6).sqrt()
    return r * torch.exp(-log_b) + 3 * log_b + LOG_8PI


def laplace(value: Tensor, mean: Tensor, log_b: Tensor) -> Tensor:
    """−log density (...) of numbers under the Laplace law; smooth at its centre to 1e-3."""
    r = ((value - mean) ** 2 + 1e-6).sqrt()
    return r * torch.exp(-log_b) + log_b + math.log(2.0)
