"""Evidence for all pairs at once: distograms (npz) and expected position errors (AlphaFold's PAE, json)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.errors import InputError
from refine.evidence.pairs import DENSITY, GRID_POINTS, GRID_START, GRID_STEP, STUDENT, Pairs
from refine.structure.protein import Protein

APART = 3
"""Residues along the chain from which on a pair says more than the bonds between."""
BUDGET = 4.0
"""Sum of the weights of the pairs of one residue: entries of a matrix are not independent measurements."""
KNOWN = 0.5
"""Least probability of a distance within the bins; the last bin means "farther"."""
PAE_MOST, PAE_REACH, PAE_LEAST = 5.0, 20.0, 0.5
"""Å: largest expected error and distance of pairs that are held together, and the least sigma."""
SAME = 0.5
"""Å between a distogram and the input (median) below which it is taken for the one the input was made from."""
_PAE_KEYS = ("predicted_aligned_error", "pae")


def distogram(path: Path, protein: Protein, name: str) -> tuple[Pairs, float]:
    """Rows of ``logits`` or ``probabilities`` (L, L, B) with ``bin_edges`` (B − 1,) Å, the first and last bin open, as
    AlphaFold and rpdd.npz have them; distances between CB, of glycine CA. Also the median Å by which its most likely
    distances differ from ``protein``.

    Raises:
        InputError: it cannot be read, has other arrays, or is of another number of residues.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in ("logits", "probabilities", "bin_edges") if key in file}
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot read the distogram: {error}", remedy="Give an npz file") from error
    logits, edges = _logits(arrays), arrays.get("bin_edges")
    length = len(protein)
    if logits is None or edges is None:
        raise InputError("a distogram has the arrays logits (or probabilities) and bin_edges")
    if logits.ndim != 3 or logits.shape[:2] != (length, length) or edges.shape != (logits.shape[2] - 1,):
        raise InputError(f"arrays of shape {logits.shape} and {edges.shape} do not fit {length} residues")
    if not (np.isfinite(logits).all() and (np.diff(edges) > 0).all()):
        raise InputError("the logits hold values that are no numbers, or the bin edges do not ascend")
    i, j = _apart(protein)
    both = 0.5 * (logits[i, j].astype(np.float64) + logits[j, i])
    log_p = both - np.logaddexp.reduce(both, axis=1, keepdims=True)
    known = 1.0 - np.exp(log_p[:, -1]) >= KNOWN
    i, j, log_p = i[known], j[known], log_p[known]
    energy, best, sigma = _splined(log_p, edges.astype(np.float64))
    glycine = np.array([aa == "G" for aa in protein.sequence])
    slot = np.where(glycine, 1, 4)
    pairs = matrix_rows(
        "distogram", np.stack((i, j), 1), np.stack((slot[i], slot[j]), 1), best, sigma, length, name, energy
    )
    now = pairs.measured(protein)
    return pairs, float(np.median(np.abs(now - best))) if len(pairs) else float("inf")


def _logits(arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any] | None:
    if "logits" in arrays or "probabilities" not in arrays:
        return arrays.get("logits")
    with np.errstate(invalid="ignore"):
        logits: NDArray[Any] = np.log(np.maximum(arrays["probabilities"].astype(np.float64), 1e-9))
    return logits


def _apart(protein: Protein) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs i < j that are ``APART`` residues or more from each other, or not of one chain."""
    i, j = np.triu_indices(len(protein), 1)
    chain = np.unique([r.chain for r in protein.residue_ids], return_inverse=True)[1]
    keep = (j - i >= APART) | (chain[i] != chain[j])
    return i[keep], j[keep]


def _splined(
    log_p: NDArray[np.float64], edges: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """−ln of the density (K, 64) on the grid, its most likely distance (K,) and the spread about it (K,), Å."""
    width = np.diff(edges)
    middles = np.concatenate(([edges[0] - 0.5 * width[0]], edges[:-1] + 0.5 * width))  # the last, open bin has none
    from scipy.interpolate import CubicSpline  # slow to import, and only distograms need it

    density = log_p[:, :-1] - np.log(np.concatenate((width[:1], width)))
    grid = GRID_START + GRID_STEP * np.arange(GRID_POINTS)
    inside = np.clip(grid, middles[0], middles[-1])
    energy = -CubicSpline(middles, density, axis=1)(inside) if len(density) else np.zeros((0, GRID_POINTS))
    p = np.exp(-(energy - energy.min(1, keepdims=True)))
    best = grid[energy.argmin(1)] if len(energy) else np.zeros(0)
    spread = np.sqrt((p * (grid - best[:, None]) ** 2).sum(1) / p.sum(1))
    return energy, best, np.clip(spread, 0.25, 10.0)


def pae(path: Path, protein: Protein, name: str) -> Pairs:
    """Pairs of CA that are expected to lie right relative to one another, held at their distance in ``protein`` by
    their error: of AlphaFold's json, with the matrix as ``predicted_aligned_error`` or ``pae``, or as the lists
    ``residue1``, ``residue2``, ``distance``.

    Raises:
        InputError: it cannot be read, has no such matrix, or is of another number of residues.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the expected errors: {error}", remedy="Give AlphaFold's json") from error
    matrix = _pae_matrix(content[0] if isinstance(content, list) and content else content)
    length = len(protein)
    if matrix.shape != (length, length):
        shape = " by ".join(map(str, matrix.shape))
        raise InputError(
            f"expected errors of {shape} for {length} residues",
            remedy="Give those of the same model, residue by residue",
        )
    if not (np.isfinite(matrix).all() and (matrix >= 0).all()):
        raise InputError("expected errors must be numbers of 0 or more")
    i, j = _apart(protein)
    expected = 0.5 * (matrix[i, j] + matrix[j, i])
    slot = np.ones((len(i), 2), np.int64)
    pairs = matrix_rows(
        "pae", np.stack((i, j), 1), slot, np.ones(len(i)), np.maximum(expected, PAE_LEAST), length, name
    )
    now = pairs.measured(protein)
    near = (expected <= PAE_MOST) & (now <= PAE_REACH)
    chosen, held = np.stack((i, j), 1)[near], now[near]
    return matrix_rows("pae", chosen, slot[near], held, np.maximum(expected[near], PAE_LEAST), length, name)


def _pae_matrix(content: Any) -> NDArray[np.float64]:
    problem = InputError(f"there is no matrix of expected errors, as {' or '.join(_PAE_KEYS)}")
    if not isinstance(content, Mapping):
        raise problem
    key = next((k for k in _PAE_KEYS if k in content), None)
    try:
        if key is not None:
            matrix = np.array(content[key], np.float64)
        else:
            first, second, values = (np.array(content[k]) for k in ("residue1", "residue2", "distance"))
            matrix = np.full((int(first.max()), int(second.max())), np.nan)
            matrix[first - 1, second - 1] = values
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise problem from error
    if matrix.ndim != 2:
        raise problem
    return matrix


def matrix_rows(
    kind: str, residue: NDArray[np.int64], slot: NDArray[np.int64], best: NDArray[np.float64],
    sigma: NDArray[np.float64], length: int, name: str, density: NDArray[np.float64] | None = None,
) -> Pairs:  # fmt: skip
    """K pairs of a matrix or a whole structure, with weights that sum to ``BUDGET`` for a residue, and at most 1.

    Args:
        residue, slot: (K, 2); best, sigma: (K,) Å; length: residues of the protein; density: (K, 64) of a distogram.
    """
    count = len(residue)
    weight = min(1.0, BUDGET * length / (2.0 * max(count, 1)))
    return Pairs(
        residue, slot, best, best, sigma, np.full(count, weight),
        np.full(count, STUDENT if density is None else DENSITY),
        np.zeros((0, GRID_POINTS)) if density is None else density,
        np.zeros(count, np.int64), np.zeros(count, np.int64), (name,), (kind,) * count,
    )  # fmt: skip
