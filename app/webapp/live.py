"""A run that goes on: stage, time left, what can be said of its structures so far, and the structure it is at."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from refine.errors import InputError
from refine.propagation.settings import PropagationSettings
from refine.queue.folder import plain_files
from refine.queue.job import Job
from refine.queue.request import from_dict
from refine.report.glossary import GLOSSARY
from refine.run.folder import CURRENT_FILE, PROGRESS_FILE
from webapp import charts, frozen, viewer
from webapp.options import server_settings
from webapp.text import duration

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
WEIGHT = {
    "read": 1.0,
    "repair": 1.0,
    "energy": 2.0,
    "relax": 10.0,
    "propagate": 25.0,
    "ensemble": 5.0,
    "finish": 52.0,
    "write": 4.0,
}
"""Share of a stage, in percent of a run of ``USUAL_STEPS``."""
USUAL_STEPS = PropagationSettings().steps


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
    done = share(so_far[-1], from_dict(job.options).steps or server_settings().propagation.steps)
    spent = time.time() - (job.started or time.time())
    left = remaining(done, spent, job.estimate)
    st.progress(done, f"{duration(spent)} so far, {f'about {duration(left)} left' if left >= 2 else 'nearly done'}")
    stages(so_far)
    left_column, right_column = st.columns([3, 2], gap="large")
    with left_column:
        structure(folder, from_dict(job.options).freeze)
    with right_column:
        expected(so_far)
        movement(so_far)
        finished(so_far)


def share(event: dict[str, Any], steps: int) -> float:
    """How much of a run of so many steps is done (0–1) at an event."""
    if event["stage"] == "done":
        return 1.0
    weights = WEIGHT | {"propagate": WEIGHT["propagate"] * steps / USUAL_STEPS}
    order = list(weights)
    at = order.index(event["stage"]) if event["stage"] in order else 0
    within = event["step"] / event["total"] if event["total"] else 0.0
    done = sum(weights[stage] for stage in order[:at]) + within * weights[order[at]]
    return min(max(done / sum(weights.values()), 0.01), 1.0)


def remaining(done: float, spent: float, estimate: float) -> float:
    """Seconds to the end of a run of which ``done`` took ``spent``: by that, and at first by the estimate before it."""
    trust = min(1.0, done / 0.2)
    return trust * spent / done + (1.0 - trust) * max(estimate, spent) - spent


def stages(so_far: list[dict[str, Any]]) -> None:
    """The stages of a run in their order: which are over, which one goes on and how far it is."""
    now = so_far[-1]
    at = list(TITLES).index(now["stage"]) if now["stage"] in TITLES else 0
    texts = []
    for k, title in enumerate(title for stage, title in TITLES.items() if stage != "done"):
        counted = f" {now['step']}/{now['total']}" if k == at and now["total"] else ""
        mark = ":material/check_circle:" if k < at else ":material/pending:" if k == at else ":material/circle:"
        texts.append(f"{mark} **{title}{counted}**" if k == at else f"{mark} {title}")
    st.caption(" &nbsp; ".join(texts))


def structure(folder: Path, freeze: str) -> None:
    """The structure the run is at: the moving backbone, then the models as they are finished."""
    stays: Sequence[str] = ()
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
            if title == "Input":
                stays = frozen.of_file(str(files[file]), freeze)
        except (FileNotFoundError, InputError):  # taken away between the listing and now
            continue
        structures.append(viewer.Structure(title.lower(), title, text, colour, faint=title == "Input"))
    if structures:
        viewer.show("live", "The structure as it moves", structures, frozen=stays)


def expected(so_far: list[dict[str, Any]]) -> None:
    """How accurate the input is expected to be."""
    first = next((e["confidence"] for e in so_far if e.get("confidence") is not None), None)
    if first is not None:
        st.metric("Expected accuracy of the input, 0–100", f"{first:.1f}", help=GLOSSARY["confidence"])


def finished(so_far: list[dict[str, Any]]) -> None:
    """Structures that are finished: what is expected of their accuracy, and their scores relative to the input's."""
    done = [e for e in so_far if e["stage"] == "finish" and e["energy"] is not None]
    if not done or done[0]["step"] != 1:  # the input comes first
        return
    rows = {
        "Input, finished" if k == 0 else f"Candidate {k}": {
            "expected accuracy, 0–100": f"{event['confidence']:.1f}" if event.get("confidence") is not None else "–",
            "score, from the input": f"{event['energy'] - done[0]['energy']:+.1f}" if k else "–",
        }
        for k, event in enumerate(done)
    }
    st.table(pd.DataFrame(rows).T, border="horizontal", alt="Structures that are finished so far")
    st.caption(
        "Expected accuracy: CA lDDT that the networks expect. Score: the run's own free energy in kcal/mol, lower is "
        "better; it ranks candidates, but nearly every run gains in it, so that a gain alone proves nothing."
    )


def movement(so_far: list[dict[str, Any]]) -> None:
    """How far the backbone has come from the input. No energy: it wanders up and down and tells nobody how it goes."""
    points = [(e["step"], e["moved"]) for e in so_far if e["stage"] == "propagate" and e.get("moved") is not None]
    if not points:
        st.caption("How far the backbone moves is shown as soon as it does.")
        return
    steps, moved = zip(*points, strict=True)
    st.metric(
        "Moved so far",
        f"{moved[-1]:.2f} Å",
        help="Mean distance of the CA atoms of the leading replica from the input.",
    )
    if len(points) > 1:
        charts.line("live_moved", steps, {"distance from the input": moved}, "step", "CA distance (Å)")
    st.caption(
        "It rises while the networks find something to mend, and levels off; where little is wrong, the models go a "
        "part of this way. Whether they are better is said at the end, by an estimate that was measured against known "
        "structures."
    )
