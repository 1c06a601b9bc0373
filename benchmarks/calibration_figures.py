"""What estimates, pair distributions, rules for model 1 and verdicts are worth on targets with natives.

Part of benchmarks/ensemble_calibration.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from calibration_fits import (
    Believed,
    chosen_pairs,
    estimates,
    pair_sample,
    true_changes,
)
from calibration_targets import (
    Candidates,
    Measured,
    lowest_of,
    of_kind,
)
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr
from scipy.stats import t as student_t

from refine.accuracy.calibration import Change, Pairs
from refine.accuracy.verdict import verdict_of
from refine.bench.statistics import mean_interval

IN_REACH = 22.0
"""Å, pairs whose native distance lies within the histogram."""


def residue_figures(data: Sequence[Measured], believed: Sequence[Believed], kind: str) -> dict[str, float]:
    """Agreement of expected and true lDDT and error, over all residues and within and between targets."""
    p, y = (
        np.concatenate(v)
        for v in zip(*((b.lddt[kind], m.lddt[kind]) for m, b in zip(data, believed, strict=True)), strict=True)
    )
    every = np.concatenate([m.lddt_all[kind] for m in data])
    e, d = (
        np.concatenate(v)
        for v in zip(*((b.error[kind], m.distance[kind]) for m, b in zip(data, believed, strict=True)), strict=True)
    )
    raw = np.concatenate([1.0 / (1.0 + np.exp(-m.features[kind]["expected"])) for m in data])
    finite = np.isfinite(y)
    far = np.isfinite(d)
    means = np.array([(b.lddt[kind].mean(), np.nanmean(m.lddt[kind])) for m, b in zip(data, believed, strict=True)])
    within = [
        np.corrcoef(b.lddt[kind], np.nan_to_num(m.lddt[kind], nan=0.0))[0, 1]
        for m, b in zip(data, believed, strict=True)
    ]
    return {
        "targets": len(data),
        "residues": int(finite.sum()),
        "pearson_lddt_ca": float(np.corrcoef(p[finite], y[finite])[0, 1]),
        "pearson_lddt_all_atoms": float(np.corrcoef(p[finite], every[finite])[0, 1]),
        "mean_abs_error_lddt_ca": float(np.abs(p - y)[finite].mean()),
        "bias_lddt_ca": float((p - y)[finite].mean()),
        "mean_lddt_ca": float(y[finite].mean()),
        "network_pearson": float(np.corrcoef(raw[finite], y[finite])[0, 1]),
        "network_mean_abs_error": float(np.abs(raw - y)[finite].mean()),
        "network_bias": float((raw - y)[finite].mean()),
        "pearson_within_targets": float(np.mean(within)),
        "pearson_of_target_means": float(np.corrcoef(means.T)[0, 1]),
        "mean_abs_error_of_target_means": float(np.abs(means[:, 0] - means[:, 1]).mean()),
        "error_spearman": float(spearmanr(e[far], d[far])[0]),
        "error_log_ratio_median": float(np.median(np.log(e[far] / np.maximum(d[far], 0.05)))),
        "error_ase": float(1.0 - np.mean(np.abs(1 / (1 + (e[far] / 5) ** 2) - 1 / (1 + (d[far] / 5) ** 2)))),
        "error_ase_of_one_value": float(
            1.0 - np.mean(np.abs(1 / (1 + (np.median(d[far]) / 5) ** 2) - 1 / (1 + (d[far] / 5) ** 2)))
        ),
    }


def reliability(
    data: Sequence[Measured], believed: Sequence[Believed], kind: str, bins: int = 10
) -> dict[str, list[float]]:
    """Mean expected and true lDDT of tenths of the residues by expected lDDT."""
    p, y = (
        np.concatenate(v)
        for v in zip(*((b.lddt[kind], m.lddt[kind]) for m, b in zip(data, believed, strict=True)), strict=True)
    )
    p, y = p[np.isfinite(y)], y[np.isfinite(y)]
    parts = np.array_split(np.argsort(p), bins)
    return {"expected": [float(p[k].mean()) for k in parts], "true": [float(y[k].mean()) for k in parts]}


Distribution = Callable[[Measured, Believed], tuple[NDArray[np.float64], NDArray[np.float64], float]]
"""Location and scale of the pairs of ``chosen_pairs`` and degrees of freedom, infinite for a Gaussian."""


def ours(table: Pairs, form: str) -> Distribution:
    """The calibrated ensemble."""

    def at(m: Measured, b: Believed) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        s = pair_sample(m, b.error["average"], form, None)
        return (
            s.mean + table.pull * s.known * (s.target - s.mean),
            np.exp(np.clip(table.log_scale(s.features), -4, 4)),
            table.freedom,
        )

    return at


def bare(m: Measured, b: Believed) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The ensemble as it is: a Gaussian of its mean and deviation, 0.1 Å at least."""
    i, j = chosen_pairs(m)
    return m.mean[i, j].astype(np.float64), np.maximum(m.std[i, j].astype(np.float64), 0.1), np.inf


def fixed_width(data: Sequence[Measured]) -> Distribution:
    """First baseline: a Gaussian about the input's distances, one width of greatest likelihood."""
    squares = []
    for m in data:
        i, j = chosen_pairs(m)
        squares.append(float(((m.start[i, j] - m.truth[i, j]) ** 2).mean()))
    width = float(np.sqrt(np.mean(squares)))

    def at(m: Measured, b: Believed) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        i, j = chosen_pairs(m)
        return m.start[i, j].astype(np.float64), np.full(len(i), width), np.inf

    return at


def width_by_confidence(data: Sequence[Measured], believed: Sequence[Believed], bins: int = 10) -> Distribution:
    """Second baseline: the same with a width for each tenth of the pairs by the mean expected lDDT of both residues."""
    level, square, weight = [], [], []
    for m, b in zip(data, believed, strict=True):
        i, j = chosen_pairs(m)
        level.append(0.5 * (b.lddt["input"][i] + b.lddt["input"][j]))
        square.append((m.start[i, j] - m.truth[i, j]) ** 2)
        weight.append(np.full(len(i), 1.0 / len(i)))
    x, y, w = np.concatenate(level), np.concatenate(square), np.concatenate(weight)
    edges = np.quantile(x, np.linspace(0, 1, bins + 1)[1:-1])
    place = np.searchsorted(edges, x)
    widths = np.sqrt(np.bincount(place, y * w, bins) / np.bincount(place, w, bins))

    def at(m: Measured, b: Believed) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        i, j = chosen_pairs(m)
        conf = 0.5 * (b.lddt["input"][i] + b.lddt["input"][j])
        return m.start[i, j].astype(np.float64), widths[np.searchsorted(edges, conf)], np.inf

    return at


def pair_scores(m: Measured, b: Believed, distribution: Distribution) -> dict[str, float]:
    """Coverage of the 50 % and 90 % intervals and mean log-likelihood (nats) of one target's native distances."""
    location, scale, freedom = distribution(m, b)
    i, j = chosen_pairs(m)
    z = (m.truth[i, j] - location) / scale
    of = norm if np.isinf(freedom) else student_t(freedom)
    value = of.logpdf(z) - np.log(scale)
    near = m.truth[i, j] < IN_REACH
    scores = {}
    for label, keep in (("", np.ones_like(near)), ("_in_reach", near)):
        for share in (50, 90):
            scores[f"cover{share}{label}"] = float((np.abs(z) < of.ppf(0.5 + share / 200))[keep].mean())
        scores[f"log_likelihood{label}"] = float(value[keep].mean())
    return scores


def pair_figures(
    data: Sequence[Measured], believed: Sequence[Believed], distributions: Mapping[str, Sequence[Distribution]]
) -> dict[str, Any]:
    """Means over targets for each distribution, and of ours minus each baseline with 95 % bootstrap intervals.

    Args:
        distributions: name → one for each target, so that it may be one that did not see the target.
    """
    rows = {
        name: [pair_scores(m, b, d) for m, b, d in zip(data, believed, each, strict=True)]
        for name, each in distributions.items()
    }
    means: dict[str, Any] = {name: {k: float(np.mean([r[k] for r in of])) for k in of[0]} for name, of in rows.items()}
    for name in rows:
        if name == "ours":
            continue
        gain = mean_interval(
            np.array([a["log_likelihood"] - b["log_likelihood"] for a, b in zip(rows["ours"], rows[name], strict=True)])
        )
        means[name]["ours_minus_this_log_likelihood"] = dataclasses.astuple(gain)
    return means


LOWEST_REPLICA = "replica of lowest energy"
RULES: Mapping[str, Callable[[Candidates], Mapping[str, float]]] = {
    LOWEST_REPLICA: lambda c: lowest_of(of_kind(c, "replica")),
    "medoid of the largest cluster": lambda c: c.get("medoid 1", c["average"]),
    "average": lambda c: c["average"],
    "average of the largest cluster": lambda c: c.get("average 1", c["average"]),
    "lowest energy of all": lambda c: lowest_of(v for k, v in c.items() if k != "input"),
}
"""What may become model 1."""


def candidate_figures(data: Sequence[Measured]) -> dict[str, Any]:
    """Change against the input of what each rule would submit as model 1, engine only: mean, 95 % bootstrap interval,
    share improved.
    """
    figures: dict[str, Any] = {}

    def note(name: str, key: str, change: Callable[[Candidates], float]) -> None:
        values = np.array([change(m.candidates) for m in data])
        figures.setdefault(name, {})[key] = (*dataclasses.astuple(mean_interval(values)), float((values > 1e-9).mean()))

    for key in ("gdt_ha", "lddt_ca"):
        for name, rule in RULES.items():
            note(name, key, lambda c, rule=rule, key=key: rule(c)[key] - c["input"][key])
        note(
            "any replica (control)",
            key,
            lambda c, key=key: float(np.mean([v[key] for v in of_kind(c, "replica")])) - c["input"][key],
        )
        note("oracle", key, lambda c, key=key: max(v[key] for v in c.values()) - c["input"][key])
        note(
            "average minus replica of lowest energy",
            key,
            lambda c, key=key: c["average"][key] - RULES[LOWEST_REPLICA](c)[key],
        )
    return figures


def verdict_figures(
    data: Sequence[Measured], believed: Sequence[Believed], tables: Sequence[Change], model: str
) -> dict[str, Any]:
    """How often the verdict on ``model`` is right, by CA lDDT; tables: one for each target."""
    true = true_changes(data, model)
    estimated, room = estimates(believed, model)
    judgements = [verdict_of(x, r, t) for x, r, t in zip(estimated, room, tables, strict=True)]
    has_expectation = np.array([v.expected is not None for v in judgements])
    expected = np.array([v.expected for v in judgements if v.expected is not None])
    agreement = {
        "pearson_estimated_true": float(np.corrcoef(estimated, true)[0, 1]),
        "pearson_expected_true": float(np.corrcoef(expected, true[has_expectation])[0, 1]),
    }
    return count_verdicts([v.word for v in judgements], true) | agreement | {"mean_true": float(true.mean())}


def count_verdicts(words: Sequence[str], true: NDArray[np.float64]) -> dict[str, Any]:
    """Verdicts against what happened."""
    gained = np.asarray(true) > 0
    verdict = np.array(words)
    right = int(((verdict == "better") & gained).sum() + ((verdict == "no better") & ~gained).sum())
    definite = int((verdict != "uncertain").sum())
    return {
        "n": len(words),
        "said": {word: int((verdict == word).sum()) for word in ("better", "no better", "uncertain")},
        "definite_right": right,
        "definite": definite,
        "gained_among_better": int(((verdict == "better") & gained).sum()),
        "gained_among_no_better": int(((verdict == "no better") & gained).sum()),
        "gained_among_uncertain": int(((verdict == "uncertain") & gained).sum()),
        "gained": int(gained.sum()),
    }
