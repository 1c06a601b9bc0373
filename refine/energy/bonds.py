"""Bond lengths and bond angles of the backbone, as harmonic 1–2 and 1–3 distances.

Angles are held through the distance of their outer atoms: smooth everywhere, no arc cosine, and the same list serves
the projection in ``propagation.constraints``. Ideal values: Engh & Huber (1991). Force constants are softer than those
of a molecular-mechanics force field (about 650 and 100 kcal/mol), so that steps of a few hundredths of an Å are stable;
finishing restores the last hundredths.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from refine.constants import (
    ANGLE_C_N_CA,
    ANGLE_CA_C_N,
    ANGLE_CA_C_O,
    ANGLE_N_C_O,
    ANGLE_N_CA_C,
    BOND_C_N,
    BOND_C_O,
    BOND_CA_C,
    BOND_N_CA,
)
from refine.energy.system import System, next_residue, share_with_next

N, CA, C, O, NEXT_N, NEXT_CA = range(6)  # noqa: E741
BOND_STIFFNESS = 200.0
"""kcal/mol/Å^2, E = k/2 (d - d0)^2."""
ANGLE_STIFFNESS = 100.0
"""kcal/mol/Å^2 on 1–3 distances; the widely varying N-CA-C angle has half of it."""


@dataclasses.dataclass(frozen=True)
class Link:
    """A distance between two of the six atoms N, CA, C, O of residue i and N, CA of i + 1.

    Attributes:
        first, second: atom numbers 0–5 (4 and 5 are N and CA of the next residue).
        ideal: Å.
        stiffness: kcal/mol/Å^2.
        tolerance: Å, about one standard deviation in crystal structures of high resolution.
    """

    first: int
    second: int
    ideal: float
    stiffness: float
    tolerance: float

    @property
    def to_next(self) -> bool:
        return self.second >= NEXT_N


def third_side(a: float, b: float, angle: float) -> float:
    """Side of a triangle opposite to ``angle`` (radians) between sides a and b."""
    return math.sqrt(a * a + b * b - 2 * a * b * math.cos(angle))


BONDS = (
    Link(N, CA, BOND_N_CA, BOND_STIFFNESS, 0.02),
    Link(CA, C, BOND_CA_C, BOND_STIFFNESS, 0.02),
    Link(C, O, BOND_C_O, BOND_STIFFNESS, 0.02),
    Link(C, NEXT_N, BOND_C_N, BOND_STIFFNESS, 0.02),
)
ANGLES = (
    Link(N, C, third_side(BOND_N_CA, BOND_CA_C, ANGLE_N_CA_C), 0.5 * ANGLE_STIFFNESS, 0.05),
    Link(CA, O, third_side(BOND_CA_C, BOND_C_O, ANGLE_CA_C_O), ANGLE_STIFFNESS, 0.03),
    Link(CA, NEXT_N, third_side(BOND_CA_C, BOND_C_N, ANGLE_CA_C_N), ANGLE_STIFFNESS, 0.03),
    Link(O, NEXT_N, third_side(BOND_C_O, BOND_C_N, ANGLE_N_C_O), ANGLE_STIFFNESS, 0.03),
    Link(C, NEXT_CA, third_side(BOND_C_N, BOND_N_CA, ANGLE_C_N_CA), ANGLE_STIFFNESS, 0.03),
)


@dataclasses.dataclass(frozen=True)
class Links:
    """E = Σ k/2 (d - d0)^2 over a list of links of each residue; those to the next residue only where ``bonded``.

    Attributes:
        name: ``"bonds"`` or ``"angles"``.
        incidence: (6, P) so that atoms (…, 6) @ incidence gives the difference vectors of the P links.
        ideal: (P,) Å; stiffness: (L, P) kcal/mol/Å^2, 0 where a link does not exist.
        to_next: number of links, the last ones, that reach into the next residue.
        links: what the columns are.
    """

    name: str
    links: tuple[Link, ...]
    incidence: Tensor
    ideal: Tensor
    stiffness: Tensor
    to_next: int

    def __call__(self, coords: Tensor) -> Tensor:
        atoms = torch.cat((coords, next_residue(coords[:, :, :2])), dim=2)
        difference = atoms.transpose(-1, -2) @ self.incidence
        length = (difference * difference).sum(-2).clamp_min(1e-12).sqrt()
        energy = 0.5 * self.stiffness * (length - self.ideal) ** 2
        inside = self.ideal.shape[0] - self.to_next
        return energy[..., :inside].sum(-1) + share_with_next(energy[..., inside:].sum(-1))

    def at(self, coords: Tensor) -> Links:
        return self


def _links(name: str, links: tuple[Link, ...], system: System) -> Links:
    ordered = sorted(links, key=lambda link: link.to_next)
    device, dtype = system.device, system.dtype
    incidence = torch.zeros((6, len(ordered)), device=device, dtype=dtype)
    for p, link in enumerate(ordered):
        incidence[link.first, p], incidence[link.second, p] = -1, 1
    exists = torch.stack([system.bonded if link.to_next else torch.ones_like(system.bonded) for link in ordered], dim=1)
    stiffness = torch.tensor([link.stiffness for link in ordered], device=device, dtype=dtype) * exists
    ideal = torch.tensor([link.ideal for link in ordered], device=device, dtype=dtype)
    return Links(name, tuple(ordered), incidence, ideal, stiffness, sum(link.to_next for link in ordered))


def bonds(system: System) -> Links:
    """Bond lengths N–CA, CA–C, C–O and C–N(i+1)."""
    return _links("bonds", BONDS, system)


def angles(system: System) -> Links:
    """The five bond angles of the backbone, as 1–3 distances."""
    return _links("angles", ANGLES, system)
