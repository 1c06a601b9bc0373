"""What a network should say: known motions are recovered, lDDT agrees with another program."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from refine.structure.arrays import frames
from refine.training import decoys, targets
from refine.training.examples import _frame_motion
from tests.proteins import chain_backbone, torsions


@pytest.fixture
def native() -> np.ndarray:
    return chain_backbone(*torsions(60))


def rigid(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rot, shift = Rotation.from_rotvec([0.4, -1.2, 0.8]).as_matrix(), np.array([4.0, -2.0, 9.0])
    return x @ rot.T + shift, rot, shift


def test_whole_superposition_recovers_a_motion_and_ignores_a_wrong_tail(native: np.ndarray) -> None:
    moved, rot, shift = rigid(native)
    moved[50:] += 15.0
    fitted, t = targets.whole_superposition(native[:, 1], moved[:, 1], rounds=20)
    np.testing.assert_allclose(fitted, rot, atol=0.03)
    assert np.abs((native[:50, 1] @ fitted.T + t) - moved[:50, 1]).max() < 0.6


def test_local_superpositions_recover_a_motion(native: np.ndarray) -> None:
    moved, rot, shift = rigid(native)
    fitted, t = targets.local_superpositions(native[:, 1], moved[:, 1])
    np.testing.assert_allclose(fitted, np.broadcast_to(rot, fitted.shape), atol=1e-6)
    np.testing.assert_allclose(t, np.broadcast_to(shift, t.shape), atol=1e-5)


def test_frame_motion_leads_from_start_to_native(native: np.ndarray) -> None:
    start = decoys.jittered(native.astype(np.float32), np.random.default_rng(0), 0.4).astype(np.float64)
    moved, rot, shift = rigid(native)
    t, w = _frame_motion(start, native, np.broadcast_to(rot, (60, 3, 3)), np.broadcast_to(shift, (60, 3)))
    before, after = (frames(*x[:, :3].swapaxes(0, 1)) for x in (start, moved))
    place = start[:, 1] + (before @ t[..., None])[..., 0]
    np.testing.assert_allclose(place, moved[:, 1], atol=1e-4)
    np.testing.assert_allclose(before @ Rotation.from_rotvec(w).as_matrix(), after, atol=1e-5)


def test_lddt_agrees_with_biotite(native: np.ndarray) -> None:
    structure = pytest.importorskip("biotite.structure")
    decoy = decoys.perturbed(native.astype(np.float32), np.random.default_rng(1), 2.0).astype(np.float64)
    atoms = structure.AtomArray(60)
    atoms.res_id, atoms.chain_id, atoms.atom_name = np.arange(60), np.full(60, "A"), np.full(60, "CA")
    one, two = atoms.copy(), atoms.copy()
    one.coord, two.coord = native[:, 1].astype(np.float32), decoy[:, 1].astype(np.float32)
    expected = structure.lddt(one, two, aggregation="residue")
    mine = targets.lddt_ca(native[:, 1], decoy[:, 1])
    assert mine.min() < 0.95
    np.testing.assert_allclose(mine, expected, atol=1e-3)


def test_lddt_of_itself_is_one(native: np.ndarray) -> None:
    assert (targets.lddt_ca(native[:, 1], rigid(native)[0][:, 1]) == 1).all()
