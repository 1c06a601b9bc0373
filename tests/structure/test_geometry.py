"""Geometry: identities under rotation and reflection, exact inverses, gradients by finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from refine.structure.geometry import (
    angle,
    chiral_volume,
    dihedral,
    distance,
    frames,
    kabsch,
    perpendicular,
    place_atom,
    rotation_from_vector,
    superpose,
    superposed,
    to_global,
    to_local,
    transformed,
    turned_about,
    unit,
    unit_or,
    vector_from_rotation,
    virtual_cb,
)


def points(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def rotation(seed: int = 1) -> Tensor:
    return rotation_from_vector(points(seed=seed))


MIRROR = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))


def test_frames_are_proper_and_rotate_with_the_atoms() -> None:
    n, ca, c = points(3, 7)
    rot, turn = frames(n, ca, c), rotation()
    torch.testing.assert_close(rot.transpose(-1, -2) @ rot, torch.eye(3, dtype=torch.float64).expand(7, 3, 3))
    torch.testing.assert_close(torch.linalg.det(rot), torch.ones(7, dtype=torch.float64))
    torch.testing.assert_close(frames(n @ turn.T, ca @ turn.T, c @ turn.T), turn @ rot)
    local = to_local(rot, ca, n)
    assert local[:, 2].abs().max() < 1e-12 and (local[:, 1] > 0).all()
    torch.testing.assert_close(to_global(rot, ca, local), n)


def test_a_mirror_turns_dihedrals_and_local_handedness_but_not_angles() -> None:
    a, b, c, d = points(4, 9)
    m = [p @ MIRROR for p in (a, b, c, d)]
    torch.testing.assert_close(dihedral(*m), -dihedral(a, b, c, d))
    torch.testing.assert_close(angle(*m[:3]), angle(a, b, c))
    local, mirrored = to_local(frames(a, b, c), b, d), to_local(frames(*m[:3]), m[1], m[3])
    torch.testing.assert_close(mirrored, local * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))


def test_dihedral_has_the_iupac_sign() -> None:
    a, b, c = (torch.tensor(v, dtype=torch.float64) for v in ([1.0, 0, 0], [0.0, 0, 0], [0.0, 0, 1.0]))
    # looking from b to c (up z), a clockwise turn from a to d is positive: -y seen against z is counter-clockwise
    d = torch.tensor([math.cos(0.7), math.sin(0.7), 1.0], dtype=torch.float64)
    assert dihedral(a, b, c, d) == pytest.approx(0.7)


def test_virtual_cb_is_an_l_amino_acid_of_ideal_geometry() -> None:
    n = torch.tensor([1.458, 0, 0], dtype=torch.float64)
    tau = math.radians(111.0)
    ca, c = (
        torch.zeros(3, dtype=torch.float64),
        1.525 * torch.tensor([math.cos(tau), math.sin(tau), 0], dtype=torch.float64),
    )
    cb = virtual_cb(n, ca, c)
    assert distance(cb, ca) == pytest.approx(1.53, abs=0.02)
    assert math.degrees(angle(n, ca, cb)) == pytest.approx(110.5, abs=1.5)
    assert (n * torch.linalg.cross(c, cb)).sum() > 0


@pytest.mark.parametrize("length", [0.0, 1e-9, 1e-5, 0.3, 2.0, 3.0, math.pi - 1e-3, math.pi - 1e-7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rotation_vectors_come_back(length: float, dtype: torch.dtype) -> None:
    omega = (unit(points(50)) * length).to(dtype)
    back = vector_from_rotation(rotation_from_vector(omega))
    tolerance = 2e-6 if dtype == torch.float32 else 1e-9
    if length > 3.14159 and dtype == torch.float32:  # the sign of the axis is lost in the rounding of π
        back = torch.where(((back * omega).sum(-1, keepdim=True) < 0), -back, back)
    assert (back - omega).abs().max() < tolerance


def test_rotation_vector_gradients_are_finite_and_right_everywhere() -> None:
    for length in (0.0, 1e-6, 1.0, 3.1):
        omega = (unit(points(1)) * length).requires_grad_(True)
        target = points(1, seed=3)
        (gradient,) = torch.autograd.grad((vector_from_rotation(rotation_from_vector(omega)) * target).sum(), omega)
        torch.testing.assert_close(gradient, target, atol=1e-7, rtol=1e-6)


def test_gradients_at_coincident_and_collinear_points_are_finite() -> None:
    p = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    a, c = torch.tensor([1.0, 0, 0], dtype=torch.float64), torch.tensor([-1.0, 0, 0], dtype=torch.float64)
    total = distance(p[0], p[1]) + angle(a, p[0], c) + unit(p[0] - p[1]).sum()
    (gradient,) = torch.autograd.grad(total, p)
    assert torch.isfinite(gradient).all()


def test_angle_and_dihedral_gradients_equal_finite_differences() -> None:
    x = points(4)
    assert torch.autograd.gradcheck(
        lambda p: torch.stack((angle(p[0], p[1], p[2]), dihedral(*p))), (x.requires_grad_(True),)
    )


def test_superpose_finds_the_motion_and_never_a_mirror() -> None:
    x, turn = points(2, 20), rotation()
    moved = x @ turn.T + torch.tensor([1.0, -2, 3], dtype=torch.float64)
    rot, shift = superpose(x, moved)
    torch.testing.assert_close(x @ rot.transpose(-1, -2) + shift.unsqueeze(-2), moved)
    rot, shift = superpose(x, x @ MIRROR)
    torch.testing.assert_close(torch.linalg.det(rot), torch.ones(2, dtype=torch.float64))
    assert ((x @ rot.transpose(-1, -2) + shift.unsqueeze(-2) - x @ MIRROR) ** 2).sum() > 1.0


def test_superpose_is_the_least_squares_motion_for_its_weights() -> None:
    x, y = points(20), points(20, seed=5)
    weights = torch.rand(20, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    rot, shift = superpose(x, y, weights)

    def residual(r: Tensor, s: Tensor) -> float:
        return float((weights[:, None] * (x @ r.T + s - y) ** 2).sum())

    best = residual(rot, shift)
    for seed in range(20):
        nudge = rotation_from_vector(0.01 * points(seed=seed + 10))
        assert residual(nudge @ rot, shift) > best and residual(rot, shift + 0.01 * points(seed=seed)) > best


def test_kabsch_gives_the_rotation_back() -> None:
    x, turn = points(20), rotation()
    centred = x - x.mean(0)
    torch.testing.assert_close(kabsch((centred @ turn.T).T @ centred), turn)
    torch.testing.assert_close(superposed(x, x @ turn.T + 3.0), transformed(x, turn, torch.full((3,), 3.0).double()))


def test_a_placed_atom_has_the_length_angle_and_torsion_asked_for() -> None:
    a, b, c = points(3, 6)
    length, bend, torsion = 1.5, torch.linspace(0.3, 2.8, 6).double(), torch.linspace(-3.0, 3.0, 6).double()
    d = place_atom(a, b, c, length, bend, torsion)
    torch.testing.assert_close(distance(c, d), torch.full((6,), 1.5).double())
    torch.testing.assert_close(angle(b, c, d), bend)
    torch.testing.assert_close(dihedral(a, b, c, d), torsion)
    in_line = place_atom(2 * b - c, b, c, length, bend, torsion)
    torch.testing.assert_close(angle(b, c, in_line), bend)
    x = points(3, 4)
    assert torch.autograd.gradcheck(lambda p: place_atom(*p, 1.5, 2.0, 1.0), (x.requires_grad_(True),))


def test_points_turn_about_an_axis_by_the_right_hand() -> None:
    z, origin = torch.tensor([0.0, 0, 2.0]).double(), torch.tensor([1.0, 0, 0]).double()
    turned = turned_about(torch.tensor([[2.0, 0, 5.0]]).double(), origin, z, math.pi / 2)
    torch.testing.assert_close(turned, torch.tensor([[1.0, 1.0, 5.0]]).double())


def test_a_mirror_turns_the_chiral_volume() -> None:
    o, a, b, c = points(4, 9)
    torch.testing.assert_close(chiral_volume(*(p @ MIRROR for p in (o, a, b, c))), -chiral_volume(o, a, b, c))
    x = torch.eye(3).double()
    assert float(chiral_volume(torch.zeros(3).double(), *x)) == 1.0


def test_a_direction_is_found_where_there_is_none() -> None:
    v = torch.stack((torch.zeros(3), torch.tensor([0.0, 2.0, 0.0]))).double()
    torch.testing.assert_close(unit_or(v, points(2)), torch.stack((unit(points(2)[0]), unit(v[1]))))
    assert (perpendicular(points(5)) * points(5)).sum(-1).abs().max() < 1e-12
