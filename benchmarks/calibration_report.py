"""The figures of a calibration as lines of text and as a plot.

Part of benchmarks/ensemble_calibration.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from calibration_figures import (
    IN_REACH,
)


def rounded(value: Any) -> Any:
    """Floats to four figures."""
    if isinstance(value, Mapping):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def summary(figures: Mapping[str, Any]) -> str:
    """The figures that decide, as text."""
    lines = []
    for name in ("tune_cross_validated", "check"):
        if name in figures:
            of = figures[name]
            lines.append(f"== {name}")
            lines += [
                residue_line(form, kind, r) for form, kinds in of["residues"].items() for kind, r in kinds.items()
            ]
            lines += [pair_line(kind, p) for kind, p in of["pairs"].items()]
            lines += [rule_line(rule, c) for rule, c in of["candidates"].items()]
            lines += [
                f"verdict {json.dumps(rounded(of['verdict']))}",
                f"sampling {json.dumps(rounded(of['sampling']))}",
            ]
    return "\n".join([*lines, f"{figures['cpu_seconds']} CPU s"])


def residue_line(form: str, kind: str, r: Mapping[str, float]) -> str:
    """Of one table and structure."""
    return (
        f"lDDT {form:9s} {kind:8s} r {r['pearson_lddt_ca']:.3f} (all atoms {r['pearson_lddt_all_atoms']:.3f},"
        f" within targets {r['pearson_within_targets']:.2f}, of means {r['pearson_of_target_means']:.2f})"
        f" mean error {r['mean_abs_error_lddt_ca']:.3f} bias {r['bias_lddt_ca']:+.3f}"
        f" | network alone r {r['network_pearson']:.3f} mean error {r['network_mean_abs_error']:.3f}"
        f" bias {r['network_bias']:+.3f} | error in Å: rank correlation {r['error_spearman']:.2f},"
        f" ASE {r['error_ase']:.3f} (one value for all {r['error_ase_of_one_value']:.3f})"
    )


def pair_line(kind: str, p: Mapping[str, Any]) -> str:
    """Of one distribution of the pairs."""
    gain = p.get("ours_minus_this_log_likelihood")
    return (
        f"pairs {kind:46s} cover50 {p['cover50']:.3f} cover90 {p['cover90']:.3f}"
        f" log-likelihood {p['log_likelihood']:.3f}; below {IN_REACH:.0f} Å {p['cover50_in_reach']:.3f}"
        f" {p['cover90_in_reach']:.3f} {p['log_likelihood_in_reach']:.3f}"
        + (f"; ours better by {gain[0]:.3f} ({gain[1]:.3f} … {gain[2]:.3f})" if gain else "")
    )


def rule_line(rule: str, c: Mapping[str, Sequence[float]]) -> str:
    """Of one rule for model 1."""
    parts = []
    for key, label, factor in (("gdt_ha", "GDT-HA", 1), ("lddt_ca", "lDDT CA × 100", 100)):
        mean, low, high, share = c[key]
        parts.append(f"{label} {factor * mean:+.2f} ({factor * low:+.2f} … {factor * high:+.2f}) {100 * share:.0f} %")
    return f"model 1: {rule:40s} {'; '.join(parts)}"


def plot(figures: Mapping[str, Any], path: Path, model: str) -> None:
    """Reliability of the confidence: expected against true lDDT of tenths of the residues."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    halves = [name for name in ("tune_cross_validated", "check") if name in figures]
    figure, axes = plt.subplots(1, len(halves), figsize=(4.6 * len(halves), 4.4), squeeze=False)
    for ax, name in zip(axes[0], halves, strict=True):
        ax.plot((30, 100), (30, 100), color="0.7", linewidth=1, label="perfect")
        for kind, colour, marker in (("input", "#1f77b4", "o"), (model, "#d62728", "s")):
            r = figures[name]["reliability"][kind]
            label = "input" if kind == "input" else f"after the engine ({kind})"
            ax.plot(
                100 * np.array(r["expected"]),
                100 * np.array(r["true"]),
                color=colour,
                marker=marker,
                markersize=4,
                label=label,
            )
        n = figures[name]["residues"]["ensemble"]["input"]
        title = "tune, left out of the fit" if name.startswith("tune") else "check, never fitted"
        worth = f"r = {n['pearson_lddt_ca']:.2f}, mean error {100 * n['mean_abs_error_lddt_ca']:.1f}"
        ax.set_title(f"{title}: {n['targets']} targets, {n['residues']} residues\n{worth}", fontsize=9)
        ax.set(
            xlabel="confidence (tenths of the residues)",
            ylabel="true CA lDDT × 100",
            xlim=(25, 100),
            ylim=(25, 100),
            aspect="equal",
        )
        ax.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
