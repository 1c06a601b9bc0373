"""Error estimate of each residue and the 0–100 confidence of the B column."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import erf

from refine.structure.geometry import superpose

CUTOFFS = (0.5, 1.0, 2.0, 4.0)
FLOOR = 0.3
"""Å, error below which no residue is claimed to lie: about the coordinate error of a 2 Å crystal structure."""


def rmsf(ca: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean square fluctuation (L,) Å of CA positions (F, L, 3) about their mean, all laid onto the first snapshot."""
    frames = torch.from_numpy(np.ascontiguousarray(ca, dtype=np.float32))
    rot, shift = superpose(frames, frames[:1].expand_as(frames))
    laid = frames @ rot.transpose(-1, -2) + shift.unsqueeze(-2)
    return ((laid - laid.mean(0)) ** 2).sum(-1).mean(0).sqrt().numpy()


def displacement(model: NDArray[np.float32], start: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance (L,) Å between CA positions (L, 3) of the model and of the start after superposition."""
    fixed, mobile = torch.from_numpy(start.copy()), torch.from_numpy(model.copy())
    rot, shift = superpose(mobile, fixed)
    return (mobile @ rot.T + shift - fixed).norm(dim=-1).numpy()


def predicted_error(spread: NDArray[np.float32], moved: NDArray[np.float32]) -> NDArray[np.float32]:
    """Error (L,) Å from the replicas' spread and the displacement from the input, both (L,) Å.

    sqrt(floor² + spread² + moved²): where the replicas disagree or the input was left far behind, little is certain.
    Not calibrated against natives.
    """
    return np.sqrt(FLOOR**2 + spread**2 + moved**2).astype(np.float32)


def confidence(error: NDArray[np.float32]) -> NDArray[np.float32]:
    """Confidence (L,) in 0–100 of errors (L,) Å.

    100 × mean over ``CUTOFFS`` of the probability that a residue lies within the cutoff when its error vector is an
    isotropic Gaussian of that root mean square length (Maxwell distribution): an expected GDT-HA-like share.
    """
    sigma = np.maximum(error, 1e-6)[:, None] / np.sqrt(3.0)
    x = np.asarray(CUTOFFS)[None] / sigma
    within = erf(x / np.sqrt(2.0)) - np.sqrt(2.0 / np.pi) * x * np.exp(-(x**2) / 2.0)
    return (100.0 * within.mean(-1)).astype(np.float32)


def b_factors(error: NDArray[np.float32]) -> NDArray[np.float32]:
    """Crystallographic B factors (L,) Å² of errors (L,) Å: 8 π² / 3 · error², at most 999."""
    return np.minimum(8.0 * np.pi**2 / 3.0 * error**2, 999.0).astype(np.float32)
