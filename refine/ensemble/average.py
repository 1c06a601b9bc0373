"""The mean structure of an ensemble, nearer to the truth than its members on average (Mirjalili & Feig 2013)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from refine.structure.geometry import superpose, transformed


def average(backbone: NDArray[np.float32], *, anchored: bool = False) -> NDArray[np.float32]:
    """Mean (L, 4, 3) Å of snapshots (F, L, 4, 3), each laid onto the last one by its CA atoms.

    ``anchored`` snapshots share residues that never moved and are averaged where they are. Bonds come out a little
    short where the snapshots differ.
    """
    if anchored:
        return backbone.mean(0, dtype=np.float64).astype(np.float32)
    frames = torch.from_numpy(np.ascontiguousarray(backbone, dtype=np.float32))
    ca = frames[:, :, 1]
    rot, shift = superpose(ca, ca[-1:].expand_as(ca))
    return transformed(frames.flatten(1, 2), rot, shift).mean(0).reshape(frames.shape[1:]).numpy()
