"""What a model's own side chains tell of each residue, as an input of the prior.

Predictors place side chains on the backbone that they believe in; strained rotamers, holes and clashes show where it is
wrong. Seen are the residue's own side-chain atoms in its frame, and the atoms of its neighbours one by one, as the
likelihood sees them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from refine.constants import SIDE_CHAIN_SLOTS
from refine.networks.environment import Region
from refine.networks.likelihood import Atoms, AtomSettings
from refine.networks.network import silence
from refine.structure.geometry import to_local

_SCALE = 0.2  # 1/Å: brings the place of own atoms to the order of one


class SideChainInput(nn.Module):
    """Adds to residue states what the side chains tell; nothing where none is present.

    Inputs: ``node`` (B, L, D); ``backbone`` (B, L, 4, 3), ``side_chain`` (B, L, 10, 3) Å in the order of
    SIDE_CHAIN_ATOMS, ``present`` (B, L, 10) which of these exist; ``residue`` (B, L); ``region``. Outputs: (B, L, D).
    """

    def __init__(self, width: int, atoms: AtomSettings) -> None:
        super().__init__()
        self.own = nn.Linear(4 * SIDE_CHAIN_SLOTS, width)
        self.own_identity = nn.Embedding(20, width)
        self.own_out = nn.Linear(width, width, bias=False)
        self.atoms = Atoms(width, atoms)

    def forward(
        self, node: Tensor, backbone: Tensor, side_chain: Tensor, present: Tensor, residue: Tensor, region: Region
    ) -> Tensor:
        exists = present.to(backbone.dtype)
        with torch.autocast(backbone.device.type, enabled=False):  # coordinates lose 0.1 Å in bfloat16
            local = to_local(region.rot.unsqueeze(2), region.origin.unsqueeze(2), side_chain) * exists.unsqueeze(-1)
            place = self.own(torch.cat((local.flatten(-2) * _SCALE, exists), dim=-1))
        own = self.own_out(F.silu(place + self.own_identity(residue))) * exists.amax(-1, keepdim=True)
        around = self.atoms(node, backbone, side_chain, present, residue, region) - self.atoms.out.bias
        return node + own + around

    def begin_as_identity(self) -> None:
        """Adds nothing until it is trained."""
        silence(self.own_out)
        self.atoms.begin_as_identity()
