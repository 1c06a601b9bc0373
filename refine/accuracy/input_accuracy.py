"""The confidence of a run's input: its own, from the input as it came, whatever the options of the run.

Ours is estimated from the numbers that the packaged networks and the geometry give (``features``). Where the file
brings its predictor's estimate, ours is one that was fitted on models of predictors, and both are combined:

    combined = σ(offset + w_ours · logit(ours) + w_file · logit(file))        w_ours, w_file ≥ 0

so that more of either is never less of the combined. Where the file gives none, ours stands alone, linear and fitted on
models of servers, as ``calibration`` has it for structures that no run has moved. The numbers are
fitted by benchmarks/confidence.py; an error in Å counts as the lDDT that residues with such an error have.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refine.accuracy.calibration import Linear, Residues
from refine.accuracy.confidence import LARGEST, SMALLEST, AccuracyEstimate
from refine.accuracy.features import Features, residue_features
from refine.energy.learned import AppliedNetworks
from refine.energy.system import System
from refine.errors import ModelError
from refine.networks.weights import DEFAULT_MODEL, Networks, load_networks
from refine.resources import models_dir
from refine.structure.file_estimate import FileEstimate
from refine.structure.protein import Protein

TABLE = Path(__file__).resolve().parent / "tables" / "input_accuracy.json"
CERTAIN = 0.985
"""Largest lDDT that an estimate is taken to mean, and 1 − the smallest, before its logit."""
OURS, COMBINED = "refine's own estimate", "refine's own estimate and the file's {} combined"


@dataclasses.dataclass(frozen=True)
class Expected:
    """Expected CA lDDT as the logistic function of ``lddt``, and the natural log of the error in Å."""

    lddt: Linear
    log_error: Linear


@dataclasses.dataclass(frozen=True)
class InputTable:
    """What ``benchmarks/confidence.py`` fits.

    Attributes:
        alone: of features, where the file gives nothing, lDDT linear; beside: where it gives its own estimate.
        combined: of ``ours`` and ``file``, logits of the expected lDDT, and of the log error of ``beside``.
        error_as_lddt: logit of the lDDT that residues have whose CA is off by a ``log_error``.
        networks: sha256 of each trained file by name; source, data, commit, settings: how it was made.
    """

    alone: Residues
    beside: Expected
    combined: Expected
    error_as_lddt: Linear
    networks: Mapping[str, str]
    source: str
    data: Mapping[str, Any]
    commit: str
    settings: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class InputAccuracy:
    """What is expected of the residues of an input.

    Attributes:
        ours, file, combined: (L,) 0–100, expected CA lDDT; ``file`` is NaN where the file gives nothing, and there
            ``combined`` is ours.
        error: (L,) Å, what the CA's distance from the native is expected to be.
        estimate: the file's own, as recognised.
    """

    ours: NDArray[np.float64]
    file: NDArray[np.float64]
    combined: NDArray[np.float64]
    error: NDArray[np.float64]
    estimate: FileEstimate

    @property
    def basis(self) -> str:
        """What the confidence comes from."""
        return COMBINED.format(self.estimate.name) if self.estimate.given else OURS

    @property
    def of_input(self) -> AccuracyEstimate:
        """Confidence and error of the input."""
        return AccuracyEstimate(self.combined.astype(np.float32), self.error.astype(np.float32), "input", self.basis)

    def of_model(self, model: AccuracyEstimate, start: AccuracyEstimate) -> AccuracyEstimate:
        """Those of a model: the input's, and the difference that the run's own estimates see between the model and the
        input, finished in the same way (``start``).
        """
        confidence = self.combined + model.confidence - start.confidence
        error = self.error * model.error / start.error
        return AccuracyEstimate(
            np.clip(confidence, 0.0, 100.0).astype(np.float32),
            np.clip(error, SMALLEST, LARGEST).astype(np.float32),
            model.form,
            self.basis,
        )

    @property
    def sentence(self) -> str:
        """For the terminal and the pages."""
        ours = f"refine's own {self.ours.mean():.0f}"
        return f"confidence of the input {self.combined.mean():.0f} ({ours}; {self.estimate.sentence})"

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Columns of per_residue.csv, (L,) each, the same for all structures of a run."""
        return {
            "input_confidence": self.combined,
            "input_confidence_ours": self.ours,
            "input_confidence_file": self.file,
        }

    def facts(self) -> dict[str, Any]:
        """Plain values for run.json."""
        given = np.isfinite(self.file)
        return {
            "confidence": round(float(self.combined.mean()), 3),
            "ours": round(float(self.ours.mean()), 3),
            "file": round(float(self.file[given].mean()), 3) if given.any() else None,
            "basis": self.basis,
            "estimate": self.estimate.facts(),
        }


def input_accuracy(protein: Protein, estimate: FileEstimate, networks: Networks) -> InputAccuracy:
    """What is expected of an input.

    Args:
        protein: the input, repaired as without options, R = 1.
        estimate: the file's own.
        networks: the packaged ones (``confidence_networks``).
    """
    return expected(input_features(protein, networks), estimate, packaged_table())


def input_features(protein: Protein, networks: Networks) -> Features:
    """Features (L,) of an input, by name.

    Clashes are not among them: they tell models of servers from right ones, but any minimisation takes them away, and
    the confidence of the same fold would rise by it.
    """
    system = System.from_protein(protein, next(networks.priors[0].parameters()).device)
    coords = torch.from_numpy(protein.coords[:1, :, :4].copy()).to(system.device)
    return residue_features(system, coords, AppliedNetworks(networks, system))[0]


def confidence_networks(at_hand: Networks | None, device: str) -> Networks:
    """The packaged networks, by which every run judges its input: those ``at_hand`` where they are that, else loaded.

    Raises:
        ModelError: they cannot be read.
    """
    packaged = models_dir() / DEFAULT_MODEL
    if at_hand is not None and at_hand.folder.resolve() == packaged.resolve():
        return at_hand
    return load_networks(DEFAULT_MODEL, device)


def expected(features: Features, estimate: FileEstimate, table: InputTable) -> InputAccuracy:
    """What ``table`` expects by the features (L,) of an input and its file's estimate."""
    file = as_lddt(estimate, table.error_as_lddt)
    if estimate.given:
        ours, log_error = sigmoid(table.beside.lddt(features)), table.beside.log_error(features)
    else:
        ours, log_error = np.clip(table.alone.lddt(features), 0.0, 1.0), table.alone.log_error(features)
    combined, known = ours.copy(), np.isfinite(file)
    both = {"ours": logit(ours[known]), "file": logit(file[known]), "log_error": log_error[known]}
    combined[known] = sigmoid(table.combined.lddt(both))
    log_error[known] = table.combined.log_error(both)
    error = np.clip(np.exp(log_error), SMALLEST, LARGEST)
    return InputAccuracy(100.0 * ours, 100.0 * file, 100.0 * combined, error, estimate)


def as_lddt(estimate: FileEstimate, error_as_lddt: Linear) -> NDArray[np.float64]:
    """(L,) the file's own estimate on the scale of lDDT (0–1), NaN where there is none."""
    if estimate.kind != "error":
        return estimate.values
    return sigmoid(error_as_lddt({"log_error": np.log(np.clip(estimate.values, SMALLEST, LARGEST))}))


def logit(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(p / (1 − p)) of shares kept away from 0 and 1 by ``CERTAIN``."""
    kept = np.clip(share, 1.0 - CERTAIN, CERTAIN)
    return np.log(kept / (1.0 - kept))


def sigmoid(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(−x))."""
    return 0.5 * (1.0 + np.tanh(0.5 * value))


@functools.cache
def packaged_table() -> InputTable:
    """The table that travels with the package; raises ModelError when it cannot be read."""
    return read_table(TABLE)


def read_table(path: Path) -> InputTable:
    """A table of a file; raises ModelError when it cannot be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        alone, beside, combined = (
            (Linear(**values[k]["lddt"]), Linear(**values[k]["log_error"])) for k in ("alone", "beside", "combined")
        )
        rest = {k: values[k] for k in ("networks", "source", "data", "commit", "settings")}
        error_as_lddt = Linear(**values["error_as_lddt"])
        return InputTable(Residues(*alone), Expected(*beside), Expected(*combined), error_as_lddt, **rest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"the table of confidence cannot be read: {error}", file=str(path), remedy="Install refine again"
        ) from error
