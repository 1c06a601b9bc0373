"""Message passing over overlapping local regions: the trunk that prior, likelihood and judge have each.

One layer sees one region, strictly local; each further layer lets overlapping regions tell each other what they
contain, which is the learned part of the mediated correlation (F_MED).
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from refine.networks.environment import EDGE_FEATURES, NODE_FEATURES, OFFSET_CLASSES, Region, neighbour_values

TYPICAL_NEIGHBOURS = 16.0
"""Normalises the sum over neighbours, so that burial stays visible in it."""


@dataclasses.dataclass(frozen=True)
class TrunkSettings:
    """Size of a trunk: ``layers`` rounds of messages at ``width`` channels; ``identities`` whether sequence is seen."""

    width: int = 128
    layers: int = 4
    identities: bool = True


class Messages(nn.Module):
    """One round: every residue gathers from its region, then edges learn what both ends know."""

    def __init__(self, width: int, update_edges: bool = True) -> None:
        super().__init__()
        self.centre = nn.Linear(width, width)
        self.neighbour = nn.Linear(width, width, bias=False)
        self.edge = nn.Linear(width, width, bias=False)
        self.mix = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.edge_out = nn.Linear(width, width) if update_edges else None
        self.norm_in, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transition = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, node: Tensor, edge: Tensor, region: Region) -> tuple[Tensor, Tensor]:
        """Updated (B, L, D) residues and (B, L, K, D) edges."""
        x = self.norm_in(node)
        z = neighbour_values(self.neighbour(x), region.index)
        z = silu(z.add_(self.centre(x).unsqueeze(2)).add_(self.edge(edge)))
        z = silu(self.mix(z))
        message = (z * region.envelope.unsqueeze(-1).to(z.dtype)).sum(2) / TYPICAL_NEIGHBOURS
        node = node + self.out(message)
        node = node + self.transition(self.norm_out(node))
        if self.edge_out is not None:
            edge = self.edge_out(z).add_(edge)
        return node, edge

    def begin_as_identity(self) -> None:
        """Changes nothing until it is trained: for a layer added to a trained trunk."""
        silence(self.out, self.transition[2], *([] if self.edge_out is None else [self.edge_out]))


class Trunk(nn.Module):
    """Embeds regions and passes messages.

    Args:
        settings: size.

    Inputs: ``region``; ``offset`` (B, L, K) classes; ``residue`` (B, L) identities, ignored unless
    ``settings.identities``.

    Outputs: residue states (B, L, D) and edge states (B, L, K, D).
    """

    def __init__(self, settings: TrunkSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.width
        self.node_in = nn.Linear(NODE_FEATURES, width)
        self.edge_in = nn.Linear(EDGE_FEATURES, width)
        self.offset_in = nn.Embedding(OFFSET_CLASSES, width)
        self.residue_in = nn.Embedding(20, width) if settings.identities else None
        self.layers = nn.ModuleList(Messages(width) for _ in range(settings.layers))

    def forward(self, region: Region, offset: Tensor, residue: Tensor) -> tuple[Tensor, Tensor]:
        node = self.node_in(region.node)
        if self.residue_in is not None:
            node = node + self.residue_in(residue)
        with torch.autocast(region.edge.device.type, enabled=False):  # coordinates lose 0.1 Å in bfloat16
            edge = silu(self.offset_in(offset).add_(self.edge_in(region.edge)))
        if torch.is_autocast_enabled(region.edge.device.type):
            edge = edge.to(torch.get_autocast_dtype(region.edge.device.type))
        for layer in self.layers:
            node, edge = layer(node, edge, region)
        return node, edge


def silu(x: Tensor) -> Tensor:
    """x · sigmoid(x) of a tensor that nobody else holds: in its place where no gradient will be asked for."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


def parameter_count(module: nn.Module) -> int:
    """Number of trainable values."""
    return sum(p.numel() for p in module.parameters())


def silence(*layers: nn.Module) -> None:
    """Weights and biases of linear layers set to zero."""
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)


def head(width: int, outputs: int) -> nn.Sequential:
    """A two-layer read-out that starts at zero, so that an untrained network proposes no change."""
    last = nn.Linear(width, outputs)
    silence(last)
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), last)
