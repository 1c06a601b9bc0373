"""Networks with every gather of neighbours as a matrix product, for training on a GPU.

The gradient of a gather is a sum with scattered additions, which a GPU makes slowly and, in half precision, badly; the
gradient of a product is a product. The results are those of the networks' own ``forward``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from refine.networks.environment import Region, RegionSettings, offset_classes, regions
from refine.networks.judge import Judge
from refine.networks.network import TYPICAL_NEIGHBOURS, Messages, Trunk
from refine.networks.prior import Prior, PriorOutput

Round = Callable[[Messages, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def messages(layer: Messages, node: Tensor, edge: Tensor, pick: Tensor, envelope: Tensor) -> tuple[Tensor, Tensor]:
    """``Messages.forward``. Compiled alone it serves all layers, in a fifth of the time that compiling a loss takes."""
    assert layer.edge_out is not None
    x = layer.norm_in(node)
    z = torch.bmm(pick, layer.neighbour(x)).unflatten(1, edge.shape[1:3])
    z = F.silu(z + layer.centre(x).unsqueeze(2) + layer.edge(edge))
    z = F.silu(layer.mix(z))
    node = node + layer.out((z * envelope).sum(2) / TYPICAL_NEIGHBOURS)
    node = node + layer.transition(layer.norm_out(node))
    return node, layer.edge_out(z) + edge


def states(
    trunk: Trunk, settings: RegionSettings, inputs: tuple[Tensor, ...], one_round: Round = messages
) -> tuple[Region, Tensor, Tensor, Tensor]:
    """Regions, states of residues (B, L, D) and edges (B, L, K, D), and the matrix (B, L·K, L) that picks neighbours.

    ``inputs`` are backbone, residue, position, chain and mask, as ``Prior.forward`` takes them; the trunk must see
    identities.
    """
    backbone, residue, position, chain, mask = inputs
    kind = backbone.device.type
    with torch.autocast(kind, enabled=False):  # coordinates lose 0.1 Å in bfloat16
        region = regions(backbone, mask, settings)
        offset = offset_classes(position, chain, region.index)
        classes = F.one_hot(offset, trunk.offset_in.num_embeddings).to(region.edge.dtype)
        weight = torch.cat((trunk.edge_in.weight, trunk.offset_in.weight.T), 1)
        edge = F.silu(F.linear(torch.cat((region.edge, classes), -1), weight, trunk.edge_in.bias))
    edge = edge.to(torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else edge.dtype)
    assert trunk.residue_in is not None
    node = trunk.node_in(region.node) + F.one_hot(residue, 20).to(edge.dtype) @ trunk.residue_in.weight
    pick = F.one_hot(region.index.flatten(1), region.index.shape[1]).to(edge.dtype)
    envelope = region.envelope.unsqueeze(-1).to(edge.dtype)
    for layer in trunk.layers:
        assert isinstance(layer, Messages)
        node, edge = one_round(layer, node, edge, pick, envelope)
    return region, node, edge, pick


def prior_output(network: Prior, *inputs: Tensor, one_round: Round = messages) -> PriorOutput:
    """``Prior.forward``, ``one_round`` being ``messages`` or that compiled."""
    region, node, edge, pick = states(network.trunk, network.settings.region, inputs, one_round)
    here = node.to(edge.dtype)
    return network.read_out(
        region, node, torch.bmm(pick, here).unflatten(1, edge.shape[1:3]) + here.unsqueeze(2) + edge
    )


def judge_output(network: Judge, *inputs: Tensor, one_round: Round = messages) -> Tensor:
    """``Judge.forward``, likewise."""
    return network.read_out(states(network.trunk, network.settings.region, inputs, one_round)[1])
