"""Residue-pair maps for the report: upper triangles of distances in steps of 0.01 Å, and histograms without their empty
bins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.accuracy.rpdd import BIN_EDGES, RPDD, pair_distances, reference_points
from refine.report.encode import in_steps, packed
from refine.structure.protein import Protein

STEP = 0.01
"""Å between two values of a map."""

LARGEST = 500
"""Points along a side of a map; longer proteins are averaged over blocks of residues and have no histograms in the
page.
"""


def pair_maps(rpdd: RPDD, start: NDArray[np.floating] | None, native: NDArray[np.floating] | None) -> dict[str, Any]:
    """What the page needs to draw the maps.

    Args:
        rpdd: of L residues.
        start, native: (L, L) Å distances of the input and of the native, NaN where unknown; None when there is none.

    Returns:
        ``length`` L, ``block`` residues to a point, ``points`` to a side, ``step`` Å, ``frames``; ``mean``, ``std``,
        ``start``, ``native`` and, where calibrated, ``location`` and ``scale`` of Student's t with ``freedom`` (uint16
        steps, 65535 unknown), ``contact`` (uint16 of 1e-4) as packed upper triangles, row by row; ``histograms`` of the
        snapshots packed as ``histogram_bytes`` says, ``edges`` Å.
    """
    length = len(rpdd.mean)
    block = -(-length // LARGEST)
    drawing: dict[str, Any] = {
        "length": length,
        "block": block,
        "points": -(-length // block),
        "step": STEP,
        "frames": rpdd.frames,
    }
    drawing["effective"] = int(min(rpdd.effective, rpdd.frames)) if np.isfinite(rpdd.effective) else None
    matrices = {"mean": rpdd.mean, "std": rpdd.std, "start": start, "native": native}
    if rpdd.predicted is not None:
        matrices |= {"location": rpdd.predicted.location, "scale": rpdd.predicted.scale}
        drawing["freedom"] = rpdd.predicted.freedom
    for name, matrix in matrices.items():
        if matrix is not None:
            drawing[name] = packed(in_steps(upper(in_blocks(matrix, block)), STEP, np.uint16))
    contact = rpdd.contact
    if contact is not None:
        drawing["contact"] = packed(in_steps(upper(in_blocks(contact, block)), 1e-4, np.uint16))
    if rpdd.counts is not None and block == 1:
        drawing["histograms"] = packed(histogram_bytes(upper(rpdd.counts) / np.float32(rpdd.frames)))
        drawing["edges"] = [round(float(edge), 4) for edge in BIN_EDGES]
    return drawing


def point_distances(protein: Protein) -> NDArray[np.floating]:
    """(L, L) Å between the points of the RPDD, NaN where a backbone lacks N, CA or C."""
    matrix = pair_distances(reference_points(protein.coords[:, :, :4], protein.sequence)[0])
    incomplete = ~protein.mask[:, :3].all(1)
    matrix[incomplete], matrix[:, incomplete] = np.nan, np.nan
    return matrix


def upper(matrix: NDArray[Any]) -> NDArray[Any]:
    """(P, …) of the pairs i < j of a matrix (L, L, …), row by row."""
    i, j = np.triu_indices(len(matrix), 1)
    return matrix[i, j]


def in_blocks(matrix: NDArray[np.floating], block: int) -> NDArray[np.floating]:
    """Means over blocks of ``block`` × ``block`` pairs, smaller ones at the end; NaN where nothing is known."""
    if block == 1:
        return matrix
    size = -(-len(matrix) // block) * block
    padded = np.full((size, size), np.nan)
    padded[: len(matrix), : len(matrix)] = matrix
    tiles = padded.reshape(size // block, block, size // block, block)
    finite = np.isfinite(tiles)
    count = finite.sum((1, 3))
    total = np.where(finite, tiles, 0.0).sum((1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def histogram_bytes(probability: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Histograms (P, B) as a stream: first used bin, number of bins n, then n probabilities in steps of 1/255, pair
    after pair.

    A bin whose probability is not 0 never becomes 0.
    """
    level = np.where(probability > 0, np.clip(np.rint(probability * 255), 1, 255), 0).astype(np.uint8)
    used = level > 0
    any_used = used.any(1)
    first = np.where(any_used, used.argmax(1), 0)
    count = np.where(any_used, used.shape[1] - used[:, ::-1].argmax(1) - first, 0)
    begin = np.concatenate(([0], np.cumsum(count + 2)))
    stream = np.zeros(int(begin[-1]), np.uint8)
    stream[begin[:-1]], stream[begin[:-1] + 1] = first, count
    row = np.repeat(np.arange(len(level)), count)
    within = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    stream[begin[row] + 2 + within] = level[row, first[row] + within]
    return stream
