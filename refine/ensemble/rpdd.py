"""Residue-pair distance distributions (RPDD): marginals of the ensemble that the propagation visits.

Bins are those of AlphaFold's distogram: 64 bins, 63 edges from 2.3125 to 21.6875 Å, the first and the last open.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from refine.structure.geometry import virtual_cb

BINS = 64
BIN_EDGES: NDArray[np.float32] = np.linspace(2.3125, 21.6875, BINS - 1, dtype=np.float32)
LONGEST_DENSE = 1000
"""Residues up to which histograms are kept; longer proteins get mean and deviation only (64 L² numbers would not fit)."""


@dataclasses.dataclass(frozen=True)
class RPDD:
    """Pair distances of one ensemble between CB atoms (CA for glycine).

    Attributes:
        mean, std: (L, L) float32 Å over the ensemble; symmetric, zero diagonal.
        counts: (L, L, 64) uint16 snapshots per bin, or None above ``LONGEST_DENSE`` residues.
        frames: number of snapshots.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    counts: NDArray[np.uint16] | None
    frames: int

    @property
    def distogram(self) -> NDArray[np.float32] | None:
        """(L, L, 64) probabilities, summing to 1 over the bins; plain frequencies, nothing smoothed or learned."""
        return None if self.counts is None else self.counts.astype(np.float32) / np.float32(self.frames)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What ``rpdd.npz`` holds.

        ``bin_edges`` (63,) Å and ``distogram`` (L, L, 64) as AlphaFold names them; ``mean`` and ``std`` (L, L) Å; ``frames`` ().
        """
        found: dict[str, NDArray[np.generic]] = {
            "bin_edges": BIN_EDGES,
            "mean": self.mean,
            "std": self.std,
            "frames": np.array(self.frames),
        }
        distogram = self.distogram
        if distogram is not None:
            found["distogram"] = distogram.astype(np.float16)
        return found


def reference_points(backbone: NDArray[np.float32], sequence: str) -> NDArray[np.float32]:
    """Points (F, L, 3) Å between which distances are measured: ideal CB, for glycine CA.

    Args:
        backbone: (F, L, 4, 3) Å, N, CA, C, O.
        sequence: L one-letter codes.
    """
    n, ca, c = (torch.from_numpy(np.ascontiguousarray(backbone[:, :, k], dtype=np.float32)) for k in range(3))
    glycine = torch.tensor([aa == "G" for aa in sequence])
    return torch.where(glycine[None, :, None], ca, virtual_cb(n, ca, c)).numpy()


def pair_distances(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(L, L) Å of points (L, 3)."""
    delta = points[:, None] - points[None]
    return np.sqrt(np.einsum("ijk,ijk->ij", delta, delta), dtype=np.float32)


def rpdd(backbone: NDArray[np.float32], sequence: str) -> RPDD:
    """Distance distributions of an ensemble.

    Args:
        backbone: (F, L, 4, 3) Å, F snapshots of the same protein, equally weighted; no superposition is needed.
        sequence: L one-letter codes.

    Does not weight snapshots by their energy: the propagation visits them with their own frequency.
    """
    points = reference_points(backbone, sequence)
    frames, length = points.shape[:2]
    total, square = np.zeros((length, length)), np.zeros((length, length))
    counts = np.zeros((length, length, BINS), np.uint16) if length <= LONGEST_DENSE else None
    rows, columns = np.indices((length, length), sparse=True)
    for frame in points:
        distance = pair_distances(frame)
        total += distance
        square += distance.astype(np.float64) ** 2
        if counts is not None:
            counts[rows, columns, np.searchsorted(BIN_EDGES, distance, side="right")] += 1
    mean = total / frames
    std = np.sqrt(np.maximum(square / frames - mean**2, 0.0))
    return RPDD(mean.astype(np.float32), std.astype(np.float32), counts, frames)
