"""The judge: how right each residue of a model is (estimation of model accuracy), learned from rival decoys.

The prior expects an lDDT too, but of structures near enough to refine; the judge is trained on wrong folds as well, and
to tell decoys of one native from each other. It takes no part in the free energy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from refine.networks.environment import RegionSettings, offset_classes, regions
from refine.networks.network import Trunk, TrunkSettings, head
from refine.networks.prior import LDDT_OUTPUT, at_least_single


@dataclasses.dataclass(frozen=True)
class JudgeSettings:
    """Everything needed to rebuild a judge network."""

    trunk: TrunkSettings = TrunkSettings()
    region: RegionSettings = RegionSettings()


class Judge(nn.Module):
    """See the module's text. Inputs as of ``prior.Prior``; output: (B, L) in [0, 1], expected CA lDDT by residue."""

    def __init__(self, settings: JudgeSettings) -> None:
        super().__init__()
        self.settings = settings
        self.trunk = Trunk(settings.trunk)
        self.lddt_head = head(settings.trunk.width, 1)

    def forward(self, backbone: Tensor, residue: Tensor, position: Tensor, chain: Tensor, mask: Tensor) -> Tensor:
        region = regions(backbone, mask, self.settings.region)
        node, _ = self.trunk(region, offset_classes(position, chain, region.index), residue)
        return self.read_out(node)

    def read_out(self, node: Tensor) -> Tensor:
        """Expected lDDT (B, L) by residues' states (B, L, D)."""
        return torch.sigmoid(at_least_single(self.lddt_head(node)).squeeze(-1))


def state_from_prior(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of a judge that begins with what a prior (its state dict) expects as lDDT."""
    judge = {name: value for name, value in state.items() if name.startswith("trunk.")}
    for name, value in state.items():
        if name.startswith("frame_head."):
            last = name.startswith("frame_head.3.")
            judge[name.replace("frame_head", "lddt_head")] = value[LDDT_OUTPUT : LDDT_OUTPUT + 1] if last else value
    return judge
