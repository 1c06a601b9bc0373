"""The formulas of ``geometry`` for numpy callers: float64 in, float64 out, NaN stays NaN.

Nothing is computed here: each function hands its arrays to the function of the same name, whose docstring holds.
Numbers of any type and shape go in; they broadcast as there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from refine.structure import geometry

Array = NDArray[np.float64]


def _tensor(values: ArrayLike) -> Tensor:
    """A float64 copy: torch takes no array that is read-only or runs backwards."""
    return torch.from_numpy(np.array(values, np.float64, order="C"))


def _of(formula: Callable[..., Tensor], *arguments: ArrayLike | None) -> Array:
    result: Array = formula(*(None if a is None else _tensor(a) for a in arguments)).numpy()
    return result


def unit(v: ArrayLike) -> Array:
    """Unit vectors (..., 3); zero stays zero."""
    return _of(geometry.unit, v)


def unit_or(v: ArrayLike, fallback: ArrayLike) -> Array:
    """Unit vectors (..., 3), of ``fallback`` where ``v`` has no direction."""
    return _of(geometry.unit_or, v, fallback)


def perpendicular(v: ArrayLike) -> Array:
    """Some vector (..., 3) at a right angle to ``v``."""
    return _of(geometry.perpendicular, v)


def angle(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> Array:
    """Angle (...) at b in radians."""
    return _of(geometry.angle, a, b, c)


def dihedral(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> Array:
    """Dihedral (...) about b–c in radians, IUPAC sign."""
    return _of(geometry.dihedral, a, b, c, d)


def chiral_volume(centre: ArrayLike, a: ArrayLike, b: ArrayLike, c: ArrayLike) -> Array:
    """Signed volume (...) in Å³ of three neighbours about a centre."""
    return _of(geometry.chiral_volume, centre, a, b, c)


def frames(n: ArrayLike, ca: ArrayLike, c: ArrayLike) -> Array:
    """Residue frames (..., 3, 3), axes in columns, x along CA→C, y towards N."""
    return _of(geometry.frames, n, ca, c)


def virtual_cb(n: ArrayLike, ca: ArrayLike, c: ArrayLike) -> Array:
    """Ideal CB (..., 3)."""
    return _of(geometry.virtual_cb, n, ca, c)


def place_atom(
    a: ArrayLike, b: ArrayLike, c: ArrayLike, length: ArrayLike, bond_angle: ArrayLike, torsion: ArrayLike
) -> Array:
    """Position (..., 3) of the atom bonded to c, Å and radians."""
    return _of(geometry.place_atom, a, b, c, length, bond_angle, torsion)


def opposite(centre: ArrayLike, neighbours: ArrayLike) -> Array:
    """Direction (..., 3) away from the neighbours (..., K, 3) of a centre (..., 3)."""
    return _of(geometry.opposite, centre, neighbours)


def opposite_pair(centre: ArrayLike, neighbours: ArrayLike) -> Array:
    """Directions (..., 2, 3) of the two bonds that complete a tetrahedron with two neighbours (..., 2, 3)."""
    return _of(geometry.opposite_pair, centre, neighbours)


def rotation_from_vector(omega: ArrayLike) -> Array:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3) in radians."""
    return _of(geometry.rotation_from_vector, omega)


def turned_about(points: ArrayLike, origin: ArrayLike, axis: ArrayLike, turn: ArrayLike) -> Array:
    """Points (..., N, 3) turned about a line by ``turn`` (...) in radians."""
    return _of(geometry.turned_about, points, origin, axis, turn)


def transformed(points: ArrayLike, rot: ArrayLike, shift: ArrayLike) -> Array:
    """Points (..., N, 3) after a rotation (..., 3, 3) and then a shift (..., 3)."""
    return _of(geometry.transformed, points, rot, shift)


def kabsch(covariance: ArrayLike) -> Array:
    """Proper rotations (..., 3, 3) of covariances Σ w f m^T."""
    return _of(geometry.kabsch, covariance)


def superpose(mobile: ArrayLike, fixed: ArrayLike, weights: ArrayLike | None = None) -> tuple[Array, Array]:
    """Rotation (..., 3, 3) and shift (..., 3) that bring ``mobile`` (..., N, 3) onto ``fixed``."""
    rot, shift = geometry.superpose(_tensor(mobile), _tensor(fixed), None if weights is None else _tensor(weights))
    return rot.numpy(), shift.numpy()


def superposed(mobile: ArrayLike, fixed: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """``mobile`` (..., N, 3) laid onto ``fixed``."""
    return _of(geometry.superposed, mobile, fixed, weights)
