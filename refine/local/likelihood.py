"""The likelihood P(x_i | y_i): which of the 20 residues fits a region whose centre is hidden.

The centre's identity and side chain never reach its own prediction: messages between regions carry geometry only,
and identities and side-chain centroids of the neighbours enter in one last, strictly local read-out.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from refine.local.environment import RegionSettings, gather, offset_classes, radial_basis, regions
from refine.local.network import Trunk, TrunkSettings
from refine.structure.geometry import distance


@dataclasses.dataclass(frozen=True)
class LikelihoodSettings:
    """Everything needed to rebuild a likelihood network."""

    trunk: TrunkSettings = TrunkSettings(layers=3, identities=False)
    region: RegionSettings = RegionSettings()


_CENTROID_FEATURES = 3 + 16


class Likelihood(nn.Module):
    """See the module's text.

    Inputs: ``backbone`` (B, L, 4, 3) and side-chain ``centroid`` (B, L, 3) in Å, ``residue`` (B, L) identities,
    ``position`` and ``chain`` (B, L), ``mask`` (B, L). Outputs: logits (B, L, 20) in AMINO_ACIDS order.
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
        self.mix = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.read_out = nn.Sequential(nn.LayerNorm(2 * width), nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, 20))

    def forward(self, backbone: Tensor, centroid: Tensor, residue: Tensor, position: Tensor, chain: Tensor, mask: Tensor) -> Tensor:
        region = regions(backbone, mask, self.settings.region)
        node, edge = self.trunk(region, offset_classes(position, chain, region.index), residue)
        near = gather(centroid, region.index) - region.origin.unsqueeze(2)
        features = torch.cat(
            (
                (near @ region.rot) * 0.1,
                radial_basis(distance(gather(centroid, region.index), region.cb.unsqueeze(2)), 16, 1.0, 12.0),
            ),
            dim=-1,
        )
        known = gather(self.identity(residue) + self.neighbour(node), region.index)
        z = F.silu(self.centre(node).unsqueeze(2) + known + self.edge(edge) + self.side_chain(features))
        z = self.mix(z) * region.envelope.unsqueeze(-1).to(z.dtype)
        return self.read_out(torch.cat((node, z.sum(2) / 16.0), dim=-1))
