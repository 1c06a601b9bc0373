"""Tables of a benchmark: tidy csv, and text for the terminal and the log of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refine.bench.manifest import Target
from refine.bench.metrics import BY_KEY, MAIN, METRICS, Metric
from refine.bench.result import DONE, Result
from refine.bench.summary import QUALITY_BINS
from refine.files import csv_text

TIDY = (
    "target",
    "method",
    "model",
    "kind",
    "status",
    "split",
    "residues",
    *BY_KEY,
    "move",
    "seconds",
    "cpu_seconds",
    "flag",
    "error",
)


def tidy_csv(results: Sequence[Result], targets: Sequence[Target]) -> str:
    """One line per target, method and model; a failed method has one line without numbers."""
    split = {target.name: target.split for target in targets}
    lines: list[tuple[Any, ...]] = []
    for r in results:
        for number, row in enumerate(r.models or ({},), start=1):
            flags = r.details.get("flags", ())
            error = r.error.splitlines()[0] if r.error else ""
            values = [row.get(key) for key in (*BY_KEY, "move")]
            head = (
                r.target,
                r.method,
                number if r.status == DONE else "",
                r.kind,
                r.status,
                split[r.target],
                r.residues or "",
            )
            flag = flags[number - 1] if number <= len(flags) else ""
            lines.append((*head, *("" if v is None else v for v in values), r.seconds, r.cpu_seconds, flag, error))
    return csv_text(TIDY, lines)


def markdown(summary: Mapping[str, Any]) -> str:
    """The main tables: methods by metric, pairs, oracle, strata."""
    parts = [main_table(summary), quality_table(summary), pair_table(summary)]
    parts += [oracle_lines(summary), strata_table(summary)]
    return "\n\n".join(part for part in parts if part) + "\n"


def change(metric: Metric, values: Mapping[str, Any], key: str = "delta_mean") -> str:
    """A change with its interval, marked * when the interval excludes 0."""
    interval = values[key]
    if interval["value"] is None:
        return "–"
    digits = metric.digits
    if interval["value"] == interval["low"] == interval["high"] == 0:
        return "0"
    if interval["low"] is None:
        return f"{interval['value']:+.{digits}f}"
    mark = "*" if interval["low"] > 0 or interval["high"] < 0 else ""
    return f"{interval['value']:+.{digits}f}{mark} [{interval['low']:+.{digits}f}, {interval['high']:+.{digits}f}]"


def main_table(summary: Mapping[str, Any]) -> str:
    """Accuracy against the native, model 1 only."""
    columns = [
        m
        for m in METRICS
        if m.key in ("oligo_gdtha", "oligo_gdtts", "tm_score", "bb_lddt", "lddt_no_stereochecks", "rmsd")
    ]
    head = [
        "method",
        "n",
        *(f"Δ {m.label}" for m in columns),
        "median Δ GDT-HA",
        "improved %",
        "worst",
        "worse than −2 %",
        "s/target",
        "CPU s",
    ]
    lines = []
    for name, of in summary["methods"].items():
        main = of["metrics"][MAIN.key]
        cells = [name, f"{of['n']}" + (f" ({of['failed']} failed)" if of["failed"] else "")]
        cells += [change(m, of["metrics"][m.key]) for m in columns]
        cells += [
            change(MAIN, main, "delta_median"),
            number(main["improved_percent"], 0),
            number(main["worst_loss"], 2, signed=True),
        ]
        cells += [
            number(main["worse_than_2_percent"], 0),
            number(of["seconds_mean"], 1),
            number(of["cpu_seconds_mean"], 1),
        ]
        lines.append(cells)
    return table(head, lines)


def quality_table(summary: Mapping[str, Any]) -> str:
    """Quality without a native: mean level of each method."""
    columns = [
        m
        for m in METRICS
        if m.key not in ("oligo_gdtha", "oligo_gdtts", "tm_score", "bb_lddt", "lddt_no_stereochecks", "rmsd")
    ]
    head = ["method", *(m.label for m in columns), "mean move (Å)"]
    lines = []
    for name, of in summary["methods"].items():
        levels = [number(of["metrics"][m.key]["mean"], m.digits if m.key != "lddt" else 4) for m in columns]
        lines.append([name, *levels, number(of["move_mean"], 2)])
    return "Mean levels, model 1:\n\n" + table(head, lines)


def metric_tables(summary: Mapping[str, Any]) -> dict[str, str]:
    """Every metric of each method but the start: levels, mean and median change, share improved, worst target."""
    head = ["metric", "start", "model 1", "n", "mean Δ", "median Δ", "improved %", "worst Δ", "of"]
    tables = {}
    for name, of in summary["methods"].items():
        if of["kind"] == "start":
            continue
        lines = []
        for m in METRICS:
            v = of["metrics"][m.key]
            cells = [m.label, number(v["start_mean"], m.digits), number(v["mean"], m.digits), str(v["n"])]
            cells += [change(m, v), change(m, v, "delta_median"), number(v["improved_percent"], 0)]
            lines.append([*cells, number(v["worst_loss"], m.digits, signed=True), v["worst_target"] or "–"])
        tables[name] = table(head, lines)
    return tables


def pair_table(summary: Mapping[str, Any]) -> str:
    """Paired tests on the main metric and Cα lDDT."""
    if not summary["paired"]:
        return ""
    lines = []
    for pair in summary["paired"]:
        for key in (MAIN.key, "bb_lddt"):
            of = pair["metrics"][key]
            cells = [
                pair["first"],
                pair["second"],
                BY_KEY[key].label,
                str(of["n"]),
                change(BY_KEY[key], of, "difference_mean"),
            ]
            lines.append([*cells, p_value(of["wilcoxon_p"]), p_value(of["bootstrap_p"])])
    return "Paired tests:\n\n" + table(
        ["method", "minus", "metric", "n", "mean difference", "Wilcoxon p", "bootstrap p"], lines
    )


def oracle_lines(summary: Mapping[str, Any]) -> str:
    """Best-of-N, apart from the results."""
    lines = []
    for name, of in summary["oracle"].items():
        best = f"best of {of['models']} of {name}: Δ GDT-HA {change(MAIN, of)} (n = {of['n']})"
        lines.append(f"ORACLE (picked with the native, no result): {best}")
    return "\n".join(lines)


def strata_table(summary: Mapping[str, Any]) -> str:
    """Mean change of GDT-HA by start quality and length."""
    columns = [name for name, of in summary["methods"].items() if of["strata"]]
    if not columns:
        return ""
    cells: dict[str, dict[str, str]] = {}
    for name in columns:
        for of in summary["methods"][name]["strata"]:
            cells.setdefault(stratum(of), {})[name] = f"{change(MAIN, of, MAIN.key)} (n = {of['n']})"
    lines = [[label, *(row.get(name, "–") for name in columns)] for label, row in cells.items()]
    return "Δ GDT-HA by start quality and length:\n\n" + table(["stratum", *columns], lines)


def stratum(of: Mapping[str, Any]) -> str:
    """Name of a stratum."""
    if of["by"] == "residues":
        return f"{of['from']}–{of['to'] - 1} residues" if of["to"] < 100_000 else f"≥ {of['from']} residues"
    top = "" if of["to"] >= QUALITY_BINS[-1] else f"–{of['to']:.0f}"
    return f"start GDT-HA {'≥ ' if not top else ''}{of['from']:.0f}{top}"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A markdown table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def number(value: float | None, digits: int, *, signed: bool = False) -> str:
    if value is None:
        return "–"
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"


def p_value(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"
