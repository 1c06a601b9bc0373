"""Calibration tables: models of few parameters of lDDT, error, pair distances and change, fitted where natives exist.

They are made by ``python benchmarks/ensemble_calibration.py --fit`` and belong to one set of trained networks.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.accuracy.features import Features
from refine.errors import ModelError
from refine.files import file_hash
from refine.networks.weights import MOVER_FILE, NEAR_NATIVE_FILE

TABLE = Path(__file__).resolve().parent / "tables" / "calibration.json"
FORMS = ("ensemble", "networks", "geometry")
"""What was at hand when the features were taken: networks and a run with its ensemble, networks alone, neither."""


@dataclasses.dataclass(frozen=True)
class Linear:
    """``offset`` + Σ weight · feature."""

    offset: float
    weights: Mapping[str, float]

    def __call__(self, features: Features) -> NDArray[np.float64]:
        """(L,) values."""
        return self.offset + np.sum(
            [w * np.asarray(features[name], np.float64) for name, w in self.weights.items()], axis=0
        )


@dataclasses.dataclass(frozen=True)
class Residues:
    """Of one residue: expected CA lDDT (0–1) and the natural log of its error in Å."""

    lddt: Linear
    log_error: Linear


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Of one pair: Student's t about ``mean + pull · (network's target − mean)`` with ``exp(log_scale)`` Å.

    Attributes:
        log_scale: linear in the features of ``pairs.pair_features``.
        pull: share of the way to the network's target, for pairs that it knows.
        freedom: degrees of freedom.
    """

    log_scale: Linear
    pull: float
    freedom: float


@dataclasses.dataclass(frozen=True)
class Change:
    """True change of CA lDDT of model 1 against the input = offset + room · r + curve · r², r = 1 − its expected lDDT.

    Right inputs cannot gain, and wrong folds are led astray: in between most is gained. The estimated change of a model
    has no part in it: beside the room it made what is expected of targets left out worse (benchmarks/LOG.md, 34).

    Attributes:
        deviation: standard deviation about that on predicted models left out of the fit.
        correlation: of what is expected and the true change there.
        targets: how many they were.
        widest: largest r in the fit; more counts as that.
        least: smallest estimated change of a model in the fit; of a model estimated lower nothing was measured.
    """

    offset: float
    room: float
    curve: float
    deviation: float
    correlation: float
    targets: int
    widest: float
    least: float


@dataclasses.dataclass(frozen=True)
class Calibration:
    """All tables, and the networks they belong to.

    Attributes:
        residues, pairs, change: by form; ``change`` has no form without networks, ``pairs`` no ``networks`` form.
        networks: sha256 of each prior by file name.
        source: the command that made them.
    """

    residues: Mapping[str, Residues]
    pairs: Mapping[str, Pairs]
    change: Mapping[str, Change]
    networks: Mapping[str, str]
    source: str

    def belongs_to(self, folder: Path | None) -> bool:
        """Whether it was fitted with the networks in ``folder``; without networks there is nothing to differ."""
        return folder is None or estimating_hashes(folder) == dict(self.networks)


def form_of(features: Features) -> str:
    """The form of ``FORMS`` that ``features`` suffice for."""
    if "expected" not in features:
        return "geometry"
    return "ensemble" if "start_expected" in features else "networks"


def network_hashes(folder: Path) -> dict[str, str]:
    """sha256 of the trained files in ``folder``."""
    return {p.name: file_hash(p) for p in sorted(folder.glob("*.safetensors"))}


def estimating_hashes(folder: Path) -> dict[str, str]:
    """sha256 of the networks in ``folder`` that estimates are made with: near-native read-out and mover only move."""
    moving = (NEAR_NATIVE_FILE, MOVER_FILE)
    return {name: value for name, value in network_hashes(folder).items() if name not in moving}


@functools.cache
def packaged() -> Calibration:
    """The calibration that travels with the package; raises ModelError when it cannot be read."""
    return read_calibration(TABLE)


def read_calibration(path: Path) -> Calibration:
    """A calibration of a file; raises ModelError when it cannot be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Calibration(
            residues={
                k: Residues(Linear(**v["lddt"]), Linear(**v["log_error"])) for k, v in values["residues"].items()
            },
            pairs={k: Pairs(Linear(**v["log_scale"]), v["pull"], v["freedom"]) for k, v in values["pairs"].items()},
            change={k: Change(**v) for k, v in values["change"].items()},
            networks=values["networks"],
            source=values["source"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"the calibration cannot be read: {error}", file=str(path), remedy="Install refine again"
        ) from error


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write a file that ``read_calibration`` reads; numbers are rounded to six figures."""
    path.write_text(json.dumps(_rounded(dataclasses.asdict(calibration)), indent=1) + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value
