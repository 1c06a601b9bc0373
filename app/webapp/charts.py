"""The report's parts and its line chart inside a page: the same drawings, by the same script."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from refine.report.payload import PARTS, contents, payload
from refine.report.render import render, script, shared_script
from refine.run.result import COMPARISON_FILE, RunResult, read_run
from webapp.viewer import CSS

TABS = {
    "residues": "Along the chain",
    "rpdd": "Distances",
    "ramachandran": "Ramachandran",
    "traces": "Energy",
}
"""Part of the report → title of its tab."""

_PART = """
const parts = new WeakMap();

// A residue that is marked in one part of a run's result is marked in all.
function shareResidue(place, run) {
  const heard = ({ detail }) => {
    if (detail.run === run) place.dispatchEvent(new CustomEvent("residue", { detail: detail.residue }));
  };
  document.addEventListener("refine-residue", heard);
  place.addEventListener("close", () => document.removeEventListener("refine-residue", heard));
  place.addEventListener("chosen", ({ detail }) => {
    document.dispatchEvent(new CustomEvent("refine-residue", { detail: { run, residue: detail } }));
  });
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".refine-part");
  const drawing = JSON.stringify(data.drawing);
  const before = parts.get(parentElement);
  if (before?.drawing !== drawing) {
    const markup = before?.markup ?? root.innerHTML;
    before?.place.dispatchEvent(new Event("close"));
    root.replaceChildren();
    const place = root.appendChild(document.createElement("div"));
    place.innerHTML = markup;
    parts.set(parentElement, { drawing, markup, place });
    shareResidue(place, data.run);
    drawReport({ ...data.drawing, model: data.model }, place);
  } else before.place.dispatchEvent(new CustomEvent("model", { detail: data.model }));
  return () => {
    parts.get(parentElement)?.place.dispatchEvent(new Event("close"));
    parts.delete(parentElement);
  };
}
"""
_LINE = """
export default function ({ data, parentElement }) {
  const series = data.series.map((one, k) => ({ ...one, paint: SERIES[k % SERIES.length] }));
  lineChart(parentElement.querySelector(".refine-line"), data.x, series, data.labels, data.height);
}
"""
_parts = {
    name: st.components.v2.component(
        f"refine_{name}",
        html=f'<div class="refine-part">{render(f"parts/{name}.html", sampling={})}</div>',
        css=CSS,
        js=script() + _PART,
    )
    for name in PARTS
}
_line = st.components.v2.component(
    "refine_line", html='<div class="refine-line"></div>', css=CSS, js=shared_script() + _LINE
)


def show(run: RunResult, model: str) -> None:
    """The charts of a model, a tab each."""
    for tab, name in zip(st.tabs(list(TABS.values())), TABS, strict=True):
        with tab:
            part(run, name, model)


def part(run: RunResult, name: str, model: str) -> None:
    """One of ``PARTS`` of the report, or which file it lacks."""
    changed = (run.out / COMPARISON_FILE).stat().st_mtime_ns if (run.out / COMPARISON_FILE).is_file() else 0
    drawings, missing = _drawings(str(run.out), changed)
    if name in missing:
        st.info(f"The run folder holds no usable {missing[name]}.")
    else:
        # The key goes to the browser, where the folder would tell the job's address to whom it is shared with.
        which = hashlib.sha256(f"{run.out} {changed}".encode()).hexdigest()[:16]
        _parts[name](key=f"{name}_{which}", data={"drawing": drawings[name], "model": model, "run": which})


@st.cache_resource(max_entries=8, show_spinner=False)
def _drawings(folder: str, changed: int) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The payload of each part of a run that is done, and what parts lack; ``changed`` tells when a native came.

    As a resource, which nobody changes: data would be copied for each part at each run of the page.
    """
    run = contents(read_run(Path(folder)))
    return {name: payload(run, (name,)) for name in PARTS}, run.missing


def line(key: str, x: Sequence[float], series: Mapping[str, Sequence[float]], x_title: str, y_title: str) -> None:
    """Lines over common ``x``, a name each."""
    named = [{"name": name, "values": list(values)} for name, values in series.items()]
    _line(key=key, data={"x": list(x), "series": named, "labels": {"x": x_title, "y": y_title}, "height": 260})
