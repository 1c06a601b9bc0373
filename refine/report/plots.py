"""Figures of a result, for scripts: each function gives a matplotlib ``Figure`` that belongs to no window and writes
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from refine.accuracy.rpdd import BIN_EDGES
from refine.assess.torsions import torsions
from refine.errors import InputError
from refine.report.maps import point_distances
from refine.run.result import RunResult
from refine.structure.protein import ResidueId
from refine.structure.reference import ramachandran

if TYPE_CHECKING:  # matplotlib is imported when a figure is made
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

MAPS = ("mean", "spread", "difference")
MODEL, INPUT = "#0a6b63", "#7b848e"


def plot_trace(result: RunResult) -> Figure:
    """Free energy of each replica (kcal/mol) and temperature (K) against the step of the propagation."""
    trace = result.trace
    canvas, (energy, heat) = figure(7.0, 4.6, rows=2)
    for k, column in enumerate(c for c in trace.columns if c.startswith("energy_")):
        energy.plot(trace.index, trace[column], linewidth=1, label=f"replica {k + 1}")
    energy.set_ylabel("free energy (kcal/mol)")
    energy.legend(frameon=False, fontsize=7, ncols=3)
    heat.plot(trace.index, trace["temperature"], color=MODEL)
    heat.set_xlabel("step")
    heat.set_ylabel("temperature (K)")
    return canvas


def plot_rpdd(result: RunResult, kind: str = "mean") -> Figure:
    """Residue-pair map (Å) of the ensemble, by author numbers, with lines between chains.

    Args:
        result: of a run.
        kind: ``mean`` distance, ``spread`` (standard deviation) or ``difference`` of the mean from the input.

    Raises:
        InputError: another kind, or the run folder lacks what it needs.
    """
    if kind not in MAPS:
        raise InputError(f"there is no map {kind!r}", remedy=f"Use one of {', '.join(MAPS)}")
    rpdd = result.rpdd
    values = {"mean": rpdd.mean, "spread": rpdd.std}.get(kind)
    if values is None:
        values = rpdd.mean - point_distances(result.structure("input"))
    limit = float(np.nanmax(np.abs(values))) or 1.0
    canvas, (ax,) = figure(5.2, 4.6)
    low, colours = (-limit, "RdBu_r") if kind == "difference" else (0.0, "viridis")
    image = ax.imshow(values, cmap=colours, vmin=low, vmax=limit, interpolation="nearest")
    canvas.colorbar(image, ax=ax, label="Å", shrink=0.85)
    ax.set_title({"mean": "mean distance", "spread": "standard deviation", "difference": "mean − input"}[kind])
    residues = result.structure("input").residue_ids
    _author_numbers(ax.xaxis, residues)
    _author_numbers(ax.yaxis, residues)
    for border in _borders(residues):
        ax.axvline(border - 0.5, color="white", linewidth=0.8)
        ax.axhline(border - 0.5, color="white", linewidth=0.8)
    return canvas


def plot_pair(result: RunResult, i: int, j: int) -> Figure:
    """Histogram of the distance between residues ``i`` and ``j`` (indices from 0), the input's distance marked.

    Raises:
        InputError: no such pair, or the run kept no histograms.
    """
    rpdd = result.rpdd
    if i == j or not (0 <= i < len(rpdd.mean) and 0 <= j < len(rpdd.mean)):
        raise InputError(
            f"there is no pair of residues {i} and {j}", remedy=f"Use two of the indices 0 to {len(rpdd.mean) - 1}"
        )
    if rpdd.distogram is None:
        raise InputError("the run kept no histograms", file=str(result.out), remedy="Use result.rpdd.mean and .std")
    width = float(BIN_EDGES[1] - BIN_EDGES[0])
    centres = float(BIN_EDGES[0]) + width * (np.arange(len(BIN_EDGES) + 1) - 0.5)
    canvas, (ax,) = figure(5.2, 3.4)
    ax.bar(centres, rpdd.distogram[i, j], width=0.9 * width, color=MODEL, label="ensemble")
    start = result.structure("input")
    ax.axvline(float(point_distances(start)[i, j]), color=INPUT, linestyle="--", label="input")
    ax.set_title(" – ".join(f"{start.residue_ids[k]} {start.sequence[k]}" for k in (i, j)))
    ax.set_xlabel("distance (Å); the last bin is open")
    ax.set_ylabel("probability")
    ax.legend(frameon=False)
    return canvas


def plot_residues(result: RunResult, column: str = "confidence", model: str = "model_1") -> Figure:
    """A column of per_residue.csv along the chain, of a model and of the input finished.

    Raises:
        InputError: no such column or model.
    """
    table = result.per_residue
    if column not in table.columns or model not in set(table["model"]):
        columns = [c for c in table.columns if c not in ("model", "chain", "number", "insertion", "residue")]
        raise InputError(
            f"per_residue.csv holds no {column!r} of {model!r}", remedy=f"The columns are {', '.join(columns)}"
        )
    canvas, (ax,) = figure(9.0, 3.0)
    for name, colour in (("input_finished", INPUT), (model, MODEL)):
        values = table.loc[table["model"] == name, column].to_numpy(float)
        ax.plot(np.arange(len(values)), values, color=colour, linewidth=1.3, label=name.replace("_", " "))
    residues = result.structure("input").residue_ids
    _author_numbers(ax.xaxis, residues)
    for border in _borders(residues):
        ax.axvline(border - 0.5, color=INPUT, linewidth=0.8, linestyle="--")
    ax.set_ylabel(column.replace("_", " "))
    ax.legend(frameon=False)
    return canvas


def plot_ramachandran(result: RunResult, model: str = "model_1") -> Figure:
    """Backbone torsions of the input and of a model over the favoured and allowed regions of general residues."""
    table = ramachandran()
    grid = np.linspace(-np.pi, np.pi, 121)
    phi, psi = np.meshgrid(grid, grid)
    density = table.log_density(phi.ravel(), psi.ravel(), np.zeros(phi.size, np.int64)).reshape(phi.shape)
    levels = [float(table.allowed[0]), float(table.favoured[0]), float(density.max()) + 1.0]
    canvas, axes = figure(8.6, 4.4, columns=2)
    for ax, name in zip(axes, ("input", model), strict=True):
        angles = torsions(result.structure(name))
        ax.contourf(np.degrees(phi), np.degrees(psi), density, levels=levels, colors=("#e3e9ea", "#c3d3d2"))
        ax.scatter(np.degrees(angles.phi), np.degrees(angles.psi), s=7, color=INPUT if name == "input" else MODEL)
        ax.set_title(name.replace("_", " "))
        ax.set_xlabel("φ (°)")
        ax.set_ylabel("ψ (°)")
        ax.set_xlim(-180, 180)
        ax.set_ylim(-180, 180)
        ax.set_aspect("equal")
    return canvas


def _borders(residues: Sequence[ResidueId]) -> list[int]:
    """Indices of residues before which another chain begins."""
    return [i for i in range(1, len(residues)) if residues[i].chain != residues[i - 1].chain]


def _author_numbers(axis: Axis, residues: Sequence[ResidueId]) -> None:
    """Label an axis of residue indices with author numbers, with the chain where there are several."""
    from matplotlib.ticker import MaxNLocator

    many = bool(_borders(residues))

    def text(value: float, _: float | None) -> str:
        i = round(value)
        if not 0 <= i < len(residues):
            return ""
        one = residues[i]
        return f"{one.chain + ':' if many else ''}{one.number}{one.insertion}"

    axis.set_major_locator(MaxNLocator(integer=True))
    axis.set_major_formatter(text)
    axis.set_label_text("residue (author number)")


def figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches that belongs to no window, and its axes row by row, open above and to the right."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(width, height), layout="constrained")
    axes = list(canvas.subplots(rows, columns, squeeze=False).ravel())
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return canvas, axes
