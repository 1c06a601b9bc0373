"""The term of evidence: forces against finite differences, forms, and splines of distograms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from refine.energy.evidence import FREEDOM, KT, DistanceEvidence
from refine.energy.system import System
from refine.evidence.pairs import CONTACT, DENSITY, GAUSSIAN, GRID_POINTS, GRID_START, GRID_STEP, STUDENT, Pairs
from tests.proteins import small_protein

FORMS = [STUDENT, STUDENT, GAUSSIAN, CONTACT, DENSITY]


def rows() -> Pairs:
    """A row of every form, between backbone atoms, CB and an atom beyond it."""
    count = len(FORMS)
    grid = GRID_START + GRID_STEP * np.arange(GRID_POINTS)
    return Pairs(
        residue=np.array([[2, 20], [3, 15], [5, 25], [0, 12], [7, 22]]),
        slot=np.array([[1, 1], [4, 0], [5, 1], [1, 4], [1, 4]]),
        lower=np.array([9.0, 7.0, 12.0, 0.0, 11.0]), upper=np.array([9.0, 10.0, 12.0, 8.0, 11.0]),
        sigma=np.array([1.0, 0.5, 2.0, 1.0, 1.0]), weight=np.array([1.0, 2.0, 0.5, 1.0, 0.7]), form=np.array(FORMS),
        density=0.5 * ((grid - 11.0) / 1.5)[None] ** 2, source=np.zeros(count, np.int64), line=np.arange(count),
        files=("rows",), kinds=("distance",) * count,
    )  # fmt: skip


def term() -> tuple[DistanceEvidence, torch.Tensor]:
    protein = small_protein(30)
    system = System.from_protein(protein, dtype=torch.float64)
    coords = torch.from_numpy(protein.coords[:, :, :4].astype(np.float64)).repeat(2, 1, 1, 1)
    coords[1] += 0.3 * torch.randn(coords[1].shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return DistanceEvidence.of(rows(), system), coords


def test_forces_are_the_gradient() -> None:
    evidence, coords = term()
    x = coords.requires_grad_(True)
    (gradient,) = torch.autograd.grad(evidence(x).sum(), x)
    for index in [(0, 2, 1, 0), (1, 3, 2, 1), (0, 5, 0, 2), (1, 12, 1, 0), (0, 22, 1, 1)]:
        moved = [coords.detach().clone() for _ in range(2)]
        for sign, y in zip((1, -1), moved, strict=True):
            y[index] += sign * 1e-4
        difference = float((evidence(moved[0]).sum() - evidence(moved[1]).sum()) / 2e-4)
        assert difference == pytest.approx(float(gradient[index]), abs=1e-5)


def test_each_form_is_what_it_says() -> None:
    evidence, _ = term()
    d = torch.tensor([[12.0, 8.0, 15.0, 30.0, 12.5]], dtype=torch.float64)
    want = [0.5 * (FREEDOM + 1) * np.log1p(9 / FREEDOM), 0.0, 0.5 * 0.5 * 1.5**2, 22.0, 0.7 * 0.5]
    np.testing.assert_allclose(evidence.row_energies(d)[0].numpy() / KT, want, atol=1e-3)


def test_a_row_that_is_far_off_pulls_less_than_one_that_is_near() -> None:
    """The pull of Student's t is largest at z = 2; the Gaussian's has no end."""
    evidence, _ = term()
    at = [evidence.slopes(torch.full((1, 5), d, dtype=torch.float64))[0][0] for d in (14.0, 16.0, 40.0)]
    assert at[0][0] > at[1][0] > 4 * at[2][0] > 0 and at[2][2] > at[1][2] > at[0][2]


def test_a_density_leads_back_from_beyond_its_grid() -> None:
    evidence, _ = term()
    slope, stiffness = evidence.slopes(torch.full((1, 5), 30.0, dtype=torch.float64))
    assert float(slope[0, 4]) > 0.1 and float(stiffness[0, 4]) > 0


def test_the_shares_of_residues_are_those_of_their_rows() -> None:
    evidence, coords = term()
    shared = evidence(coords)
    assert shared.shape == (2, 30) and set(torch.nonzero(shared[0]).ravel().tolist()) <= set(
        rows().residue.ravel().tolist()
    )
    total = evidence.row_energies(evidence.distances(coords)).sum(1)
    torch.testing.assert_close(shared.sum(1), total)


def test_a_parabola_touches_the_energy_from_above() -> None:
    """What Gauss–Newton steps need so as not to overshoot."""
    evidence, _ = term()
    d = torch.full((1, 5), 14.0, dtype=torch.float64)
    slope, stiffness = evidence.slopes(d)
    for move in (-2.0, -0.5, 0.5, 2.0):
        bound = evidence.row_energies(d) + slope * move + 0.5 * stiffness * move**2
        assert (evidence.row_energies(d + move) <= bound + 1e-9)[0, :3].all()
