"""The local region R_i = (x_i, y_i): which residues surround residue i and how they look from its own frame.

Every feature is expressed in the frame of the central residue, so it does not change under rotation, translation or
reordering of the chains, and it does change under reflection. Nothing beyond ``RegionSettings.cutoff`` enters, and
the envelope takes each neighbour smoothly to zero there.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from refine.structure.geometry import distance, frames, to_local, virtual_cb

SEQUENCE_WINDOW = 16
"""Sequence offsets beyond this many residues, and other chains, share one class."""
CHAIN_BREAK = 20
"""Jump of the sequence position at a chain break, so that offsets across it share that class too."""

OFFSET_CLASSES = 2 * SEQUENCE_WINDOW + 2
_COORDINATE_SCALE = 0.1  # 1/Å: brings local coordinates to the order of one


@dataclasses.dataclass(frozen=True)
class RegionSettings:
    """Extent of a local region.

    Attributes:
        cutoff: radius in Å around CA; nothing outside it is seen.
        inner: radius in Å up to which neighbours count fully.
        neighbours: most neighbours kept (the nearest), a bound on memory that dense cores reach near the cutoff.
    """

    cutoff: float = 12.0
    inner: float = 8.0
    neighbours: int = 32


@dataclasses.dataclass(frozen=True)
class Region:
    """Local regions of B structures of L residues with K neighbours each.

    Attributes:
        index: (B, L, K) int64 neighbour numbers.
        envelope: (B, L, K) weight in [0, 1], 0 for absent neighbours.
        edge: (B, L, K, E) features of each neighbour in the frame of the central residue.
        node: (B, L, F) features of the central residue itself: its O in its own frame and its burial.
        rot: (B, L, 3, 3) residue frames, ``origin`` (B, L, 3) their CA positions.
        cb: (B, L, 3) virtual CB positions.
    """

    index: Tensor
    envelope: Tensor
    edge: Tensor
    node: Tensor
    rot: Tensor
    origin: Tensor
    cb: Tensor


def neighbour_values(values: Tensor, index: Tensor) -> Tensor:
    """Rows of ``values`` (B, L, ...) picked by ``index`` (B, L, K): (B, L, K, ...)."""
    rows = torch.arange(values.shape[0], device=values.device)[:, None, None] * values.shape[1] + index
    return values.flatten(0, 1).index_select(0, rows.flatten()).unflatten(0, index.shape)


def radial_basis(d: Tensor, count: int, start: float, stop: float) -> Tensor:
    """Gaussians (..., count) of distances (...) with centres evenly spaced from ``start`` to ``stop`` Å."""
    centres = torch.linspace(start, stop, count, dtype=d.dtype, device=d.device)
    width = (stop - start) / count
    return torch.exp(-(((d.unsqueeze(-1) - centres) / width) ** 2))


def smooth_cutoff(d: Tensor, inner: float, cutoff: float) -> Tensor:
    """1 below ``inner``, 0 beyond ``cutoff``, with continuous first and second derivatives between (quintic)."""
    x = ((d - inner) / (cutoff - inner)).clamp(0.0, 1.0)
    return 1.0 - x**3 * (10.0 - 15.0 * x + 6.0 * x * x)


def offset_classes(position: Tensor, chain: Tensor, index: Tensor) -> Tensor:
    """Class (B, L, K) of each neighbour's offset along the sequence, 0 … ``OFFSET_CLASSES`` − 1.

    Args:
        position: (B, L) residue positions; chain breaks leave gaps in them.
        chain: (B, L) chain numbers.
        index: (B, L, K) neighbours.
    """
    offset = neighbour_values(position, index) - position.unsqueeze(-1)
    near = (offset.abs() <= SEQUENCE_WINDOW) & (neighbour_values(chain, index) == chain.unsqueeze(-1))
    return torch.where(near, offset + SEQUENCE_WINDOW, torch.full_like(offset, OFFSET_CLASSES - 1))


def nearest(ca: Tensor, mask: Tensor, settings: RegionSettings) -> Tensor:
    """The nearest residues (B, L, K) of every residue, by CA; K = min(neighbours, L − 1), at least 1."""
    far = 1e6
    with torch.no_grad():
        d = torch.cdist(ca, ca)
        d = d.masked_fill(~mask[:, None, :], far)
        d.diagonal(dim1=1, dim2=2).fill_(2 * far)
        k = max(1, min(settings.neighbours, ca.shape[1] - 1))
        return d.topk(k, dim=-1, largest=False, sorted=False).indices


EDGE_FEATURES = 15 + 9 + 16 + 16 + 8 + 8
NODE_FEATURES = 4


def regions(backbone: Tensor, mask: Tensor, settings: RegionSettings) -> Region:
    """Local regions of structures given by their backbones.

    Args:
        backbone: (B, L, 4, 3) N, CA, C, O in Å.
        mask: (B, L) bool, False for padding.
        settings: extent.
    """
    n, ca, c, o = backbone.unbind(-2)
    rot, cb = frames(n, ca, c), virtual_cb(n, ca, c)
    index = nearest(ca, mask, settings)
    atoms = torch.stack((n, ca, c, o, cb), dim=-2)
    near = neighbour_values(atoms, index)
    local = ((near - ca[:, :, None, None]).flatten(-3, -2) @ rot).unflatten(-2, near.shape[-3:-1])
    d_ca, d_cb = distance(near[..., 1, :], ca.unsqueeze(2)), distance(near[..., 4, :], cb.unsqueeze(2))
    present = neighbour_values(mask.unsqueeze(-1), index).squeeze(-1) & mask.unsqueeze(-1)
    self_edge = index == torch.arange(index.shape[1], device=index.device)[None, :, None]
    envelope = smooth_cutoff(d_ca, settings.inner, settings.cutoff) * (present & ~self_edge)
    relative = rot.unsqueeze(2).transpose(-1, -2) @ neighbour_values(rot, index)
    edge = torch.cat(
        (
            local.flatten(-2) * _COORDINATE_SCALE,
            relative.flatten(-2),
            radial_basis(d_ca, 16, 3.0, 12.0),
            radial_basis(d_cb, 16, 3.0, 13.0),
            radial_basis(distance(near[..., 3, :], n.unsqueeze(2)), 8, 2.0, 7.0),
            radial_basis(distance(near[..., 0, :], o.unsqueeze(2)), 8, 2.0, 7.0),
        ),
        dim=-1,
    )
    own_o = to_local(rot, ca, o) * 0.5
    burial = envelope.sum(-1, keepdim=True) / 16.0
    return Region(index, envelope, edge, torch.cat((own_o, burial), dim=-1), rot, ca, cb)
