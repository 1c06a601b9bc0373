"""Planarity of the peptide group: the torsion omega and the oxygen's place in the plane."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from refine.energy.system import System, next_residue, share_with_next
from refine.structure.geometry import unit

STIFFNESS = 20.0
"""kcal/mol; E = k (1 - cos(omega - omega0)): 6 degrees, the spread in crystal structures, cost 0.11 kcal/mol."""
OUT_OF_PLANE = 30.0
"""kcal/mol/Å^2 on the distance of O from the plane CA, C, N(i+1)."""


@dataclasses.dataclass(frozen=True)
class Omega:
    """Keeps each peptide bond at the class, trans or cis, that the start has, and its oxygen in the plane.

    The torsion part is k (1 - s cos omega), s = -1 for trans and +1 for cis: smooth and periodic, so a bond may still
    turn over if everything else demands it.

    Attributes:
        sign: (L,) s, 0 where residue i is not bonded to i + 1 (``System.peptide_sign``).
    """

    sign: Tensor
    name: str = "omega"

    def __call__(self, coords: Tensor) -> Tensor:
        ca, c, o = coords[:, :, 1], coords[:, :, 2], coords[:, :, 3]
        following = next_residue(coords[:, :, :2])
        b1, b2, b3 = c - ca, following[:, :, 0] - c, following[:, :, 1] - following[:, :, 0]
        normal = unit(torch.linalg.cross(b1, b2))
        cosine = (normal * unit(torch.linalg.cross(b2, b3))).sum(-1)
        lift = ((o - c) * normal).sum(-1)
        joined = self.sign.abs()
        return share_with_next(STIFFNESS * (joined - self.sign * cosine) + 0.5 * OUT_OF_PLANE * joined * lift * lift)

    def at(self, coords: Tensor) -> Omega:
        return self


def omega(system: System) -> Omega:
    """The planarity term of ``system``."""
    return Omega(system.peptide_sign)
