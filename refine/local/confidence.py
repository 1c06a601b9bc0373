"""How near the native the networks believe each residue to be."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refine.local.weights import Networks


def expected_lddt(networks: Networks, backbone: Tensor, residue: Tensor, position: Tensor, chain: Tensor) -> NDArray[np.float32]:
    """Expected CA lDDT (L,), times 100, of one structure: the mean over the prior networks.

    Args:
        networks: with at least one prior.
        backbone: (1, L, 4, 3) Å.
        residue, position, chain: (L,) as of ``energy.system.System``.
    """
    mask = torch.ones((1, backbone.shape[1]), dtype=torch.bool, device=backbone.device)
    with torch.no_grad():
        values = [prior(backbone, residue[None], position[None], chain[None], mask).lddt[0] for prior in networks.priors]
    return (100.0 * torch.stack(values).mean(0)).float().cpu().numpy()
