"""Charts of a result: along the chain, between residues, torsions, energies."""

from __future__ import annotations

from collections.abc import Callable

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from refine.assess.torsions import FAVOURED, OUTLIER, UNKNOWN, ramachandran_verdict, torsions
from refine.errors import RefineError
from refine.run.result import RunResult
from refine.structure.reference import ramachandran
from webapp.text import plain

TRACKS = {
    "confidence": "confidence",
    "predicted_error": "predicted error, Å",
    "displacement": "displacement, Å",
    "spread": "spread of the ensemble, Å",
    "clashes": "clashes",
}
CELLS = 90
"""Cells along a side of a distance map; longer proteins are averaged over blocks of residues."""
DEGREES = 180 / np.pi
PADDING = {"left": 5, "top": 8, "right": 5, "bottom": 5}
"""Around a chart with a title: without it the ring of an Å is cut off."""


def show(run: RunResult, model: str) -> None:
    """All charts, a tab each."""
    residues, distances, torsion, energy = st.tabs(["Along the chain", "Distances", "Ramachandran", "Energy"])
    with residues:
        tracks(run, model)
    with distances:
        tell(lambda: maps(run))
    with torsion:
        tell(lambda: rama(run, model))
    with energy:
        tell(lambda: traces(run))


def tell(draw: Callable[[], None]) -> None:
    """Draw a chart, or say which file it lacks."""
    try:
        draw()
    except RefineError as error:
        st.info(plain(str(error)))


def tracks(run: RunResult, model: str) -> None:
    """Numbers of each residue, one under the other."""
    own = run.per_residue[run.per_residue["model"] == model].reset_index(drop=True)
    energies = [c.removeprefix("term_") for c in run.scores.columns if c.startswith("term_")]
    known = {**TRACKS, **{t: f"{t}, kcal/mol" for t in energies}}
    known = {k: v for k, v in known.items() if k in own.columns}
    chosen = st.multiselect("Show", list(known), default=list(known)[:3], format_func=known.__getitem__, key="tracks")
    frame = own[["chain", "number", "insertion", "residue"]].assign(
        place=own.index + 1,
        label=own["chain"] + ":" + own["number"].astype(str) + own["insertion"] + " " + own["residue"],
    )
    for name in chosen:
        data = frame.assign(value=own[name])
        heading = alt.Title(known[name], anchor="start", fontSize=13)
        chart = alt.Chart(data, height=170, title=heading, padding=PADDING).mark_area(
            line=True, opacity=0.25, interpolate="step"
        )
        chart = chart.encode(
            x=alt.X(
                "place:Q",
                title="residue of the file" if name == chosen[-1] else None,
                scale=alt.Scale(domain=[1, len(data)], nice=False),
            ),
            y=alt.Y("value:Q", title=None, axis=alt.Axis(minExtent=50, tickCount=4)),
            tooltip=["label", alt.Tooltip("value", format=".3g")],
        )
        st.altair_chart(chart, alt=f"{known[name]} along the chain")


def maps(run: RunResult) -> None:
    """Means and spreads of the pair distances of the ensemble (RPDD)."""
    rpdd = run.rpdd
    st.caption(
        f"Residue-pair distances between CB atoms (CA for glycine) over {rpdd.frames} snapshots of the ensemble."
    )
    block = -(-len(rpdd.mean) // CELLS)
    both = (
        ("mean distance, Å", rpdd.mean, alt.Scale(scheme="viridis")),
        ("spread (standard deviation), Å", rpdd.std, alt.Scale(scheme="magma")),
    )
    for column, (name, matrix, colours) in zip(st.columns(2), both, strict=True):
        chart = alt.Chart(cells(matrix, block), height=380, title=name, padding=PADDING).mark_rect()
        chart = chart.encode(
            x=alt.X("i:O", title="residue of the file", axis=axis(len(matrix), block)),
            y=alt.Y("j:O", title=None, axis=axis(len(matrix), block)),
            color=alt.Color("value:Q", title=None, scale=colours),
            tooltip=["i", "j", alt.Tooltip("value", format=".2f", title=name)],
        )
        column.altair_chart(chart, alt=f"Map of the {name}")


def cells(matrix: NDArray[np.floating], block: int) -> pd.DataFrame:
    """A matrix (L, L) as rows ``i``, ``j``, ``value``, averaged over blocks; residues counted from 1."""
    starts = np.arange(0, len(matrix), block)
    sums = np.add.reduceat(np.add.reduceat(matrix.astype(np.float64), starts, 0), starts, 1)
    sizes = np.diff(np.append(starts, len(matrix)))
    i, j = np.meshgrid(starts + 1, starts + 1, indexing="ij")
    return pd.DataFrame({"i": i.ravel(), "j": j.ravel(), "value": (sums / np.outer(sizes, sizes)).ravel().round(3)})


def axis(length: int, block: int) -> alt.Axis:
    """About eight labels."""
    starts = list(range(1, length + 1, block))
    return alt.Axis(values=starts[:: max(1, len(starts) // 8)], labelAngle=0)


def rama(run: RunResult, model: str) -> None:
    """phi and psi of every residue over the regions of the general residue."""
    points = []
    for name in ("input", model):
        protein = run.structure(name)
        angles = torsions(protein)
        verdict = ramachandran_verdict(protein, angles)
        for i in np.flatnonzero(verdict != UNKNOWN).tolist():
            word = "favoured" if verdict[i] == FAVOURED else "outlier" if verdict[i] == OUTLIER else "allowed"
            points.append(
                (
                    name,
                    str(protein.residue_ids[i]) + " " + protein.sequence[i],
                    angles.phi[i] * DEGREES,
                    angles.psi[i] * DEGREES,
                    word,
                )
            )
    frame = pd.DataFrame(points, columns=["structure", "residue", "phi", "psi", "verdict"])
    for column, name in zip(st.columns(2), ("input", model), strict=True):
        own = frame[frame["structure"] == name]
        scale = alt.Scale(domain=[-180, 180], nice=False)
        dots = alt.Chart(own).mark_circle(size=45, opacity=0.9)
        dots = dots.encode(
            x=alt.X("phi:Q", scale=scale, title="phi, degrees"),
            y=alt.Y("psi:Q", scale=scale, title="psi, degrees"),
            color=alt.Color(
                "verdict:N",
                scale=alt.Scale(domain=["favoured", "allowed", "outlier"], range=["#2f7ed8", "#e0a100", "#d9480f"]),
                title=None,
                legend=alt.Legend(orient="bottom"),
            ),
            tooltip=["residue", alt.Tooltip("phi", format=".0f"), alt.Tooltip("psi", format=".0f"), "verdict"],
        )  # fmt: skip
        outliers = int((own["verdict"] == "outlier").sum())
        text = f"{'Input' if name == 'input' else name.replace('model_', 'Model ')}: {outliers} outlier{'s' * (outliers != 1)}"
        column.altair_chart((regions() + dots).properties(height=440, title=text), alt=f"Ramachandran plot, {text}")
    st.caption(
        "Shaded: favoured and allowed regions of most residues; glycine, proline and others are judged by their own."
    )


def regions() -> alt.Chart:
    """Favoured and allowed regions of the general class."""
    reference = ramachandran()
    grid = reference.values[0]
    step = 360 / grid.shape[0]
    i, j = np.nonzero(grid >= reference.allowed[0])
    deep = grid[i, j] >= reference.favoured[0]
    low = np.stack((i, j), 1) * step - 180 - step / 2
    frame = pd.DataFrame(
        {
            "x": low[:, 0],
            "x2": low[:, 0] + step,
            "y": low[:, 1],
            "y2": low[:, 1] + step,
            "depth": np.where(deep, 0.28, 0.12),
        }
    )
    frame = frame.clip(lower=-180, upper=180)
    return (
        alt.Chart(frame)
        .mark_rect(color="#8a94a3")
        .encode(x="x:Q", x2="x2", y="y:Q", y2="y2", opacity=alt.Opacity("depth:Q", scale=None))
    )


def traces(run: RunResult) -> None:
    """Free energy of every replica against the step."""
    trace = run.trace.reset_index()
    replicas = [c for c in trace.columns if c.startswith("energy_")]
    frame = trace.melt("step", replicas, "replica", "energy")
    frame["replica"] = frame["replica"].str.removeprefix("energy_")
    chart = alt.Chart(frame, height=320).mark_line()
    chart = chart.encode(
        x="step:Q",
        y=alt.Y("energy:Q", title="free energy, kcal/mol", scale=alt.Scale(zero=False)),
        color=alt.Color("replica:N", legend=alt.Legend(orient="bottom")),
        tooltip=["step", "replica", alt.Tooltip("energy", format=".1f")],
    )
    st.altair_chart(chart, alt="Free energy of the replicas against the step")
