"""Bonded geometry restored by projection, so that steps may be larger than stiff bonds allow.

Position-based constraint sweeps (SHAKE, Ryckaert et al. 1977; Müller et al. 2007): each distance outside its tolerance
is brought to the border of it by moving both atoms along their line; the peptide planes likewise, through the volumes
of two tetrahedra (CA, C, N, O and CA, C, N, CA), which flat groups do not have. Constraints of one kind share no atoms,
so a kind is one tensor operation over all residues and replicas; those that join CA to CA are done in two halves. The
kinds follow one another (Gauss–Seidel), bonds last. Cost is linear in L.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from refine.constants import ANGLE_C_N_CA, ANGLE_CA_C_N, ANGLE_N_C_O, BOND_C_N, BOND_C_O, BOND_CA_C, BOND_N_CA
from refine.energy.bonds import ANGLES, BONDS, CA, NEXT_CA, NEXT_N, C, N, O
from refine.energy.system import System

WIDTH = 3.0
"""Standard deviations of bonds and angles that are let be; less was measured to cost accuracy (benchmarks/LOG.md, 1 and
9).
"""
CLASS_TOLERANCE = 0.2
"""Å on 1–4 distances across the peptide bond: wide, because they only tell trans from cis; the volumes make it flat."""
OMEGA_TOLERANCE = math.radians(8.0)
"""Deviation of omega from a flat peptide group that is let be; 6 degrees is the spread in crystal structures."""
LIFT_TOLERANCE = 0.03
"""Å of O out of the plane CA, C, N that are let be."""
_AREA = BOND_CA_C * BOND_C_N * math.sin(ANGLE_CA_C_N)
OMEGA_VOLUME = _AREA * BOND_N_CA * math.sin(ANGLE_C_N_CA) * math.sin(OMEGA_TOLERANCE)
LIFT_VOLUME = _AREA * LIFT_TOLERANCE
"""Å^3, triple products that belong to the tolerances."""


def _planar(first: float, first_angle: float, second: float, second_angle: float, *, same_side: bool) -> float:
    """Distance in Å of atoms 1 and 4 of a planar chain 1-2-3-4 with bond C–N in the middle; Å and radians."""
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
        kinds: distances in the order of a sweep.
        sign: (L,) −1 where the peptide bond from i to i + 1 is to be trans, +1 cis, 0 where there is none.
        bridged: (L,) bool, cysteines of a disulfide.
        replaces: names of the energy terms the projection stands for.
    """

    kinds: tuple[Constraint, ...]
    sign: Tensor
    bridged: Tensor
    replaces: frozenset[str] = frozenset({"bonds", "angles", "omega"})

    @classmethod
    def of(cls, system: System) -> Constraints:
        """Of the bonds of ``system``, each peptide trans or cis as it is to be there."""
        sign, kinds = system.peptide_sign, []
        for first, second, by_class in ((CA, NEXT_CA, CA_CA), (O, NEXT_CA, O_CA)):
            ideal = torch.where(sign > 0, by_class[True], by_class[False]).to(sign)
            kinds.append(_bounded(first, second, ideal, CLASS_TOLERANCE, sign != 0))
        for link in (*ANGLES, *BONDS):
            exists = sign != 0 if link.to_next else torch.ones_like(sign, dtype=torch.bool)
            kinds.append(
                _bounded(link.first, link.second, torch.full_like(sign, link.ideal), WIDTH * link.tolerance, exists)
            )
        bridged = torch.zeros(len(system), dtype=torch.bool)
        bridged[torch.from_numpy(system.disulfides.ravel())] = True
        return cls(tuple(kinds), sign, bridged)

    def restore(self, coords: Tensor, mobile: Tensor, sweeps: int) -> Tensor:
        """Coordinates (R, L, 4, 3) after ``sweeps`` sweeps; residues that are not ``mobile`` (L,) stay."""
        atoms = [atom.clone() for atom in coords.unbind(2)]
        weight = mobile.to(coords.dtype)
        for _ in range(sweeps):
            self._flatten(atoms, weight)
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

    def _flatten(self, atoms: list[Tensor], weight: Tensor) -> None:
        """Bring O and the next CA into the plane of CA, C and the next N, in our own copies."""
        n, ca, c, o = atoms
        joined = self.sign.abs()
        here, there = slice(None, -1), slice(1, None)
        group = (ca[:, here], c[:, here], n[:, there], o[:, here])
        _press(group, (weight[here], weight[here], weight[there], weight[here]), LIFT_VOLUME, joined[here])
        for begin in range(2):
            here, there = slice(begin, -1, 2), slice(begin + 1, None, 2)
            group = (ca[:, here], c[:, here], n[:, there], ca[:, there])
            _press(group, (weight[here], weight[here], weight[there], weight[there]), OMEGA_VOLUME, joined[here])

    def worst(self, coords: Tensor) -> Tensor:
        """(R,) largest violation of a distance in Å."""
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
    """Move both points (R, K, 3), our own copies, until their distance is within the bounds of ``kind`` at ``rows``."""
    delta = b - a
    d = (delta * delta).sum(-1).clamp_min(1e-8).sqrt()
    target = torch.minimum(torch.maximum(d, kind.lower[rows]), kind.upper[rows])
    move = ((target - d) / (d * (weight_a + weight_b).clamp_min(1.0))).unsqueeze(-1) * delta
    a -= weight_a[:, None] * move
    b += weight_b[:, None] * move


def _press(
    points: tuple[Tensor, Tensor, Tensor, Tensor], weights: tuple[Tensor, ...], tolerance: float, joined: Tensor
) -> None:
    """Move four points (R, K, 3), our own copies, until their triple product is at most ``tolerance`` Å^3."""
    a, b, c, d = points
    u, v, w = b - a, c - a, d - a
    to_b, to_c, to_d = torch.linalg.cross(v, w), torch.linalg.cross(w, u), torch.linalg.cross(u, v)
    gradients = (-(to_b + to_c + to_d), to_b, to_c, to_d)
    volume = (w * to_d).sum(-1)
    excess = (volume - volume.clamp(-tolerance, tolerance)) * joined
    size = torch.stack([k * (g * g).sum(-1) for k, g in zip(weights, gradients, strict=True)]).sum(0)
    factor = excess / size.clamp_min(1e-6)
    for point, k, g in zip(points, weights, gradients, strict=True):
        point -= (k * factor).unsqueeze(-1) * g


assert (C, O) == (2, 3)
