"""Steps in phi, psi and omega, so that lengths and angles of the backbone stay as they are.

A step of the engine is a displacement d of the backbone atoms. In torsion space it becomes the change q of torsions,
and of the place of each segment as a rigid body, whose move J q is nearest to it (J = ∂x/∂q):

    minimise ½ Σ w |J q − d|² + ½ Σ λ (q − a)²,    q = (JᵀWJ + Λ)⁻¹ (JᵀW d + Λ a).

JᵀWJ is the kinetic metric R of the chain with bonds held fixed, so a drift α_a F becomes α_a R⁻¹ JᵀF, and noise of
variance α_b on each coordinate becomes noise of covariance α_b R⁻¹: the drift and noise that belong together in these
coordinates. (The drift ∇·R⁻¹ and the determinant of frozen bonds are left out: this moves structures, and samples no
law.) |J q| is never longer than d, so a turn early in the chain cannot throw its end far away, which a gradient step in
the torsions, α JᵀF, does. J itself is never made: torsions follow one another along the chain, so q comes from a
backward and a forward recursion over 6 × 6 matrices (articulated bodies, Featherstone 1983; the Riccati equation of a
linear regulator). Time and memory are linear in L. The torsions are then turned for good, and what the turning leaves
of d, which is of second order, is followed once more.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refine.propagation.constraints import OMEGA_TOLERANCE, Constraints
from refine.propagation.internal import to_cartesian, to_internal
from refine.structure.geometry import rotation_from_vector

Array = NDArray[np.float64]

ROUNDS, SETTLED = 5, 0.01
"""Of following, at most: each takes what the ones before left by being linear, until nothing moves by this many Å."""
DAMPING = (1.0, 1.0, 3.0)
"""λ in Å²/rad² of phi, psi and omega: a turn by an angle costs what an atom left behind by √λ times it costs. That of
omega is higher because it is stiff: a tenth of a radian is its spread in crystals.
"""
PHI, PSI, OMEGA = 0, 1, 2
HELD, BRIDGED = 1e4, 1e2
"""Weights w of the atoms of residues that do not move and of cysteines of a disulfide; those of all others are 1."""
_LEAST = 1e-9
"""Added to the diagonal of a rigid body's metric."""


@dataclasses.dataclass(frozen=True)
class TorsionSpace:
    """The torsions of L residues; ``of`` makes it.

    Attributes:
        bonded: (L,) bool, residue i is joined to i + 1; others end a segment.
        flat: (L,) radians that omega from i to i + 1 is to be near: 0 or π.
        weight: (L,) of the atoms of each residue.
        border: (L,) bool, residues that move beside one that does not: what following leaves there, the projection of
            ``propagation.constraints`` mends.
    """

    bonded: Tensor
    flat: Array
    weight: Array
    border: Tensor

    @classmethod
    def of(cls, constraints: Constraints, mobile: Tensor) -> TorsionSpace:
        """Of the chains of ``constraints``, where residues that are not ``mobile`` (L,) rest and disulfides hold."""
        sign = constraints.sign.cpu().numpy()
        weight = np.where(constraints.bridged.cpu().numpy(), BRIDGED, 1.0)
        weight = np.where(mobile.cpu().numpy(), weight, HELD)
        beside = torch.zeros_like(mobile)
        beside[1:] |= ~mobile[:-1]
        beside[:-1] |= ~mobile[1:]
        return cls(constraints.sign.cpu() != 0, np.where(sign > 0, 0.0, math.pi), weight, beside & mobile)

    def follow(self, start: Tensor, target: Tensor) -> Tensor:
        """The backbones (R, L, 4, 3) Å nearest to ``target`` that torsions and rigid motions make of ``start``."""
        x, wanted = start.detach().cpu().double(), target.detach().cpu().double()
        centre = x.mean((1, 2), keepdim=True)  # twists about a far origin would lose digits
        x, wanted = x - centre, wanted - centre
        for _ in range(ROUNDS):
            before, x = x, self.turned(x, *self.nearest(x.numpy(), (wanted - x).numpy()))
            if float((x - before).norm(dim=-1).max()) < SETTLED:
                break
        return (x + centre).to(start)

    def nearest(self, coords: Array, move: Array) -> tuple[Array, Array]:
        """Turns (R, L, 3) rad of phi, psi and omega, and twists (R, L, 6) of segments, that come nearest to ``move``.

        Args:
            coords, move: (R, L, 4, 3) Å. A twist is a rotation vector about the origin and a shift; only the rows where
                a segment starts are not 0.
        """
        axes, joined = twists(coords), self._joined
        gains, offsets, rigid = self._backward(axes, coords, move)
        turns, at = np.zeros(axes.shape[:3]), np.zeros((len(coords), 6))
        for i in range(len(joined)):
            begins = not (i and joined[i - 1])
            at = rigid[:, i] if begins else at
            for k in range(PSI if begins else PHI, OMEGA + 1 if joined[i] else OMEGA):
                turns[:, i, k] = offsets[:, i, k] - (gains[:, i, k] * at).sum(-1)
                at = at + turns[:, i, k, None] * axes[:, i, k]
        return turns, rigid

    def _backward(self, axes: Array, coords: Array, move: Array) -> tuple[Array, Array, Array]:
        """Each torsion's best value, offset − gain · (twist of what comes before it): gains (R, L, 3, 6) and offsets
        (R, L, 3); and the best twists (R, L, 6) of segments.
        """
        metrics, forces = _moments(coords[:, :, :3], move[:, :, :3], self.weight)
        oxygen_metrics, oxygen_forces = _moments(coords[:, :, 3:], move[:, :, 3:], self.weight)
        wish, joined = self._omega_wish(coords), self._joined
        gains, offsets, rigid = np.zeros_like(axes), np.zeros(axes.shape[:3]), np.zeros((*coords.shape[:2], 6))
        metric, force = np.zeros((len(coords), 6, 6)), np.zeros((len(coords), 6))
        for i in reversed(range(len(joined))):
            aims = (0.0, 0.0, wish[:, i])
            for k in (OMEGA, PSI, PHI):
                if k == PSI:
                    metric, force = metric + oxygen_metrics[:, i], force + oxygen_forces[:, i]
                elif k == PHI:
                    metric, force = metric + metrics[:, i], force + forces[:, i]
                if (k == OMEGA and not joined[i]) or (k == PHI and not (i and joined[i - 1])):
                    continue
                axis = axes[:, i, k]
                pull = (metric @ axis[..., None])[..., 0]
                size = DAMPING[k] + (axis * pull).sum(-1)
                gain, offset = pull / size[:, None], (DAMPING[k] * aims[k] + (axis * force).sum(-1)) / size
                metric = metric - pull[:, :, None] * gain[:, None]
                force = force - pull * offset[:, None]
                gains[:, i, k], offsets[:, i, k] = gain, offset
            if not (i and joined[i - 1]):
                rigid[:, i] = np.linalg.solve(metric + _LEAST * np.eye(6), force[..., None])[..., 0]
                metric, force = np.zeros_like(metric), np.zeros_like(force)
        return gains, offsets, rigid

    @property
    def _joined(self) -> NDArray[np.bool_]:
        """(L,) as ``bonded``, the last False."""
        joined: NDArray[np.bool_] = self.bonded.numpy().copy()
        joined[-1] = False
        return joined

    def turned(self, coords: Tensor, turns: Array, rigid: Array) -> Tensor:
        """Backbones (R, L, 4, 3) Å float64 with their torsions turned and their segments moved, as ``nearest`` says."""
        z = to_internal(coords, self.bonded)
        phi, psi, omega = torch.from_numpy(turns).unbind(-1)
        rotation, shift = rotation_from_vector(torch.from_numpy(rigid[..., :3])), torch.from_numpy(rigid[..., 3:])
        moved = dataclasses.replace(
            z,
            phi=z.phi + phi,
            psi=z.psi + psi,
            omega=z.omega + omega,
            n_ca_c_o=z.n_ca_c_o + psi,
            rot=rotation @ z.rot,
            origin=(rotation @ z.origin[..., None])[..., 0] + shift,
        )
        return to_cartesian(moved)

    def _omega_wish(self, coords: Array) -> Array:
        """(R, L) rad by which omega should turn: back to the border of what a flat peptide group is let be."""
        x = torch.from_numpy(coords)
        away = to_internal(x, self.bonded).omega.numpy() - self.flat
        away = (away + math.pi) % (2 * math.pi) - math.pi
        wish: Array = np.clip(away, -OMEGA_TOLERANCE, OMEGA_TOLERANCE) - away
        return wish


def twists(coords: Array) -> Array:
    """(R, L, 3, 6): the motion of all that follows a unit turn of phi, psi and omega: axis, and shift of the origin.

    Args:
        coords: (R, L, 4, 3) Å; phi turns about N–CA, psi about CA–C, omega about C–N of the next residue.
    """
    n, ca, c = coords[:, :, 0], coords[:, :, 1], coords[:, :, 2]
    following = np.concatenate((n[:, 1:], n[:, -1:]), 1)
    points, ends = np.stack((n, ca, c), 2), np.stack((ca, c, following), 2)
    axis = ends - points
    axis = axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-9)
    return np.concatenate((axis, np.cross(points, axis)), -1)


def _moments(points: Array, move: Array, weight: Array) -> tuple[Array, Array]:
    """What a rigid motion of A points (R, L, A, 3) costs: metric (R, L, 6, 6) and force (R, L, 6) towards ``move``."""
    x, y, z = np.moveaxis(points, -1, 0)
    zero = np.zeros_like(x)
    turning = np.stack((zero, z, -y, -z, zero, x, y, -x, zero), -1).reshape(*points.shape, 3)
    motion = np.concatenate((turning, np.broadcast_to(np.eye(3), turning.shape)), -1)
    metric = np.einsum("rlaij,rlaik,l->rljk", motion, motion, weight)
    return metric, np.einsum("rlaij,rlai,l->rlj", motion, move, weight)
