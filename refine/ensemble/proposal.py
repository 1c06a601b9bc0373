"""A backbone that may become a model, and less of the way to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from refine.structure.geometry import superpose


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A backbone that may become a model.

    Attributes:
        name: ``replica 3``, ``medoid 1``, ``average`` (of the replicas), ``average 1`` (of the snapshots of cluster 1,
            the largest), ``way 2/5`` (of a single replica, two fifths of its way from the start).
        backbone: (L, 4, 3) float32 Å.
    """

    name: str
    backbone: NDArray[np.float32]

    @property
    def kind(self) -> str:
        """``replica``, ``medoid``, ``average`` or ``way``."""
        return self.name.split()[0]


def shortened(
    proposals: Sequence[Proposal], start: NDArray[np.float32], length: float, *, anchored: bool = False
) -> list[Proposal]:
    """Proposals that go ``length`` (0–1) of their way from ``start`` (L, 4, 3) Å, along straight lines; 1 leaves them
    as they are, to the bit; parts of a way stay what they are, the alternatives to a short one.

    Each is laid onto ``start`` by its CA atoms first; ``anchored`` ones share residues that never moved and stay where
    they are. Bonds change by little as long as the whole way is some tenths of an Å.
    """
    if length >= 1.0:
        return list(proposals)
    laid = torch.from_numpy(np.stack([p.backbone for p in proposals]))
    origin = torch.from_numpy(start)
    if not anchored:
        rot, shift = superpose(laid[:, :, 1], origin[:, 1].expand(len(laid), -1, -1))
        laid = (laid.flatten(1, 2) @ rot.transpose(-1, -2) + shift.unsqueeze(-2)).view_as(laid)
    moved = (origin + length * (laid - origin)).numpy()
    return [
        p if p.kind == "way" else dataclasses.replace(p, backbone=backbone)
        for p, backbone in zip(proposals, moved, strict=True)
    ]
