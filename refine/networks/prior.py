"""The prior: an explicit, normalised density of each residue's native frame and distances given its present region.

For residue i with surroundings y_i (perturbed as models are wrong) the network gives

    p(x_i | y_i)  = T3(t; mu_t, b_t) · T3(w; mu_w, b_w)      the frame
    p(d_ij | y_i) = T1(d_ij; d_ij + delta_ij, b_ij)          CA–CA and CB–CB distances in the region

t (Å) is the displacement of CA and w (rad) the rotation vector of the frame, both seen from the present frame of i,
that lead to the native when the native is laid onto the region of i. Tp is Student's t density in p dimensions with
``FREEDOM`` degrees of freedom and scale b: heavy-tailed as model errors are, quadratic and smooth at its centre,
first-order to train, and normalised, so -log p has a defined unit.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn

from refine.networks.environment import Region, RegionSettings, neighbour_values, offset_classes, regions
from refine.networks.network import Trunk, TrunkSettings, head

FREEDOM = 2.0
"""Degrees of freedom of the t densities."""

WHOLE_SHIFT_OUTPUTS = slice(8, 11)
LDDT_OUTPUT = 14
"""Places of the whole-model displacement and the expected lDDT among the outputs of the frame head."""

_LOG_B_RANGE = (-1.6, 2.5)  # b between 0.2 and 12 Å: near-perfect examples must not outweigh all others
_LOG_TURN_RANGE = (-2.6, 0.7)  # rad


@dataclasses.dataclass(frozen=True)
class PriorSettings:
    """Everything needed to rebuild a prior network."""

    trunk: TrunkSettings = TrunkSettings()
    region: RegionSettings = RegionSettings()


@dataclasses.dataclass(frozen=True)
class PriorOutput:
    """What the prior predicts of B structures of L residues with K neighbours.

    Attributes:
        shift: (B, L, 3) Å, most likely displacement of CA in the residue's frame; ``shift_log_b`` (B, L).
        turn: (B, L, 3) rad, most likely rotation vector in the residue's frame; ``turn_log_b`` (B, L).
        whole_shift, whole_turn: (B, L, 3) the same with the native laid onto the whole model (robustly).
        delta: (B, L, K, 2) Å, most likely change of the CA–CA and CB–CB distances; ``delta_log_b`` likewise.
        lddt: (B, L) in [0, 1], expected CA lDDT of the residue.
        hidden: (B, L, D) from which the last layer of the frame head reads.
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
    hidden: Tensor
    region: Region

    def motion(self, *, whole: bool) -> tuple[Tensor, Tensor]:
        """Shift and turn towards the native laid onto the whole model, or onto each residue's region."""
        return (self.whole_shift, self.whole_turn) if whole else (self.shift, self.turn)


def bounded(raw: Tensor, low: float, high: float) -> Tensor:
    """Smoothly maps any value into (low, high)."""
    return low + (high - low) * torch.sigmoid(raw)


def at_least_single(values: Tensor) -> Tensor:
    """Half-precision values in single precision; single and double stay."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


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

    def states(
        self, backbone: Tensor, residue: Tensor, position: Tensor, chain: Tensor, mask: Tensor
    ) -> tuple[Region, Tensor, Tensor]:
        """Regions, and the states of residues (B, L, D) and edges (B, L, K, D) from which the heads read."""
        region = regions(backbone, mask, self.settings.region)
        return region, *self.trunk(region, offset_classes(position, chain, region.index), residue)

    def forward(self, backbone: Tensor, residue: Tensor, position: Tensor, chain: Tensor, mask: Tensor) -> PriorOutput:
        region, node, edge = self.states(backbone, residue, position, chain, mask)
        return self.read_out(region, node, neighbour_values(node, region.index).add_(node.unsqueeze(2)).add_(edge))

    def read_out(self, region: Region, node: Tensor, ends: Tensor) -> PriorOutput:
        """What the heads say of residues' states (B, L, D) and of the sums of both ends' states and the edge's
        (B, L, K, D).
        """
        hidden = self.frame_head[:-1](node)
        frame = at_least_single(self.frame_head[-1](hidden))
        pair = at_least_single(self.edge_head(ends))
        return PriorOutput(
            shift=frame[..., 0:3],
            shift_log_b=bounded(frame[..., 3], *_LOG_B_RANGE),
            turn=frame[..., 4:7],
            turn_log_b=bounded(frame[..., 7], *_LOG_TURN_RANGE),
            whole_shift=frame[..., WHOLE_SHIFT_OUTPUTS],
            whole_turn=frame[..., 11:14],
            delta=pair[..., 0:2],
            delta_log_b=bounded(pair[..., 2:4], *_LOG_B_RANGE),
            lddt=torch.sigmoid(frame[..., LDDT_OUTPUT]),
            hidden=at_least_single(hidden),
            region=region,
        )


def student(square: Tensor, log_b: Tensor, dimensions: int) -> Tensor:
    """−log density of Student's t with ``FREEDOM`` degrees of freedom.

    Args:
        square: (...) squared distance from the centre, Å^2 or rad^2.
        log_b: (...) log of the scale.
        dimensions: 1 for a number, 3 for a vector.
    """
    half = (FREEDOM + dimensions) / 2
    constant = math.lgamma(half) - math.lgamma(FREEDOM / 2) - dimensions / 2 * math.log(FREEDOM * math.pi)
    return half * torch.log1p(square * torch.exp(-2 * log_b) / FREEDOM) + dimensions * log_b - constant
