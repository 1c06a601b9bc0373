"""Residues in which violated rows meet are blamed, and yield in the elastic network; others are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from refine.energy.evidence import DistanceEvidence
from refine.energy.system import System
from refine.evidence.pairs import STUDENT, Row, pairs_of
from refine.propagation import elastic
from refine.propagation.elastic import Network
from refine.propagation.internal import ideal_internal, to_cartesian
from refine.propagation.misplaced import BESIDE, YIELDS, misplaced, yielding
from refine.structure.geometry import superposed
from refine.structure.protein import Protein, Site
from tests.proteins import make_protein, torsions


def test_the_residue_that_rows_meet_in_is_blamed() -> None:
    ends = np.array([(7, other) for other in range(20, 30)] + [(k, k + 10) for k in range(30, 38)])
    violation = np.array([6.0] * 10 + [0.0] * 8)
    wrong = misplaced(ends, violation, 50)
    assert np.flatnonzero(wrong).tolist() == [7] and 4.0 < wrong[7] < 6.0


def test_two_that_rows_meet_in_share_the_blame_of_the_row_between_them() -> None:
    ends = np.array([(5, k) for k in range(20, 26)] + [(9, k) for k in range(30, 36)] + [(5, 9)])
    wrong = misplaced(ends, np.array([4.0] * 6 + [8.0] * 6 + [12.0]), 50)
    assert np.flatnonzero(wrong).tolist() == [5, 9] and wrong[9] > wrong[5] > 1.0


def test_rows_that_meet_nowhere_and_single_wrong_ones_blame_none() -> None:
    rng = np.random.default_rng(0)
    hinge = np.stack((rng.permutation(50)[:25], 50 + rng.permutation(50)[:25]), 1)
    assert not misplaced(hinge, rng.uniform(2.0, 12.0, 25), 100).any()
    assert not misplaced(hinge, np.r_[60.0, np.zeros(24)], 100).any()
    assert not misplaced(np.zeros((0, 2), np.int64), np.zeros(0), 100).any()


def test_rows_that_are_many_everywhere_blame_none() -> None:
    """All pairs of a model that is wrong by the same everywhere."""
    ends = np.stack(np.triu_indices(30, 3), 1)
    assert not misplaced(ends, np.full(len(ends), 5.0), 30).any()


def test_neighbours_yield_less() -> None:
    wrong = np.zeros(20)
    wrong[8] = 3.0
    added = yielding(wrong)
    assert added[8] == 3.0 * YIELDS and 0 < added[8 + BESIDE] < added[9] < added[8]
    assert np.flatnonzero(added).tolist() == list(range(8 - BESIDE, 9 + BESIDE))


def chain(turn: float) -> Protein:
    """Forty residues, phi of residue 34 turned by ``turn`` degrees: the last five stand elsewhere."""
    phi, psi = torsions(40)
    phi[34] += np.radians(turn)
    omega = torch.full((40,), np.pi, dtype=torch.float64)
    x = to_cartesian(ideal_internal(torch.from_numpy(phi), torch.from_numpy(psi), omega)).numpy()
    return make_protein([x - x.reshape(-1, 3).mean(0)])


def rmsd(coords: torch.Tensor, native: Protein, residues: slice) -> float:
    target = torch.from_numpy(native.coords[0, residues, 1])
    return float((superposed(coords[0, residues, 1], target) - target).norm(dim=-1).square().mean().sqrt())


def test_a_wrong_end_goes_where_rows_lead_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every residue is predicted to be right; the rows all have one end in the last five."""
    native, model = chain(0.0), chain(110.0)
    rng, ca = np.random.default_rng(1), native.coords[0, :, 1].astype(np.float64)
    rows = []
    for i, j in zip(rng.choice(30, 24, replace=False).tolist(), rng.integers(36, 40, 24).tolist(), strict=True):
        value = float(np.linalg.norm(ca[i] - ca[j]))
        rows.append(Row("distance", Site(i, 1), Site(j, 1), value, value, 1.0, 1.0, STUDENT, 0))
    system = System.from_protein(model)
    evidence = DistanceEvidence.of(pairs_of(rows, "rows"), system)
    start = torch.from_numpy(model.coords[:, :, :4].copy())
    network = Network(system, start, np.full(40, 0.4), np.ones(40, np.bool_))
    bent = network.chosen(evidence)
    assert bent.misplaced is not None and np.flatnonzero(bent.misplaced).min() >= 34
    assert bent.held_out[1] < 0.5 * bent.held_out[0]
    monkeypatch.setattr(elastic, "misplaced", lambda ends, violation, length: np.zeros(length))
    shared = network.chosen(evidence)
    assert shared.misplaced is None and shared.held_out[1] > bent.held_out[1]
    rest, whole = slice(0, 33), slice(0, 40)
    assert rmsd(bent.coords, native, rest) < 0.5 * rmsd(shared.coords, native, rest)
    assert rmsd(bent.coords, native, whole) < 0.5 * min(rmsd(x, native, whole) for x in (shared.coords, start))
