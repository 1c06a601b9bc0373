"""Displacement of residues; the confidence (0–100) and expected error (Å) that the B column shows."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from refine.accuracy.calibration import Calibration, form_of
from refine.accuracy.features import Features
from refine.structure.geometry import superposed

SMALLEST, LARGEST = 0.2, 30.0
"""Å, between which every expected error lies; 0.2 is about the coordinate error of a 2 Å crystal structure."""


def displacement(model: NDArray[np.float32], start: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distance (L,) Å between CA positions (L, 3) of the model and of the start after superposition."""
    fixed, mobile = torch.from_numpy(start.copy()), torch.from_numpy(model.copy())
    return (superposed(mobile, fixed) - fixed).norm(dim=-1).numpy()


@dataclasses.dataclass(frozen=True)
class AccuracyEstimate:
    """What is expected of each residue of a structure.

    Attributes:
        confidence: (L,) 0–100, 100 × the expected CA lDDT; error: (L,) Å, what the CA's distance from the native is
            expected to be.
        form: of ``calibration.FORMS``, what it was estimated from, or ``input`` (``accuracy.input_accuracy``).
        basis: that in words, for the files that hold it.
    """

    confidence: NDArray[np.float32]
    error: NDArray[np.float32]
    form: str
    basis: str = "refine's own estimate"

    @property
    def overall(self) -> float:
        """Confidence of the whole structure, 0–100: the mean over residues."""
        return float(self.confidence.mean())


def estimate_accuracy(features: Features, calibration: Calibration) -> AccuracyEstimate:
    """Confidence and error from ``features`` by the table of their form."""
    form = form_of(features)
    table = calibration.residues[form]
    confidence = 100.0 * np.clip(table.lddt(features), 0.0, 1.0)
    error = np.clip(np.exp(table.log_error(features)), SMALLEST, LARGEST)
    return AccuracyEstimate(confidence.astype(np.float32), error.astype(np.float32), form)


def b_factors(error: NDArray[np.float32]) -> NDArray[np.float32]:
    """Crystallographic B factors (L,) Å² of errors (L,) Å: 8 π² / 3 · error², at most 999."""
    return np.minimum(8.0 * np.pi**2 / 3.0 * error**2, 999.0).astype(np.float32)
