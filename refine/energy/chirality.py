"""Handedness at CA."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from refine.energy.system import System
from refine.structure.geometry import frames, to_global, unit

IDEAL = 0.738
"""Triple product of the unit vectors CA→N, CA→C, CA→CB of an L amino acid, angles 111.0, 110.5, 110.1 degrees (Engh &
Huber 1991); a D amino acid has the negative."""
STIFFNESS = 20.0
"""kcal/mol on the squared deviation of the triple product: a D residue costs about 44 kcal/mol."""


@dataclasses.dataclass(frozen=True)
class Chirality:
    """E = k (u_N · (u_C × u_CB) - ideal)^2 with CB riding on the frame of its residue, as the structure has it.

    N, CA, C, O alone have no handedness, and side chains ride, so the forces are small (they act through the N-CA-C
    geometry): the term tells a wrong or mirrored residue apart and cannot turn it over; finishing reports it.

    Attributes:
        cb_local: (L, 3) Å; weight: (L,), 0 where there is no CB.
    """

    cb_local: Tensor
    weight: Tensor
    name: str = "chirality"

    def __call__(self, coords: Tensor) -> Tensor:
        n, ca, c = coords[:, :, 0], coords[:, :, 1], coords[:, :, 2]
        cb = to_global(frames(n, ca, c), ca, self.cb_local.expand_as(ca))
        triple = (unit(n - ca) * torch.linalg.cross(unit(c - ca), unit(cb - ca))).sum(-1)
        return STIFFNESS * self.weight * (triple - IDEAL) ** 2

    def at(self, coords: Tensor) -> Chirality:
        return self


def chirality(system: System) -> Chirality:
    """The chirality term of ``system``."""
    return Chirality(system.cb_local, system.has_cb.to(system.dtype))
