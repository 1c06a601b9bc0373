"""Bending a structure toward evidence: it reaches what rows say, keeps its bonds, and refuses rows that disagree."""

from __future__ import annotations

import numpy as np
import torch

from refine.energy.evidence import DistanceEvidence
from refine.energy.system import System
from refine.evidence.pairs import STUDENT, Row, pairs_of
from refine.propagation.constraints import Constraints
from refine.propagation.elastic import Network
from refine.propagation.internal import ideal_internal, to_cartesian
from refine.structure.geometry import superposed
from refine.structure.protein import Protein, Site
from tests.proteins import make_protein, torsions


def bent_chain(turn: float) -> Protein:
    """Forty residues, phi of the one in the middle turned by ``turn`` degrees."""
    phi, psi = torsions(40)
    phi[20] += np.radians(turn)
    omega = torch.full((40,), np.pi, dtype=torch.float64)
    x = to_cartesian(ideal_internal(torch.from_numpy(phi), torch.from_numpy(psi), omega)).numpy()
    return make_protein([x - x.reshape(-1, 3).mean(0)])


def true_rows(native: Protein, count: int, seed: int = 0, wrong: int = 0) -> DistanceEvidence:
    rng = np.random.default_rng(seed)
    ends = np.stack((rng.integers(0, 18, count), rng.integers(22, 40, count)), 1)
    ca = native.coords[0, :, 1].astype(np.float64)
    values = np.linalg.norm(ca[ends[:, 0]] - ca[ends[:, 1]], axis=1)
    values[:wrong] = rng.uniform(5.0, 30.0, wrong)
    rows = [
        Row("distance", Site(i, 1), Site(j, 1), value, value, 1.0, 1.0, STUDENT, 0)
        for (i, j), value in zip(ends.tolist(), values.tolist(), strict=True)
    ]
    return DistanceEvidence.of(pairs_of(rows, "rows"), System.from_protein(native))


def rmsd(coords: torch.Tensor, native: Protein) -> float:
    target = torch.from_numpy(native.coords[0, :, 1])
    return float((superposed(coords[0, :, 1], target) - target).norm(dim=-1).square().mean().sqrt())


def network(protein: Protein, mobile: np.ndarray | None = None, error: float = 1.0) -> Network:
    coords = torch.from_numpy(protein.coords[:, :, :4].copy())
    mobile = np.ones(len(protein), np.bool_) if mobile is None else mobile
    return Network(System.from_protein(protein), coords, np.full(len(protein), error), mobile)


def test_true_distances_bring_two_halves_into_place() -> None:
    native, model = bent_chain(0.0), bent_chain(45.0)
    start, bent = network(model), network(model).chosen(true_rows(native, 20))
    assert bent.factor > 0 and bent.held_out[1] < 0.5 * bent.held_out[0]
    before, after = rmsd(start.coords, native), rmsd(bent.coords, native)
    assert before > 3.0 and after < 0.4 * before
    assert float(Constraints.of(System.from_protein(model)).worst(bent.coords).max()) < 0.1


def test_a_fifth_of_wrong_rows_does_not_lead_astray() -> None:
    native, model = bent_chain(0.0), bent_chain(45.0)
    bent = network(model).chosen(true_rows(native, 30, wrong=6))
    assert rmsd(bent.coords, native) < 0.6 * rmsd(network(model).coords, native)


def test_what_is_held_stays_to_the_bit() -> None:
    native, model = bent_chain(0.0), bent_chain(35.0)
    mobile = np.arange(40) >= 15
    bent = network(model, mobile).bent(true_rows(native, 20))
    start = torch.from_numpy(model.coords[:, :15, :4])
    assert torch.equal(bent[:, :15], start) and not torch.equal(bent[:, 30], network(model).coords[:, 30])


def test_what_is_predicted_right_yields_less() -> None:
    """A row that wants a helix 3 Å longer than it is."""
    native = bent_chain(0.0)
    ca = native.coords[0, :, 1].astype(np.float64)
    wanted = float(np.linalg.norm(ca[3] - ca[9])) + 3.0
    row = Row("distance", Site(3, 1), Site(9, 1), wanted, wanted, 1.0, 1.0, STUDENT, 0)
    evidence = DistanceEvidence.of(pairs_of([row], "rows"), System.from_protein(native))
    left = [
        wanted - float(evidence.distances(network(native, error=error).bent(evidence))[0, 0]) for error in (0.3, 3.0)
    ]
    assert left[0] > 2.8 and left[1] < left[0] - 0.5


def test_rows_that_hold_change_nothing() -> None:
    native = bent_chain(0.0)
    bent = network(native).chosen(true_rows(native, 20))
    assert bent.factor == 0.0 and torch.equal(bent.coords, network(native).coords)
