"""A backbone that may become a model, and less of the way to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from refine.structure.geometry import superpose


@dataclasses.dataclass(frozen=True)
class Proposal:
    """A backbone that may become a model.

    Attributes:
        name: ``replica 3``, ``medoid 1``, ``average`` (of the replicas), ``average 1`` (of the snapshots of cluster 1,
            the largest), ``prior 1`` and ``prior 2`` (of a single replica, its end and further to where the one prior,
            more than the other, would have it), ``mover`` and ``mover back`` (further to where the mover would, and as
            far the other way), ``way 1.5`` (so many times its way from the start), ``early 2`` (like ``way``, of its
            way after half of the steps).
        backbone: (L, 4, 3) float32 Å.
    """

    name: str
    backbone: NDArray[np.float32]

    @property
    def kind(self) -> str:
        """``replica``, ``medoid``, ``average``, ``prior``, ``mover``, ``way`` or ``early``."""
        return self.name.split()[0]


class Beside(NamedTuple):
    """Where other models lie beside the end of a single replica.

    Attributes:
        offset: (L, 3) Å, from the end to the first of them; the second lies on the other side.
        names: of both.
    """

    offset: NDArray[np.float32]
    names: tuple[str, str]


def shortened(
    proposals: Sequence[Proposal], start: NDArray[np.float32], length: float, *, anchored: bool = False
) -> list[Proposal]:
    """Proposals that go ``length`` (0–1) of their way from ``start`` (L, 4, 3) Å, see ``along``; 1 leaves them as they
    are, to the bit; what is another part of a way stays what it is, the alternative to a short one.
    """
    if length >= 1.0:
        return list(proposals)
    moved = along(np.stack([p.backbone for p in proposals]), start, length, anchored=anchored)
    return [
        p if p.kind in ("way", "early") else dataclasses.replace(p, backbone=backbone)
        for p, backbone in zip(proposals, moved, strict=True)
    ]


def along(
    ends: NDArray[np.float32], start: NDArray[np.float32], part: float, *, anchored: bool = False
) -> NDArray[np.float32]:
    """Places (P, L, 4, 3) Å at ``part`` of straight ways from ``start`` (L, 4, 3) to ``ends`` (P, L, 4, 3).

    Each is laid onto ``start`` by its CA atoms first; ``anchored`` ones share residues that never moved and stay where
    they are. Bonds change by little as long as the whole way is some tenths of an Å.
    """
    laid, origin = torch.from_numpy(ends), torch.from_numpy(start)
    if not anchored:
        rot, shift = superpose(laid[:, :, 1], origin[:, 1].expand(len(laid), -1, -1))
        laid = (laid.flatten(1, 2) @ rot.transpose(-1, -2) + shift.unsqueeze(-2)).view_as(laid)
    moved: NDArray[np.float32] = (origin + part * (laid - origin)).numpy()
    return moved
