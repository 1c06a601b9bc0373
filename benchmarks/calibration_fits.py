"""Tables of residues, pairs and changes fitted on measured targets, and estimates by tables that left a target out.

Part of benchmarks/ensemble_calibration.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from calibration_targets import (
    JUDGED,
    Measured,
    lowest_of,
    of_kind,
)
from numpy.typing import NDArray

from refine.accuracy.calibration import Change, Pairs, Residues
from refine.accuracy.features import START
from refine.accuracy.fit import PairSample, fit_change, fit_linear, fit_pairs
from refine.accuracy.pairs import pair_features

SEPARATION = 3
"""Residues along the chain from which on a pair counts: nearer ones have their distance from the bonds."""
_PLACE = ("burial", "burial_wide", "end", "ramachandran_near")
_LEARNED = (
    "expected", "expected_near", "log_distance_b_near", "likelihood_near", "disagreement",
    "judged", "judged_near", "judged_mean", *_PLACE,
)  # fmt: skip
_RUN = tuple(f"start_{name}" for name in START)
LDDT_NAMES = {"ensemble": (*_RUN, *_PLACE, "log_spread"), "networks": _LEARNED, "geometry": (*_PLACE, "ramachandran")}
PAIR_NAMES = {
    "ensemble": ("log_std", "log_error", "log_distance", "log_separation", "known", "known_log_scale"),
    "geometry": ("log_std", "log_error", "log_distance", "log_separation"),
}
FIT_PAIRS = 3000
"""Pairs of each target in the fit, drawn evenly; all are shown."""


@dataclasses.dataclass(frozen=True)
class Believed:
    """Estimates for one target: structure of ``JUDGED`` → (n,) expected CA lDDT (0–1) and error (Å)."""

    lddt: Mapping[str, NDArray[np.float64]]
    error: Mapping[str, NDArray[np.float64]]


def fit_residues(data: Sequence[Measured], form: str) -> Residues:
    """Tables of one form; the structures of a target count together as much as those of any other.

    The form ``networks`` is for structures that no run has moved, so it sees inputs alone.
    """
    names = LDDT_NAMES[form]
    kinds = JUDGED[:1] if form == "networks" else JUDGED
    features = [joined([m.features[kind] for kind in kinds]) for m in data]
    lddt = [np.concatenate([m.lddt[kind] for kind in kinds]) for m in data]
    error = [np.log(np.maximum(np.concatenate([m.distance[kind] for kind in kinds]), 0.2)) for m in data]
    return Residues(fit_linear(features, lddt, names), fit_linear(features, error, names))


def joined(parts: Sequence[Mapping[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    """Features of several structures one after the other."""
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def believe(table: Residues, m: Measured) -> Believed:
    """Estimates of a table for a target."""
    lddt = {kind: np.clip(table.lddt(m.features[kind]), 0.0, 1.0) for kind in JUDGED}
    return Believed(lddt, {kind: np.clip(np.exp(table.log_error(m.features[kind])), 0.2, 30.0) for kind in JUDGED})


def left_out(data: Sequence[Measured], natives: Sequence[Measured], form: str) -> list[Believed]:
    """Estimates for every target of ``data`` by tables fitted on the others, and on the natives where the form takes
    them.
    """
    return [
        believe(fit_residues([*(o for o in data if o is not m), *natives_of(natives, form)], form), m) for m in data
    ]


def natives_of(natives: Sequence[Measured], form: str) -> Sequence[Measured]:
    """The natives that the residue tables of a form are fitted on: a run's own tables got worse by them (LOG, 18)."""
    return natives if form == "networks" else ()


def pair_sample(m: Measured, error: NDArray[np.float64], form: str, most: int | None) -> PairSample:
    """The pairs of a target that count, evenly thinned to ``most``."""
    network = m.network if form == "ensemble" else None
    i, j = chosen_pairs(m, most)
    features = {k: v[i, j] for k, v in pair_features(m.mean, m.std, error, m.apart, network).items()}
    return PairSample(m.mean[i, j], m.truth[i, j], features, m.network.target[i, j], m.network.known[i, j])


def chosen_pairs(m: Measured, most: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices i < j of pairs at least ``SEPARATION`` apart whose native distance is known."""
    i, j = np.triu_indices(len(m.mean), 1)
    good = (m.apart[i, j] >= SEPARATION) & np.isfinite(m.truth[i, j])
    i, j = i[good], j[good]
    if most is None or len(i) <= most:
        return i, j
    take = np.linspace(0, len(i) - 1, most).round().astype(np.int64)
    return i[take], j[take]


def fit_all_pairs(data: Sequence[Measured], believed: Sequence[Believed], form: str) -> Pairs:
    """Table of pairs, with errors estimated by tables that did not see the target."""
    samples = [pair_sample(m, b.error["average"], form, FIT_PAIRS) for m, b in zip(data, believed, strict=True)]
    return fit_pairs(samples, PAIR_NAMES[form], networks=form == "ensemble")


def fit_changes(data: Sequence[Measured], believed: Sequence[Believed], model: str) -> Change:
    """Table of changes from the input to ``model``."""
    estimated, room = estimates(believed, model)
    natives = np.array([m.candidates["input"]["lddt_ca"] == 1.0 for m in data])
    return fit_change(estimated, room, true_changes(data, model), natives)


def estimates(believed: Sequence[Believed], model: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimated change and room of each target, the arguments of ``verdict.verdict_of``."""
    after, before = (np.array([b.lddt[kind].mean() for b in believed]) for kind in (model, "input"))
    return after - before, 1.0 - before


def true_changes(data: Sequence[Measured], model: str, key: str = "lddt_ca") -> NDArray[np.float64]:
    """Change of a whole-structure score from the input to a structure of ``JUDGED``, by target."""
    return np.array([closeness(m, model)[key] - m.candidates["input"][key] for m in data])


def closeness(m: Measured, model: str) -> Mapping[str, float]:
    """Scores of a structure of ``JUDGED``."""
    return lowest_of(of_kind(m.candidates, "replica")) if model == "replica" else m.candidates[model]
