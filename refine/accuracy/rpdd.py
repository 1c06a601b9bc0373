"""Residue-pair distance distributions (RPDD): marginals of the ensemble that the propagation visits.

Bins are those of AlphaFold's distogram: 64 bins, 63 edges from 2.3125 to 21.6875 Å, the first and the last open.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refine.accuracy.pairs import Predicted
from refine.structure.geometry import virtual_cb

BINS = 64
BIN_EDGES: NDArray[np.float32] = np.linspace(2.3125, 21.6875, BINS - 1, dtype=np.float32)
LONGEST_DENSE = 1000
"""Residues up to which histograms are kept; longer proteins get the parameters they follow from (64 L² numbers would
not fit).
"""
CONTACT = 8.0
"""Å between CB atoms (CA for glycine) below which two residues are in contact."""
LOGIT_STEP, LOWEST_LOGIT = 1.0 / 16.0, -12.0


@dataclasses.dataclass(frozen=True)
class RPDD:
    """Pair distances of one ensemble between CB atoms (CA for glycine).

    Attributes:
        mean, std: (L, L) float32 Å over the ensemble; symmetric, zero diagonal.
        counts: (L, L, 64) snapshots per bin, or None above ``LONGEST_DENSE`` residues.
        frames: number of snapshots; effective: how many independent ones they are worth.
        predicted: the calibrated distribution of the native's distances, None where none was made.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    counts: NDArray[np.unsignedinteger] | None
    frames: int
    effective: float = float("nan")
    predicted: Predicted | None = None

    @property
    def distogram(self) -> NDArray[np.float32] | None:
        """(L, L, 64) probabilities, summing to 1 over the bins: calibrated where that was done, else ``frequencies``.

        None above ``LONGEST_DENSE`` residues.
        """
        if self.predicted is None or self.counts is None:
            return self.frequencies
        return np.stack([bin_probabilities(self.predicted, row) for row in range(len(self.mean))])

    @property
    def frequencies(self) -> NDArray[np.float32] | None:
        """(L, L, 64) share of the snapshots in each bin; nothing smoothed or learned."""
        return None if self.counts is None else self.counts.astype(np.float32) / np.float32(self.frames)

    @property
    def contact(self) -> NDArray[np.float32] | None:
        """(L, L) probability of a distance below ``CONTACT`` Å; to the width of a bin where nothing is calibrated."""
        if self.predicted is not None:
            probability = self.predicted.below(CONTACT)
            np.fill_diagonal(probability, 1.0)
            return probability
        frequencies = self.frequencies
        return None if frequencies is None else frequencies[..., : 1 + int(np.searchsorted(BIN_EDGES, CONTACT))].sum(-1)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """What ``rpdd.npz`` holds.

        ``bin_edges`` (63,) Å and ``logits`` (L, L, 64) as in AlphaFold's ``distogram``: softmax gives the probabilities
        of the native's distance, in steps of 1/16. ``counts`` (L, L, 64) snapshots per bin. Above ``LONGEST_DENSE``
        residues neither is there: the ``location`` and ``scale`` (L, L) Å and ``freedom`` () of Student's t say the
        same. ``contact`` (L, L) probability below 8 Å; ``mean`` and ``std`` (L, L) Å of the ensemble, ``frames`` and
        ``effective`` ().
        """
        named: dict[str, NDArray[np.generic]] = {
            "bin_edges": BIN_EDGES,
            "mean": self.mean,
            "std": self.std,
            "frames": np.array(self.frames),
            "effective": np.array(self.effective),
        }
        if self.counts is not None:
            named["counts"] = self.counts
        contact = self.contact
        if contact is not None:
            named["contact"] = contact.astype(np.float16)
        if self.predicted is not None:
            named |= {"location": self.predicted.location, "scale": self.predicted.scale.astype(np.float16)}
            named["freedom"] = np.array(self.predicted.freedom)
            if self.counts is not None:
                named["logits"] = np.stack(
                    [_logits(bin_probabilities(self.predicted, row)) for row in range(len(self.mean))]
                )
        return named

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> RPDD:
        """What ``arrays`` gave; raises KeyError when a name is missing."""
        predicted = None
        if "location" in arrays:
            predicted = Predicted(
                arrays["location"].astype(np.float32), arrays["scale"].astype(np.float32), float(arrays["freedom"])
            )
        counts = arrays["counts"] if "counts" in arrays else None
        mean, std = arrays["mean"].astype(np.float32), arrays["std"].astype(np.float32)
        return cls(mean, std, counts, int(arrays["frames"]), float(arrays["effective"]), predicted)


def bin_probabilities(predicted: Predicted, row: int) -> NDArray[np.float32]:
    """(L, 64) of the pairs of residue ``row``; a residue is at distance 0 from itself."""
    location, scale = predicted.location[row, :, None], predicted.scale[row, :, None]
    below = predicted.cumulative((BIN_EDGES[None] - location) / scale)
    zero = predicted.cumulative(-location / scale)  # distances are positive
    below = np.clip((below - zero) / (1.0 - zero), 0.0, 1.0)
    below[row] = 1.0
    return np.diff(below, axis=-1, prepend=0.0, append=1.0).astype(np.float32)


def _logits(probabilities: NDArray[np.float32]) -> NDArray[np.float16]:
    """Logarithms in steps of ``LOGIT_STEP``: they compress to a fraction and change no probability by more than 3 %."""
    with np.errstate(divide="ignore"):
        values = np.maximum(np.log(probabilities), LOWEST_LOGIT)
    return (np.rint(values / LOGIT_STEP) * LOGIT_STEP).astype(np.float16)


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


def rpdd(backbone: NDArray[np.float32], sequence: str, effective: float = float("nan")) -> RPDD:
    """Distance distributions of an ensemble.

    Args:
        backbone: (F, L, 4, 3) Å, F snapshots of the same protein, equally weighted; no superposition is needed.
        sequence: L one-letter codes.
        effective: how many independent snapshots they are worth.

    Does not calibrate: see ``pairs.predict``. Does not weight snapshots by their energy: the propagation visits them as
    it does.
    """
    points = reference_points(backbone, sequence)
    frames, length = points.shape[:2]
    total, square = np.zeros((length, length)), np.zeros((length, length))
    counts = (
        np.zeros((length, length, BINS), np.uint8 if frames < 256 else np.uint16) if length <= LONGEST_DENSE else None
    )
    rows, columns = np.indices((length, length), sparse=True)
    for frame in points:
        distance = pair_distances(frame)
        total += distance
        square += distance.astype(np.float64) ** 2
        if counts is not None:
            counts[rows, columns, np.searchsorted(BIN_EDGES, distance, side="right")] += 1
    mean = total / frames
    std = np.sqrt(np.maximum(square / frames - mean**2, 0.0))
    return RPDD(mean.astype(np.float32), std.astype(np.float32), counts, frames, effective)
