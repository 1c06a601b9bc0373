"""Internal coordinates: round trips, breaks, gradients."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from refine.propagation.internal import ideal_internal, to_cartesian, to_internal
from refine.structure.geometry import dihedral, place_atom, rotation_from_vector
from tests.proteins import chain_backbone, small_protein, torsions


def noisy(length: int, seed: int = 0) -> torch.Tensor:
    x = torch.from_numpy(chain_backbone(*torsions(length, seed)))
    return x + 0.05 * torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(seed))


def joined(length: int, *breaks: int) -> torch.Tensor:
    bonded = torch.ones(length, dtype=torch.bool)
    bonded[[-1, *breaks]] = False
    return bonded


def test_a_thousand_residues_in_float32_come_back_within_a_thousandth_of_an_angstrom() -> None:
    x = noisy(1000).float()
    back = to_cartesian(to_internal(x, joined(1000)))
    assert (back - x).norm(dim=-1).max() < 1e-4  # asked: 1e-3


def test_torsions_kept_in_float32_still_come_back() -> None:
    x = noisy(1000).float()
    internal = to_internal(x, joined(1000))
    rounded = dataclasses.replace(
        internal,
        **{
            f.name: getattr(internal, f.name).float().double()
            for f in dataclasses.fields(internal)
            if f.name != "bonded"
        },
    )
    assert (to_cartesian(rounded) - x).norm(dim=-1).max() < 1e-3


def test_breaks_keep_segments_where_they_are_and_apart() -> None:
    x = noisy(30)
    x[10:] += torch.tensor([20.0, 0, 0])
    bonded = joined(30, 9)
    internal = to_internal(x, bonded)
    torch.testing.assert_close(to_cartesian(internal), x)
    psi = internal.psi.clone()
    psi[3] += 1.0
    moved = to_cartesian(dataclasses.replace(internal, psi=psi))
    torch.testing.assert_close(moved[10:], x[10:])
    assert (moved[5] - x[5]).norm() > 0.5


def test_replicas_and_the_shortest_chains() -> None:
    for length in (1, 2, 3):
        x = torch.stack([noisy(length, 0), noisy(length, 1)])
        torch.testing.assert_close(to_cartesian(to_internal(x, joined(length))), x)


def test_internal_coordinates_do_not_see_rigid_motion_and_turn_their_sign_in_a_mirror() -> None:
    x = noisy(20)
    turn = rotation_from_vector(torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64))
    a, b = to_internal(x, joined(20)), to_internal(x @ turn.T + 5, joined(20))
    c = to_internal(x * torch.tensor([1.0, 1.0, -1.0]), joined(20))
    for name in ("n_ca", "ca_c_n", "c_n_ca"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name))
        torch.testing.assert_close(getattr(a, name), getattr(c, name))
    for name in ("phi", "psi", "omega"):
        torch.testing.assert_close(torch.cos(getattr(a, name)), torch.cos(getattr(b, name)))
        torch.testing.assert_close(torch.sin(getattr(a, name)[1:-1]), -torch.sin(getattr(c, name)[1:-1]))


def test_place_meets_length_angle_and_dihedral() -> None:
    a, b, c = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wanted = torch.tensor([1.4, 1.9, -2.1], dtype=torch.float64)
    d = place_atom(a, b, c, *wanted)
    assert abs(float((d - c).norm()) - 1.4) < 1e-12
    assert abs(float(dihedral(a, b, c, d)) + 2.1) < 1e-12


def test_gradients_of_torsions_equal_finite_differences() -> None:
    internal = to_internal(noisy(6), joined(6))

    def cartesian(phi: torch.Tensor, psi: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
        return to_cartesian(dataclasses.replace(internal, phi=phi, psi=psi, ca_c_n=angle))

    inputs = tuple(t.clone().requires_grad_(True) for t in (internal.phi, internal.psi, internal.ca_c_n))
    assert torch.autograd.gradcheck(cartesian, inputs)


def test_ideal_chain_has_the_torsions_asked_for() -> None:
    phi, psi = (torch.from_numpy(t) for t in torsions(12))
    made = to_internal(to_cartesian(ideal_internal(phi, psi, torch.full_like(phi, np.pi))), joined(12))
    torch.testing.assert_close(made.phi[1:], phi[1:])
    torch.testing.assert_close(made.psi[:-1], psi[:-1])
    assert len(small_protein(12)) == 12
