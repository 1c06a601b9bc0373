"""Side chains that follow their backbone."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from refine.structure.geometry import frames, to_global, to_local
from refine.structure.protein import Protein


def ride(protein: Protein, backbone: NDArray[np.floating]) -> Protein:
    """The protein on a new backbone, each side chain moved rigidly with its residue's N-CA-C frame (χ angles kept).

    N, CA, C and O are taken as given. OXT moves with the frame of CA, C, O, so that the carboxylate stays planar. A
    residue whose backbone did not change keeps every bit of its atoms. Clashes that arise are not resolved here.

    Args:
        protein: one replica, or as many as ``backbone`` has.
        backbone: (R, L, 4, 3) Å: N, CA, C, O.

    Returns:
        A ``Protein`` of R replicas with the same atoms.
    """
    replicas = backbone.shape[0]
    assert backbone.shape[1:] == (len(protein), 4, 3), backbone.shape
    assert protein.replicas in (1, replicas), (protein.replicas, replicas)
    new32 = np.asarray(backbone, np.float32)
    old32 = np.broadcast_to(protein.coords, (replicas, *protein.coords.shape[1:]))
    old_oxt = np.broadcast_to(protein.oxt, (replicas, *protein.oxt.shape[1:]))
    old, new = torch.from_numpy(old32.astype(np.float64)), torch.from_numpy(new32.astype(np.float64))

    rot_old, rot_new = frames(*old[..., :3, :].unbind(-2)), frames(*new[..., :3, :].unbind(-2))
    local = to_local(rot_old[..., None, :, :], old[..., 1:2, :], old[..., 4:, :])
    side = to_global(rot_new[..., None, :, :], new[..., 1:2, :], local).numpy().astype(np.float32)

    carboxyl_old, carboxyl_new = frames(*old[..., 1:4, :].unbind(-2)), frames(*new[..., 1:4, :].unbind(-2))
    oxt_local = to_local(carboxyl_old, old[..., 2, :], torch.from_numpy(old_oxt.astype(np.float64)))
    oxt = to_global(carboxyl_new, new[..., 2, :], oxt_local).numpy().astype(np.float32)

    coords = np.concatenate((new32, side), axis=-2)
    coords = np.where(protein.mask[None, :, :, None], coords, np.float32(0))
    same = (coords[..., :4, :] == old32[..., :4, :]).all((-1, -2))
    coords = np.where(same[..., None, None], old32, coords)
    oxt = np.where(same[..., None], old_oxt, oxt)
    oxt = np.where(protein.oxt_mask[None, :, None], oxt, np.float32(0))
    return protein.with_coords(coords, oxt=oxt)
