"""Labels of batches are those that the examples make one at a time."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from refine.structure.geometry import frames, kabsch, rotation_from_vector
from refine.training import decoys
from refine.training.examples import _targets, collate
from refine.training.labels import bonds_swept, fitted_rotation, labels
from refine.training.unrolled import Moves, moved_by
from tests.proteins import chain_backbone, torsions


def example(length: int, seed: int) -> dict[str, NDArray[np.generic]]:
    """A native of ``length`` residues and a decoy of it, with the labels of ``Examples``."""
    rng = np.random.default_rng(seed)
    native = chain_backbone(*torsions(length)).astype(np.float32)
    start = decoys.perturbed(native, rng, 1.0)
    position = np.arange(length)
    residue = rng.integers(0, 20, length)
    return {"residue": residue, "position": position, **_targets(start, native, np.arange(length))}


def test_labels_of_a_padded_batch_are_those_of_its_examples() -> None:
    batch = collate([example(30, 1), example(24, 2)], 36)
    made = labels(batch["start"].double(), batch["native"].double(), batch["mask"])
    for name, value in made.items():
        assert value[batch["mask"]].numpy() == pytest.approx(batch[name][batch["mask"]].numpy(), abs=1e-5), name


def test_fitted_rotations_are_those_of_the_singular_value_decomposition() -> None:
    covariance = torch.randn(200, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(fitted_rotation(covariance), kabsch(covariance), atol=1e-6)
    flat = covariance.clone()
    flat[:, :, 2] = 0  # points in a plane still have one proper rotation
    assert torch.allclose(fitted_rotation(flat), kabsch(flat), atol=1e-6)


def test_restored_bonds_are_those_of_the_decoys() -> None:
    start = np.stack([example(30, seed)["start"] for seed in (4, 5)])
    bonded = np.ones((2, 30), bool)
    bonded[:, -1] = False
    bonded[1, 11] = False
    restored = torch.from_numpy(start)
    for _ in range(5):
        restored = bonds_swept(restored, torch.from_numpy(bonded))
    for k in range(2):
        assert restored[k].numpy() == pytest.approx(decoys.restore_bonds(start[k], bonded[k], 5), abs=1e-4)


def test_a_whole_move_puts_frames_where_it_says() -> None:
    start = torch.from_numpy(example(20, 6)["start"])[None]
    rot = frames(*start[:, :, :3].unbind(2))
    shift, turn = torch.randn(2, 1, 20, 3, generator=torch.Generator().manual_seed(7))
    moved = moved_by(start, Moves(shift, 0.3 * turn, rot, start[:, :, 1]), torch.full((1, 1, 1), 0.5))
    assert torch.allclose(moved[:, :, 1], start[:, :, 1] + 0.5 * (rot @ shift.unsqueeze(-1)).squeeze(-1), atol=1e-4)
    assert torch.allclose(frames(*moved[:, :, :3].unbind(2)), rot @ rotation_from_vector(0.15 * turn), atol=1e-4)
