"""The likelihood P(x_i | y_i): which of the 20 residues fits a region whose centre is hidden.

The centre's identity and side chain never reach its own prediction: messages between regions carry geometry only,
and identities and side chains of the neighbours enter in one last, strictly local read-out. That sees them twice: as
residues (identity and side-chain centroid) and as single atoms around the place where the hidden side chain would be.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from refine.constants import SIDE_CHAIN_SLOTS
from refine.networks.environment import (
    Region,
    RegionSettings,
    neighbour_values,
    offset_classes,
    radial_basis,
    regions,
    smooth_cutoff,
)
from refine.networks.network import Trunk, TrunkSettings, silence, silu
from refine.structure.geometry import distance


@dataclasses.dataclass(frozen=True)
class AtomSettings:
    """Which side-chain atoms of the neighbours are seen one by one.

    Attributes:
        cutoff: radius in Å around a probe, as far beyond the virtual CB as that is from CA; inner: up to which atoms
            count fully.
        most: atoms kept (the nearest), a bound on memory.
    """

    cutoff: float = 7.5
    inner: float = 5.5
    most: int = 48


@dataclasses.dataclass(frozen=True)
class LikelihoodSettings:
    """Everything needed to rebuild a likelihood network."""

    trunk: TrunkSettings = TrunkSettings(layers=3, identities=False)
    region: RegionSettings = RegionSettings()
    atoms: AtomSettings = AtomSettings()


_CENTROID_FEATURES = 3 + 16
_ATOM_FEATURES = 3 + 5 * 10
_TYPICAL_ATOMS = 16.0  # normalises the sum over atoms


class Atoms(nn.Module):
    """What the neighbours' side-chain atoms tell about the hidden side chain: every atom its message, summed.

    Inputs: ``node`` (B, L, D); ``backbone`` (B, L, 4, 3), ``side_chain`` (B, L, 10, 3) Å, ``present`` (B, L, 10),
    ``residue`` (B, L); ``region``. Outputs: (B, L, D).
    """

    def __init__(self, width: int, settings: AtomSettings) -> None:
        super().__init__()
        self.settings = settings
        self.kind = nn.Embedding(20 * SIDE_CHAIN_SLOTS, width)
        self.centre = nn.Linear(width, width)
        self.place = nn.Linear(_ATOM_FEATURES, width, bias=False)
        self.mix = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(
        self, node: Tensor, backbone: Tensor, side_chain: Tensor, present: Tensor, residue: Tensor, region: Region
    ) -> Tensor:
        s = self.settings
        n, ca, c, _ = backbone.unbind(-2)
        probe = 2 * region.cb - ca
        near = neighbour_values(side_chain, region.index).flatten(2, 3)
        slots = torch.arange(SIDE_CHAIN_SLOTS, device=residue.device)
        kind = neighbour_values(residue.unsqueeze(-1) * SIDE_CHAIN_SLOTS + slots, region.index).flatten(2)
        counts = (region.envelope.unsqueeze(-1) * neighbour_values(present, region.index)).flatten(2)
        with torch.no_grad():
            away = distance(near, probe.unsqueeze(2)).masked_fill(counts == 0, float("inf"))
            closest = away.topk(min(s.most, away.shape[-1]), dim=-1, largest=False, sorted=False).indices
        near = near.take_along_dim(closest.unsqueeze(-1), 2)
        away = distance(near, probe.unsqueeze(2))
        weight = smooth_cutoff(away, s.inner, s.cutoff) * counts.take_along_dim(closest, 2)
        to_centre = [radial_basis(distance(near, x.unsqueeze(2)), 10, 2.0, 11.0) for x in (n, ca, c, region.cb)]
        with torch.autocast(near.device.type, enabled=False):  # coordinates lose 0.1 Å in bfloat16
            local = ((near - ca.unsqueeze(2)) @ region.rot) * 0.1
            place = self.place(torch.cat((local, radial_basis(away, 10, 0.0, s.cutoff), *to_centre), dim=-1))
        z = self.kind(kind.take_along_dim(closest, 2))
        z = silu(z.add_(self.centre(node).unsqueeze(2)).add_(place))
        z = silu(self.mix(z))
        return self.out((z * weight.unsqueeze(-1).to(z.dtype)).sum(2) / _TYPICAL_ATOMS)

    def begin_as_identity(self) -> None:
        """Adds nothing until it is trained."""
        silence(self.out)


class Likelihood(nn.Module):
    """See the module's text.

    Inputs: ``backbone`` (B, L, 4, 3) and ``side_chain`` (B, L, 10, 3) in Å, ``present`` (B, L, 10) which side-chain
    atoms exist, ``residue`` (B, L) identities, ``position`` and ``chain`` (B, L), ``mask`` (B, L). Outputs: logits (B,
    L, 20) in AMINO_ACIDS order.
    """

    def __init__(self, settings: LikelihoodSettings) -> None:
        super().__init__()
        assert not settings.trunk.identities, "identities in the messages would leak the centre's own"
        self.settings = settings
        width = settings.trunk.width
        self.trunk = Trunk(settings.trunk)
        self.centre = nn.Linear(width, width)
        self.neighbour = nn.Linear(width, width, bias=False)
        self.edge = nn.Linear(width, width, bias=False)
        self.identity = nn.Embedding(20, width)
        self.side_chain = nn.Linear(_CENTROID_FEATURES, width)
        self.atoms = Atoms(width, settings.atoms)
        self.mix = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.read_out = nn.Sequential(
            nn.LayerNorm(2 * width), nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, 20)
        )

    def forward(
        self,
        backbone: Tensor,
        side_chain: Tensor,
        present: Tensor,
        residue: Tensor,
        position: Tensor,
        chain: Tensor,
        mask: Tensor,
    ) -> Tensor:
        region = regions(backbone, mask, self.settings.region)
        node, edge = self.trunk(region, offset_classes(position, chain, region.index), residue)
        ca, count = backbone[:, :, 1], present.sum(-1, keepdim=True)
        centroid = ca + ((side_chain - ca.unsqueeze(2)) * present.unsqueeze(-1)).sum(2) / count.clamp_min(1)
        near = neighbour_values(centroid, region.index)
        features = torch.cat(
            (
                ((near - region.origin.unsqueeze(2)) @ region.rot) * 0.1,
                radial_basis(distance(near, region.cb.unsqueeze(2)), 16, 1.0, 12.0),
            ),
            dim=-1,
        )
        neighbour = neighbour_values(self.identity(residue) + self.neighbour(node), region.index)
        z = silu(neighbour.add_(self.centre(node).unsqueeze(2)).add_(self.edge(edge)).add_(self.side_chain(features)))
        z = self.mix(z) * region.envelope.unsqueeze(-1).to(z.dtype)
        atoms = self.atoms(node, backbone, side_chain, present, residue, region)
        return self.read_out(torch.cat((node, z.sum(2) / 16.0 + atoms), dim=-1))
