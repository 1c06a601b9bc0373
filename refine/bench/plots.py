"""Plots of a benchmark as SVG text, for reports that work offline."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from refine.bench.metrics import MAIN
from refine.bench.result import DONE, Result
from refine.bench.summary import START, Results, changes
from refine.report.plots import figure

COLOURS = ("#0b6e4f", "#c8553d", "#3d5a80", "#8d6a9f", "#7a7a7a", "#b08900")
GAIN, LOSS = COLOURS[0], COLOURS[1]
SIZE = (5.2, 4.2)
"""Inches of a scatter plot."""


def svg(canvas: Figure) -> str:
    """The figure as an ``<svg>`` element; the same bytes for the same figure."""
    stream = io.StringIO()
    FigureCanvasSVG(canvas)
    with rc_context({"svg.hashsalt": "refine", "svg.fonttype": "none"}):
        canvas.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]


def before_after(results: Results, methods: Sequence[str]) -> str:
    """Scatter of every target: the start against each method's model 1."""
    canvas, (ax,) = figure(*SIZE)
    start = results.rows(START)
    for k, method in enumerate(methods):
        rows = results.rows(method)
        both = [t for t in rows if t in start]
        x, y = [start[t][MAIN.key] for t in both], [rows[t][MAIN.key] for t in both]
        ax.scatter(x, y, s=16, color=COLOURS[k % len(COLOURS)], label=method, alpha=0.75, zorder=3 - 0.01 * k)
    low, high = ax.get_xlim()
    ax.plot([low, high], [low, high], color="#999", linewidth=1, zorder=0)
    ax.set_xlabel(f"{MAIN.label} of the start")
    ax.set_ylabel(f"{MAIN.label} of model 1")
    ax.legend(frameon=False)
    return svg(canvas)


def sorted_bars(results: Results, method: str) -> str:
    """Change of every target, sorted."""
    change = changes(results.rows(method), results.rows(START), MAIN.key)
    names = sorted(change, key=change.__getitem__)
    values = [change[name] for name in names]
    canvas, (ax,) = figure(max(5.2, 0.13 * len(names)), 3.6)
    ax.bar(range(len(names)), values, color=[GAIN if v >= 0 else LOSS for v in values])
    ax.axhline(0, color="#333", linewidth=0.8)
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=6 if len(names) > 40 else 9)
    ax.set_ylabel(f"Δ {MAIN.label}, {method}")
    return svg(canvas)


def against_start(results: Results, methods: Sequence[str]) -> str:
    """Change against start quality."""
    canvas, (ax,) = figure(*SIZE)
    start = results.rows(START)
    for k, method in enumerate(methods):
        change = changes(results.rows(method), start, MAIN.key)
        x = [start[t][MAIN.key] for t in change]
        ax.scatter(
            x,
            list(change.values()),
            s=16,
            color=COLOURS[k % len(COLOURS)],
            label=method,
            alpha=0.75,
            zorder=3 - 0.01 * k,
        )
    ax.axhline(0, color="#333", linewidth=0.8)
    ax.set_xlabel(f"{MAIN.label} of the start")
    ax.set_ylabel(f"Δ {MAIN.label}")
    ax.legend(frameon=False)
    return svg(canvas)


def residues(start: Result, result: Result) -> str:
    """Along the chain of one target: CA distance from the native and lDDT, before and after."""
    canvas, (top, bottom) = figure(9.0, 4.6, 2)
    for k, (of, label) in enumerate(((start, "start"), (result, result.method))):
        values: Mapping[str, Sequence[float | None]] = of.details["per_residue"]
        for ax, key in ((top, "distance"), (bottom, "local_lddt")):
            y = np.array([np.nan if v is None else v for v in values[key]], float)
            ax.plot(np.arange(1, len(y) + 1), y, color=COLOURS[4 - 4 * k], label=label, linewidth=1.3)
    top.set_ylabel("CA distance (Å)")
    bottom.set_ylabel("lDDT, all atoms")
    bottom.set_xlabel("residue of the native, in order")
    top.legend(frameon=False)
    return svg(canvas)


def done(results: Results, method: str, target: str) -> Result | None:
    """The result of a method on a target, if it is done."""
    return next((r for r in results.by_method.get(method, ()) if r.target == target and r.status == DONE), None)
