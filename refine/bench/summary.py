"""From results to the summary: changes against the start by method, intervals, pairs, strata and the oracle."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.bench.metrics import BY_KEY, MAIN, METRICS, Metric
from refine.bench.result import DONE, Result
from refine.bench.statistics import Interval, mean_interval, median_interval, paired

START = "start"
BAD_LOSS = 2.0
"""A loss of more than this many points of GDT-HA is a spoiled target."""
QUALITY_BINS = (0.0, 40.0, 55.0, 70.0, 100.1)
LENGTH_BINS = (0, 100, 150, 200, 100_000)
STRATA_METRICS = ("oligo_gdtha", "bb_lddt")

Rows = Mapping[str, Mapping[str, float]]
"""Target → its row of metrics."""


@dataclasses.dataclass(frozen=True)
class Results:
    """All results of a benchmark, by method in the order of the tables.

    Attributes:
        by_method: method → its results, failed ones included.
    """

    by_method: Mapping[str, Sequence[Result]]

    @classmethod
    def of(cls, results: Sequence[Result]) -> Results:
        grouped: dict[str, list[Result]] = {}
        for result in results:
            grouped.setdefault(result.method, []).append(result)
        return cls(grouped)

    def rows(self, method: str, model: int = 1) -> Rows:
        """Rows of one model of a method, of the targets that have it; a metric that is not a number is NaN."""
        rows = {}
        for result in self.by_method.get(method, ()):
            if result.status == DONE and len(result.models) >= model:
                row = result.models[model - 1]
                rows[result.target] = {
                    key: float("nan") if row.get(key) is None else float(row[key]) for key in (*BY_KEY, "move")
                }
        return rows

    def lengths(self) -> dict[str, int]:
        return {r.target: r.residues for results in self.by_method.values() for r in results if r.status == DONE}

    def best_rows(self, method: str, metric: Metric = MAIN) -> Rows:
        """The best model of each target by its native: the oracle."""
        best: dict[str, Mapping[str, float]] = {}
        for model in range(1, 1 + max((len(r.models) for r in self.by_method.get(method, ())), default=0)):
            for target, row in self.rows(method, model).items():
                if target not in best or metric.sign * (row[metric.key] - best[target][metric.key]) > 0:
                    best[target] = row
        return best


def changes(rows: Rows, start: Rows, key: str) -> dict[str, float]:
    """Change of a metric against the start, of the targets where both are numbers."""
    differences = {target: row[key] - start[target][key] for target, row in rows.items() if target in start}
    return {target: value for target, value in differences.items() if np.isfinite(value)}


def summarise(results: Results, against: str = "ours") -> dict[str, Any]:
    """The summary as plain values; see ``method_summary``. Pairs compare ``against`` with every other method."""
    start = results.rows(START)
    methods = {name: method_summary(results, name, start) for name in results.by_method}
    others = [name for name in results.by_method if name != against]
    pairs = [pair_summary(results, against, other) for other in others] if against in results.by_method else []
    oracle = {name: oracle_summary(results, name, start) for name in results.by_method if has_several(results, name)}
    return {"methods": methods, "paired": pairs, "oracle": oracle}


def has_several(results: Results, method: str) -> bool:
    return any(len(r.models) > 1 for r in results.by_method[method])


def method_summary(results: Results, method: str, start: Rows) -> dict[str, Any]:
    """Of model 1 of a method: how many, what it cost, and every metric against the start; strata by start quality and
    length.
    """
    attempted = results.by_method[method]
    done, rows = [r for r in attempted if r.status == DONE], results.rows(method)
    flags = collections.Counter(flag for r in done for flag in r.details.get("flags", ())[:1])
    return {
        "kind": attempted[0].kind,
        "n": len(done),
        "failed": len(attempted) - len(done),
        "seconds_mean": _mean([r.seconds for r in done]),
        "seconds_median": float(np.median([r.seconds for r in done])) if done else None,
        "cpu_seconds_mean": _mean([r.cpu_seconds for r in done]),
        "move_mean": _mean([row["move"] for row in rows.values()]),
        "verdict_better_percent": _percent([r.details.get("verdict_better") for r in done]),
        "finishing_flags": dict(sorted(flags.items())),
        "metrics": {metric.key: metric_summary(metric, rows, start) for metric in METRICS},
        "strata": strata(results.lengths(), rows, start) if method != START else [],
    }


def metric_summary(metric: Metric, rows: Rows, start: Rows) -> dict[str, Any]:
    """Level and change of one metric: intervals, share improved, worst target."""
    change = changes(rows, start, metric.key)
    delta = np.array(list(change.values()))
    gain = metric.sign * delta
    worst = min(change, key=lambda t: metric.sign * change[t]) if change else None
    return {
        "n": len(delta),
        "start_mean": _mean([start[t][metric.key] for t in change]),
        "mean": _mean([rows[t][metric.key] for t in change]),
        "delta_mean": interval(mean_interval(delta)),
        "delta_median": interval(median_interval(delta)),
        "improved_percent": float(100 * (gain > 1e-9).mean()) if len(gain) else None,
        "worst_loss": float(metric.sign * gain.min()) if len(gain) else None,
        "worst_target": worst,
        "worse_than_2_percent": float(100 * (gain < -BAD_LOSS).mean())
        if len(gain) and metric.key.startswith("oligo_gdt")
        else None,
    }


def pair_summary(results: Results, first: str, second: str) -> dict[str, Any]:
    """Two methods on the targets both have, every metric."""
    a, b = results.rows(first), results.rows(second)
    both = [t for t in a if t in b]
    tests = {}
    for metric in METRICS:
        x, y = (np.array([rows[t][metric.key] for t in both]) for rows in (a, b))
        measured = np.isfinite(x) & np.isfinite(y)
        test = paired(x[measured], y[measured])
        tests[metric.key] = {
            "n": test.n,
            "difference_mean": interval(test.difference),
            "wilcoxon_p": _known(test.wilcoxon_p),
            "bootstrap_p": _known(test.bootstrap_p),
        }
    return {"first": first, "second": second, "metrics": tests}


def oracle_summary(results: Results, method: str, start: Rows) -> dict[str, Any]:
    """The best of a method's models by its native: an upper bound of ranking, not a result."""
    most = max(len(r.models) for r in results.by_method[method])
    delta = np.array(list(changes(results.best_rows(method), start, MAIN.key).values()))
    return {"models": most, "chosen_by": MAIN.key, "n": len(delta), "delta_mean": interval(mean_interval(delta))}


def strata(lengths: Mapping[str, int], rows: Rows, start: Rows) -> list[dict[str, Any]]:
    """Changes by start quality and by length, in fixed bins; empty ones are left out."""
    quality = {t: start[t][MAIN.key] for t in rows if t in start}
    size = {t: float(lengths[t]) for t in rows if t in start}
    entries = []
    for by, of, bins in (("start_oligo_gdtha", quality, QUALITY_BINS), ("residues", size, LENGTH_BINS)):
        for low, high in zip(bins[:-1], bins[1:], strict=True):
            inside = {t: rows[t] for t, v in of.items() if low <= v < high}
            if inside:
                values = {key: _changed(inside, start, key) for key in STRATA_METRICS}
                entries.append(
                    {"by": by, "from": low, "to": high, "n": len(inside)}
                    | {k: interval(mean_interval(v)) for k, v in values.items()}
                )
    return entries


def _changed(rows: Rows, start: Rows, key: str) -> NDArray[np.float64]:
    return np.array(list(changes(rows, start, key).values()))


def interval(value: Interval) -> dict[str, float | None]:
    return {"value": _known(value.value), "low": _known(value.low), "high": _known(value.high)}


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _mean(values: Sequence[float]) -> float | None:
    numbers = [v for v in values if np.isfinite(v)]
    return float(np.mean(numbers)) if numbers else None


def _percent(values: Sequence[bool | None]) -> float | None:
    numbers = [v for v in values if v is not None]
    return 100 * sum(numbers) / len(numbers) if numbers else None
