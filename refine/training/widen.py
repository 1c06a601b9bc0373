"""A trained network made twice as wide without a change of what it computes (Net2Net, Chen et al. 2016).

Every channel is doubled; what reads a doubled channel takes a random part of its weight from either copy, so that the
copies part ways once they are trained. Layer norms see the same mean and variance as before. Layers that the narrow
network lacks begin as the identity.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from refine.errors import ModelError


def widened(narrow: Mapping[str, Tensor], network: nn.Module, seed: int) -> dict[str, Tensor]:
    """State dict for ``network``, twice as wide as that of ``narrow``, and with as many layers or more.

    Args:
        narrow: state dict of the trained network.
        network: whose new layers begin as the identity already (``Messages.begin_as_identity``).
        seed: of how the weights are split.

    Raises:
        ModelError: a tensor is neither of the same size nor doubled in a way that keeps the function.
    """
    generator = torch.Generator().manual_seed(seed)
    return {
        name: _doubled(name, narrow[name], value, generator) if name in narrow else value
        for name, value in network.state_dict().items()
    }


def _doubled(name: str, old: Tensor, new: Tensor, generator: torch.Generator) -> Tensor:
    """``old`` with rows (outputs) repeated and columns (inputs) split between copies, as far as ``new`` is larger."""
    value = old
    for dim in range(old.dim()):
        if new.shape[dim] not in (old.shape[dim], 2 * old.shape[dim]):
            raise ModelError(f"{name} of size {tuple(old.shape)} cannot become {tuple(new.shape)}")
    embedding = name.endswith("_in.weight") and name.rsplit(".", 2)[-2] in ("offset_in", "residue_in")
    if embedding:
        return torch.cat((value, value), 1) if new.shape[1] != value.shape[1] else value
    if new.shape[0] != value.shape[0]:
        value = torch.cat((value, value), 0)
    if value.dim() == 2 and new.shape[1] != value.shape[1]:
        part = 0.2 + 0.6 * torch.rand(value.shape, generator=generator)
        value = torch.cat((value * part, value * (1 - part)), 1)
    return value
