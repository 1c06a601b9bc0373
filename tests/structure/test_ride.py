"""Side chains ride on their backbone."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from refine.structure.geometry import frames, rotation_from_vector, to_local
from refine.structure.protein import Protein
from refine.structure.ride import ride
from tests.proteins import chain_backbone, small_protein, torsions


def with_oxt(protein: Protein) -> Protein:
    oxt, oxt_mask = protein.oxt.copy(), protein.oxt_mask.copy()
    n, ca, c, o = protein.coords[0, -1, :4]
    oxt[0, -1], oxt_mask[-1] = c + (c - ca) * 0.4 - (o - c) * 0.6, True
    return dataclasses.replace(protein, oxt=oxt, oxt_mask=oxt_mask)


def test_rigid_motion_of_the_backbone_moves_everything_rigidly() -> None:
    protein = with_oxt(small_protein(15))
    turn = rotation_from_vector(torch.tensor([0.4, 1.0, -2.0])).numpy()
    shift = np.array([3.0, -1, 8])
    moved = ride(protein, protein.coords[:, :, :4] @ turn.T + shift)
    expected = np.where(protein.mask[None, :, :, None], protein.coords @ turn.T + shift, 0)
    np.testing.assert_allclose(moved.coords, expected, atol=1e-5)
    np.testing.assert_allclose(moved.oxt[0, -1], protein.oxt[0, -1] @ turn.T + shift, atol=1e-5)
    assert moved.oxt_mask[-1] and not moved.oxt[0, :-1].any()


def test_local_positions_stay_and_the_backbone_is_as_given() -> None:
    protein = small_protein(15)
    new = np.stack([chain_backbone(*torsions(15, seed)) for seed in (1, 2, 3)]).astype(np.float32)
    moved = ride(protein, new)
    assert moved.replicas == 3
    np.testing.assert_array_equal(moved.coords[:, :, :4], new)

    def local(p: Protein) -> torch.Tensor:
        x = torch.from_numpy(p.coords).double()
        return to_local(frames(x[:, :, 0], x[:, :, 1], x[:, :, 2])[:, :, None], x[:, :, 1:2], x[:, :, 4:6])

    there = torch.from_numpy(protein.mask[:, 4:6])
    torch.testing.assert_close(
        local(moved)[:, there], local(protein).expand(3, -1, -1, -1)[:, there], atol=2e-5, rtol=0
    )


def test_residues_that_stay_keep_every_bit() -> None:
    protein = with_oxt(small_protein(15))
    backbone = protein.coords[:, :, :4].copy()
    backbone[:, 3:6] += 0.7
    moved = ride(protein, backbone)
    keep = [i for i in range(15) if i not in (3, 4, 5)]
    assert moved.coords[0, keep].tobytes() == protein.coords[0, keep].tobytes()
    assert moved.oxt.tobytes() == protein.oxt.tobytes()
    assert np.abs(moved.coords[0, 4, 4] - protein.coords[0, 4, 4] - 0.7).max() < 1e-4
