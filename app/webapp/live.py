"""A run that goes on: stage, progress, energy so far and the structure it is at."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import streamlit as st

from refine.queue.folder import plain_files
from refine.queue.job import Job
from refine.run.folder import CURRENT_FILE, PROGRESS_FILE
from webapp import charts, viewer
from webapp.text import duration, plain

TITLES = {
    "read": "Reading",
    "repair": "Repairing",
    "energy": "Preparing the energy",
    "relax": "Relaxing the input",
    "propagate": "Moving the backbone",
    "ensemble": "Describing the ensemble",
    "finish": "Side chains and relaxation",
    "write": "Ranking and writing",
    "done": "Done",
}
SHARE = {
    "relax": (0.05, 0.15),
    "propagate": (0.15, 0.4),
    "ensemble": (0.4, 0.45),
    "finish": (0.45, 0.97),
    "done": (1.0, 1.0),
}
"""Where in the bar a stage begins and ends."""


def events(folder: Path) -> list[dict[str, Any]]:
    """Events of progress.jsonl so far; a line that is being written is left for the next look."""
    try:
        text = (folder / PROGRESS_FILE).read_text(encoding="utf-8")
    except OSError:
        return []
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def show(job: Job, folder: Path) -> None:
    """Show the run in ``folder`` as it is now."""
    so_far = events(folder)
    if not so_far:
        st.progress(0.02, "Starting …")
        return
    last = so_far[-1]
    begin, end = SHARE.get(last["stage"], (0.02, 0.05))
    done = last["step"] / last["total"] if last["total"] else 0.0
    counted = f" {last['step']}/{last['total']}" if last["total"] else ""
    spent = time.time() - (job.started or time.time())
    st.progress(
        begin + done * (end - begin),
        f"{TITLES.get(last['stage'], plain(last['stage']))}{counted} · {duration(spent)} so far",
    )
    left, right = st.columns([3, 2], gap="large")
    with left:
        structure(folder)
    with right:
        trace(so_far)


def structure(folder: Path) -> None:
    """The structure the run is at: the moving backbone, then the models as they are finished."""
    files = {path.name: path for path in plain_files(folder)}
    models = sorted(name for name in files if name.startswith("model_") and name.endswith(".cif"))
    name = CURRENT_FILE if CURRENT_FILE in files else models[-1] if models else ""
    wanted = [(name, "Now", "#2f7ed8")] if name else []
    if "input.cif" in files:
        wanted.append(("input.cif", "Input", "#9aa3ad"))
    structures = []
    for file, title, colour in wanted:
        try:
            text = files[file].read_text(encoding="utf-8")
        except FileNotFoundError:  # taken away between the listing and now
            continue
        structures.append(viewer.Structure(title.lower(), title, text, colour, faint=title == "Input"))
    if structures:
        viewer.show("live", "The structure as it moves", structures)


def trace(so_far: list[dict[str, Any]]) -> None:
    """Energy against step."""
    points = [(e["step"], e["energy"]) for e in so_far if e["stage"] == "propagate" and e["energy"] is not None]
    if len(points) < 2:
        st.caption("The energy trace begins with the propagation.")
        return
    steps, energies = zip(*points, strict=True)
    st.markdown("**Free energy**, best replica")
    charts.line("live_energy", steps, {"free energy": energies}, "step", "free energy (kcal/mol)")
    st.metric(
        "Free energy now", f"{energies[-1]:.1f} kcal/mol", f"{energies[-1] - energies[0]:.1f}", delta_color="inverse"
    )
