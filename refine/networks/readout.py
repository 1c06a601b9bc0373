"""The read-out for near-native structures: displacements from the states of all priors at once.

The priors' own read-outs were trained on decoys of all kinds. What moves a structure that is nearly right already is
read from the same states by one linear map, fitted on real models (``training.readout``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True)
class ReadoutSettings:
    """Everything needed to rebuild a read-out: how many values the priors' hidden layers have together."""

    states: int = 256


class Readout(nn.Module):
    """See the module's text.

    Inputs: ``PriorOutput.hidden`` of each prior in order, (B, L, D) each. Output: (B, L, 3) Å, the displacement of CA
    in the residue's frame to the native laid onto the whole model.
    """

    def __init__(self, settings: ReadoutSettings) -> None:
        super().__init__()
        self.settings = settings
        self.linear = nn.Linear(settings.states, 3)

    def forward(self, hidden: Sequence[Tensor]) -> Tensor:
        shift: Tensor = self.linear(torch.cat(list(hidden), dim=-1))
        return shift
