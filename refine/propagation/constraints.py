"""Bonded geometry restored by projection, so that steps may be larger than stiff bonds allow.

Position-based constraint sweeps (SHAKE, Ryckaert et al. 1977; Müller et al. 2007): each distance outside its tolerance is
brought to the border of it by moving both atoms along their line. Distances of one kind share no atoms, so a kind is one
tensor operation over all residues and replicas; CA–CA distances are done in two halves. The kinds follow one another
(Gauss–Seidel), bonds last. Cost is linear in L; an isolated error of a few tenths of an Å is gone after about five sweeps.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from refine.constants import ANGLE_C_N_CA, ANGLE_CA_C_N, ANGLE_N_C_O, BOND_C_N, BOND_C_O, BOND_CA_C, BOND_N_CA
from refine.energy.bonds import ANGLES, BONDS, CA, NEXT_CA, NEXT_N, C, N, O
from refine.energy.free_energy import FreeEnergy
from refine.energy.omega import Omega

PLANARITY_TOLERANCE = 0.02
"""Å on 1–4 distances across the peptide bond: lets omega vary by about 13 degrees."""


def _planar(first: float, first_angle: float, second: float, second_angle: float, *, same_side: bool) -> float:
    """Distance in Å of atoms 1 and 4 of a planar chain 1-2-3-4 with bond C–N in the middle; lengths in Å, angles in radians."""
    x1, y1 = first * math.cos(first_angle), first * math.sin(first_angle)
    x4, y4 = BOND_C_N - second * math.cos(second_angle), second * math.sin(second_angle)
    return math.hypot(x4 - x1, y4 - y1 if same_side else y4 + y1)


CA_CA = {cis: _planar(BOND_CA_C, ANGLE_CA_C_N, BOND_N_CA, ANGLE_C_N_CA, same_side=cis) for cis in (False, True)}
O_CA = {cis: _planar(BOND_C_O, ANGLE_N_C_O, BOND_N_CA, ANGLE_C_N_CA, same_side=not cis) for cis in (False, True)}


@dataclasses.dataclass(frozen=True)
class Constraint:
    """One kind of distance: atoms ``first`` and ``second`` (4 and 5: N and CA of the next residue), bounds (L,) in Å.

    Residues without it have bounds 0 and infinity.
    """

    first: int
    second: int
    lower: Tensor
    upper: Tensor


@dataclasses.dataclass(frozen=True)
class Constraints:
    """Bounds on the bonded distances of L residues.

    Attributes:
        kinds: in the order of a sweep.
        replaces: names of the energy terms the projection stands for.
    """

    kinds: tuple[Constraint, ...]
    replaces: frozenset[str] = frozenset({"bonds", "angles", "omega"})

    @classmethod
    def of(cls, energy: FreeEnergy) -> Constraints | None:
        """The constraints that belong to the omega term of ``energy`` (which knows bonds and cis peptides); None without one."""
        sign = next((term.sign for term in energy.terms if isinstance(term, Omega)), None)
        return None if sign is None else cls.from_sign(sign)

    @classmethod
    def from_sign(cls, sign: Tensor) -> Constraints:
        """From (L,) −1 for a trans peptide to the next residue, +1 for cis, 0 for none."""
        kinds = []
        for first, second, by_class in ((CA, NEXT_CA, CA_CA), (O, NEXT_CA, O_CA)):
            ideal = torch.where(sign > 0, by_class[True], by_class[False]).to(sign)
            kinds.append(_bounded(first, second, ideal, PLANARITY_TOLERANCE, sign != 0))
        for link in (*ANGLES, *BONDS):
            exists = sign != 0 if link.to_next else torch.ones_like(sign, dtype=torch.bool)
            kinds.append(_bounded(link.first, link.second, torch.full_like(sign, link.ideal), link.tolerance, exists))
        return cls(tuple(kinds))

    def restore(self, coords: Tensor, mobile: Tensor, sweeps: int) -> Tensor:
        """Coordinates (R, L, 4, 3) after ``sweeps`` sweeps; residues that are not ``mobile`` (L,) stay."""
        atoms = [atom.clone() for atom in coords.unbind(2)]
        weight = mobile.to(coords.dtype)
        for _ in range(sweeps):
            for kind in self.kinds:
                if kind.second < NEXT_N:
                    _pull(atoms[kind.first], atoms[kind.second], kind, weight, weight, slice(None))
                    continue
                second = atoms[kind.second - NEXT_N]
                step = 2 if kind.first == CA and kind.second == NEXT_CA else 1
                for begin in range(step):
                    here, there = slice(begin, -1, step), slice(begin + 1, None, step)
                    _pull(atoms[kind.first][:, here], second[:, there], kind, weight[here], weight[there], here)
        return torch.stack(atoms, 2)

    def worst(self, coords: Tensor) -> Tensor:
        """(R,) largest violation in Å."""
        n, ca, c, o = coords.unbind(2)
        following = torch.cat((coords[:, 1:], coords[:, -1:]), 1)
        atoms = (n, ca, c, o, following[:, :, N], following[:, :, CA])
        worst = torch.zeros(coords.shape[0], dtype=coords.dtype, device=coords.device)
        for kind in self.kinds:
            d = (atoms[kind.first] - atoms[kind.second]).norm(dim=-1)
            worst = torch.maximum(worst, torch.maximum(kind.lower - d, d - kind.upper).amax(1))
        return worst


def _bounded(first: int, second: int, ideal: Tensor, tolerance: float, exists: Tensor) -> Constraint:
    lower = torch.where(exists, ideal - tolerance, torch.zeros_like(ideal))
    upper = torch.where(exists, ideal + tolerance, torch.full_like(ideal, math.inf))
    return Constraint(first, second, lower, upper)


def _pull(a: Tensor, b: Tensor, kind: Constraint, weight_a: Tensor, weight_b: Tensor, rows: slice) -> None:
    """Move both points (R, K, 3), our own copies, so that their distance lies within the bounds of ``kind`` at ``rows``."""
    delta = b - a
    d = (delta * delta).sum(-1).clamp_min(1e-8).sqrt()
    target = torch.minimum(torch.maximum(d, kind.lower[rows]), kind.upper[rows])
    move = ((target - d) / (d * (weight_a + weight_b).clamp_min(1.0))).unsqueeze(-1) * delta
    a -= weight_a[:, None] * move
    b += weight_b[:, None] * move


assert (C, O) == (2, 3)
