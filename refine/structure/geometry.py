"""Geometry of points, frames and rigid motions: each formula of the package stands here once (torch, differentiable).

All functions broadcast over leading axes and are exact: unit vectors carry no softening constant above 1e-12, because
softened normalisation was measured to bend rebuilt chains. NaN stays NaN. ``arrays`` has the same for numpy.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Ideal position of CB relative to N, CA, C: coefficients of b, c and b x c with b = CA - N, c = C - CA,
# obtained from tetrahedral geometry at CA with the Engh & Huber bond lengths.
_CB_CROSS, _CB_B, _CB_C = -0.58273431, 0.56802827, -0.54067466
_HALF_TETRAHEDRAL = math.radians(109.5 / 2)


def unit(v: Tensor) -> Tensor:
    """Unit vectors (..., 3) of ``v``; a zero vector stays zero and has zero gradient."""
    square = (v * v).sum(-1, keepdim=True)
    vanishing = square <= 1e-24
    safe = torch.where(vanishing, torch.ones_like(square), square)
    return torch.where(vanishing, torch.zeros_like(v), v / safe.sqrt())


def unit_or(v: Tensor, fallback: Tensor) -> Tensor:
    """Unit vectors (..., 3) of ``v``, and of ``fallback`` where ``v`` is shorter than 1e-6 Å and has no direction."""
    return torch.where((v * v).sum(-1, keepdim=True) <= 1e-12, unit(fallback), unit(v))


def perpendicular(v: Tensor) -> Tensor:
    """Some vector (..., 3) at a right angle to ``v``, the same for the same ``v``."""
    return torch.linalg.cross(v, v.new_tensor((0.36, 0.48, 0.8)).expand_as(v))


def distance(a: Tensor, b: Tensor) -> Tensor:
    """Distances (...) in Å between points (..., 3); the gradient at zero distance is zero."""
    square = ((a - b) ** 2).sum(-1)
    vanishing = square <= 1e-12
    safe = torch.where(vanishing, torch.ones_like(square), square)
    return torch.where(vanishing, torch.zeros_like(square), safe.sqrt())


def frames(n: Tensor, ca: Tensor, c: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of residue frames from N, CA, C positions (..., 3).

    Columns are the axes in the global frame: x along CA→C, y in the N-CA-C plane towards N, z = x × y. A point p is
    expressed locally as ``rot.T @ (p - ca)``.
    """
    x = unit(c - ca)
    to_n = n - ca
    y = unit(to_n - (to_n * x).sum(-1, keepdim=True) * x)
    return torch.stack((x, y, torch.linalg.cross(x, y)), dim=-1)


def to_local(rot: Tensor, origin: Tensor, point: Tensor) -> Tensor:
    """Points (..., 3) expressed in frames ``rot`` (..., 3, 3) at ``origin`` (..., 3)."""
    return ((point - origin).unsqueeze(-2) @ rot).squeeze(-2)


def to_global(rot: Tensor, origin: Tensor, local: Tensor) -> Tensor:
    """Inverse of ``to_local``."""
    return (rot @ local.unsqueeze(-1)).squeeze(-1) + origin


def virtual_cb(n: Tensor, ca: Tensor, c: Tensor) -> Tensor:
    """Positions (..., 3) of an ideal CB from the backbone, for glycine too."""
    b, d = ca - n, c - ca
    return _CB_CROSS * torch.linalg.cross(b, d) + _CB_B * b + _CB_C * d + ca


def angle(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Angle (...) at b in radians, exact and smooth; the gradient at exact collinearity is zero."""
    u, v = a - b, c - b
    cross = torch.linalg.cross(u, v)
    return torch.atan2(distance(cross, torch.zeros_like(cross)), (u * v).sum(-1))


def dihedral(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Dihedral (...) about b–c in radians, IUPAC sign, in (-π, π]."""
    b1, b2, b3 = b - a, c - b, d - c
    n1, n2 = torch.linalg.cross(b1, b2), torch.linalg.cross(b2, b3)
    return torch.atan2((torch.linalg.cross(n1, n2) * unit(b2)).sum(-1), (n1 * n2).sum(-1))


def chiral_volume(centre: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Signed volume (...) in Å³ of three neighbours about a centre, (a - o) · (b - o) × (c - o) for the centre o."""
    return ((a - centre) * torch.linalg.cross(b - centre, c - centre)).sum(-1)


def place_atom(
    a: Tensor, b: Tensor, c: Tensor, length: Tensor | float, bond_angle: Tensor | float, torsion: Tensor | float
) -> Tensor:
    """Position (..., 3) of d from a, b, c (..., 3): natural extension reference frame (Parsons et al. 2005).

    Where a, b, c lie in a line the torsion has no meaning and some plane is taken.

    Args:
        length: of c-d in Å; bond_angle: b-c-d in radians; torsion: a-b-c-d in radians; each (...) or one number.
    """
    length, bond_angle, torsion = (torch.as_tensor(v, dtype=c.dtype) for v in (length, bond_angle, torsion))
    x = unit(c - b)
    z = unit_or(torch.linalg.cross(b - a, x), perpendicular(x))
    y = torch.linalg.cross(z, x)
    sine = length * torch.sin(bond_angle)
    along, in_plane, out = -length * torch.cos(bond_angle), sine * torch.cos(torsion), sine * torch.sin(torsion)
    return c + along.unsqueeze(-1) * x + in_plane.unsqueeze(-1) * y + out.unsqueeze(-1) * z


def opposite(centre: Tensor, neighbours: Tensor) -> Tensor:
    """Direction (..., 3) away from two or three ``neighbours`` (..., K, 3) of ``centre`` (..., 3), where one more bond
    points; at a right angle to the first where they balance each other.
    """
    u = unit(neighbours - centre.unsqueeze(-2))
    return unit_or(-u.sum(-2), perpendicular(u[..., 0, :]))


def opposite_pair(centre: Tensor, neighbours: Tensor) -> Tensor:
    """Directions (..., 2, 3) of the two bonds that complete a tetrahedron with two ``neighbours`` (..., 2, 3)."""
    u = unit(neighbours - centre.unsqueeze(-2))
    away = opposite(centre, neighbours)
    normal = unit_or(torch.linalg.cross(u[..., 0, :], u[..., 1, :]), perpendicular(u[..., 0, :]))
    along, across = math.cos(_HALF_TETRAHEDRAL) * away, math.sin(_HALF_TETRAHEDRAL) * normal
    return torch.stack((along + across, along - across), -2)


def rotation_from_vector(omega: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3) in radians (Rodrigues)."""
    theta2 = (omega * omega).sum(-1)[..., None, None]
    small = theta2 < 1e-8
    safe = torch.where(small, torch.ones_like(theta2), theta2)
    theta = safe.sqrt()
    a = torch.where(small, 1 - theta2 / 6, torch.sin(theta) / theta)
    b = torch.where(small, 0.5 - theta2 / 24, (1 - torch.cos(theta)) / safe)
    zero = torch.zeros_like(omega[..., 0])
    k = torch.stack(
        (
            torch.stack((zero, -omega[..., 2], omega[..., 1]), -1),
            torch.stack((omega[..., 2], zero, -omega[..., 0]), -1),
            torch.stack((-omega[..., 1], omega[..., 0], zero), -1),
        ),
        -2,
    )
    return torch.eye(3, dtype=omega.dtype, device=omega.device) + a * k + b * (k @ k)


def vector_from_rotation(rot: Tensor) -> Tensor:
    """Rotation vectors (..., 3) in radians, length at most π, of rotation matrices (..., 3, 3).

    By way of the unit quaternion of non-negative real part, built from its largest component (Shepperd 1978), so that
    it is exact and differentiable near 0 and near π alike; at π itself the sign of the axis is arbitrary.
    """
    m = rot
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    plus_x, plus_y, plus_z = m[..., 2, 1] + m[..., 1, 2], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 0] + m[..., 0, 1]
    minus_x, minus_y, minus_z = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    candidates = torch.stack(
        (
            torch.stack((1 + m00 - m11 - m22, plus_z, plus_y, minus_x), -1),
            torch.stack((plus_z, 1 - m00 + m11 - m22, plus_x, minus_y), -1),
            torch.stack((plus_y, plus_x, 1 - m00 - m11 + m22, minus_z), -1),
            torch.stack((minus_x, minus_y, minus_z, 1 + m00 + m11 + m22), -1),
        ),
        -2,
    )
    best = torch.stack((m00, m11, m22, m00 + m11 + m22), -1).argmax(-1)
    q = candidates.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    q = q / q.norm(dim=-1, keepdim=True)
    q = torch.where(q[..., 3:] < 0, -q, q)
    v, real = q[..., :3], q[..., 3:]
    square = (v * v).sum(-1, keepdim=True)
    small = square < 1e-12
    length = torch.where(small, torch.ones_like(square), square).sqrt()
    return v * torch.where(small, 2 / real.clamp_min(0.5), 2 * torch.atan2(length, real) / length)


def turned_about(points: Tensor, origin: Tensor, axis: Tensor, turn: Tensor | float) -> Tensor:
    """Points (..., N, 3) turned about the line through ``origin`` (..., 3) along ``axis`` (..., 3) by ``turn`` (...) in
    radians, right-handed.
    """
    omega = unit(axis) * torch.as_tensor(turn, dtype=axis.dtype).unsqueeze(-1)
    origin = origin.unsqueeze(-2)
    return (points - origin) @ rotation_from_vector(omega).transpose(-1, -2) + origin


def transformed(points: Tensor, rot: Tensor, shift: Tensor) -> Tensor:
    """Points (..., N, 3) after the rotation ``rot`` (..., 3, 3) and then the ``shift`` (..., 3)."""
    return points @ rot.transpose(-1, -2) + shift.unsqueeze(-2)


def kabsch(covariance: Tensor) -> Tensor:
    """Proper rotations R (..., 3, 3) that make tr(R^T C) largest (Kabsch 1976).

    Args:
        covariance: C (..., 3, 3), the sum of w f m^T over centred points: R brings the points m onto the points f with
            least weighted squared distance.
    """
    u, _, vt = torch.linalg.svd(covariance)
    flip = torch.ones_like(u[..., 0])
    flip[..., 2] = torch.sign(torch.linalg.det(u @ vt))
    return (u * flip.unsqueeze(-2)) @ vt


def superpose(mobile: Tensor, fixed: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Rigid motion that brings ``mobile`` onto ``fixed`` with least weighted squared distance.

    Args:
        mobile, fixed: (..., N, 3) Å.
        weights: (..., N) non-negative, not all zero; None means equal.

    Returns:
        rot (..., 3, 3) and shift (..., 3) such that ``transformed(mobile, rot, shift)`` lies on ``fixed``; proper
        rotations only.
    """
    w = torch.ones_like(mobile[..., 0]) if weights is None else weights
    w = (w / w.sum(-1, keepdim=True)).unsqueeze(-1)
    centre_m, centre_f = (w * mobile).sum(-2, keepdim=True), (w * fixed).sum(-2, keepdim=True)
    rot = kabsch((w * (fixed - centre_f)).transpose(-1, -2) @ (mobile - centre_m))
    return rot, centre_f.squeeze(-2) - (rot @ centre_m.transpose(-1, -2)).squeeze(-1)


def superposed(mobile: Tensor, fixed: Tensor, weights: Tensor | None = None) -> Tensor:
    """``mobile`` (..., N, 3) laid onto ``fixed`` with least weighted squared distance; arguments of ``superpose``."""
    return transformed(mobile, *superpose(mobile, fixed, weights))
