"""A run that is done: the verdict first, then the structures, the numbers, and what can be taken along."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from refine.errors import RefineError
from refine.queue.folder import plain_files, read_plain, zipped
from refine.queue.isolated import compare_upload
from refine.queue.job import Job
from refine.report import verdict as verdicts
from refine.report.bands import Strips, input_strips
from refine.report.comparison import METRICS
from refine.report.glossary import GLOSSARY
from refine.report.page import REPORT_FILE
from refine.report.payload import contents
from refine.report.render import render
from refine.report.sections import evidence as evidence_of
from refine.report.sections import in_points
from refine.run.folder import RUN_FILE
from refine.run.result import COMPARISON_FILE, RunResult, read_run
from webapp import charts, places
from webapp.identity import user
from webapp.known import show_tables
from webapp.server import settings
from webapp.text import plain, size

COLUMNS = {
    "score": "score, kcal/mol",
    "confidence": "confidence",
    "predicted_error": "predicted error, Å",
    "clashscore": "clashscore",
    "ramachandran_favoured": "Ramachandran favoured, %",
    "rotamer_outliers": "rotamer outliers, %",
    "bond_outliers": "bond outliers",
    "angle_outliers": "angle outliers",
}
METRIC_NAMES = {
    "gdt_ha": "GDT-HA (0–100)",
    "gdt_ts": "GDT-TS (0–100)",
    "tm_score": "TM-score (0–1)",
    "lddt_ca": "CA lDDT (0–100)",
    "lddt": "lDDT (0–100)",
    "rmsd": "CA RMSD, Å",
}
NAMES = {"input": "Input", "input_finished": "Input, finished"}
VERDICTS = {"better": (st.success, ":material/trending_up:"), "uncertain": (st.warning, ":material/help:")}
"""How a verdict is shown, by its word."""


def show(folder: Path, stem: str, job: Job | None) -> None:
    """Show the result in the run ``folder``; downloads begin with ``stem``. Without ``job`` there is nothing to do."""
    record = folder / RUN_FILE
    run = _run(str(folder), record.stat().st_mtime_ns if record.is_file() else 0)
    verdict(run)
    names = [name for name in run.scores.index if name.startswith("model_")]
    model = st.selectbox("Model", names, format_func=title, key="model") if len(names) > 1 else names[0]
    left, right = st.columns([3, 2], gap="medium")
    with left:
        charts.part(run, "structure", model)
    with right:
        downloads(stem, run, model)
        if job is not None and st.button("Refine again from this model", icon=":material/replay:"):
            places.go(places.AGAIN, job.id, model=model)
    confidence(run)
    st.header("Ranked models")
    table(run)
    evidence(run)
    charts.show(run, model)
    native(job, run)
    report(run)


@st.cache_resource(max_entries=16, show_spinner=False)
def _run(folder: str, written: int) -> RunResult:
    """A run folder whose tables are read once, not at each run of the page, until it is ``written`` anew."""
    return read_run(Path(folder))


def verdict(run: RunResult) -> None:
    """What came out, in a sentence and four numbers."""
    word = verdicts.word(run.record)
    say, icon = VERDICTS.get(word, (st.info, ":material/info:"))
    say(plain(run.verdict), icon=icon)
    numbers = verdicts.changes(*(run.scores.loc[name].to_dict() for name in ("input", "model_1")))
    with st.container(key="pairs_numbers"):
        cells = st.columns(len(numbers) + 1)
    for cell, number in zip(cells[:-1], numbers, strict=True):
        colour = "inverse" if number.less_is_better else "normal"
        cell.metric(number.words, number.value, number.change, delta_color=colour, help=GLOSSARY[number.column])  # type: ignore[arg-type]
    ours = run.per_residue[run.per_residue["model"] == "model_1"]
    cells[-1].metric(
        "Moved, Å", f"{ours['displacement'].mean():.2f}", help="Mean distance of the CA atoms from the input."
    )
    st.caption(verdicts.explained(word, numbers))


def confidence(run: RunResult) -> None:
    """The input's confidence beside the file's own, where the run has it."""
    strips = _strips(str(run.out))
    if strips is not None:
        st.header("Confidence of the input")
        st.html(render("parts/strips.html", confidence=strips))


@st.cache_data(max_entries=8, show_spinner=False)
def _strips(folder: str) -> Strips | None:
    return input_strips(contents(read_run(Path(folder))))


def title(name: str) -> str:
    """``model_2`` → ``Model 2``."""
    return NAMES.get(name, name.replace("model_", "Model "))


def downloads(stem: str, run: RunResult, model: str) -> None:
    """Files to take along."""
    st.markdown("**Downloads**")
    files = {path.name: path.stat().st_size for path in plain_files(run.out)}
    for ending in ("pdb", "cif"):
        name = f"{model}.{ending}"
        if name in files:
            label = f"{title(model)} as {'PDB' if ending == 'pdb' else 'mmCIF'}, {size(files[name])}"
            button(
                label,
                functools.partial(read_plain, run.out, name),
                f"{stem}_{name}",
                "chemical/x-" + ending,
                f"get_{ending}",
            )
    if REPORT_FILE in files:
        label = f"Report, {size(files[REPORT_FILE])}"
        button(label, lambda: read_plain(run.out, REPORT_FILE), f"{stem}_{REPORT_FILE}", "text/html", "get_report")
    label = f"Everything as zip, {size(sum(files.values()))} unpacked"
    button(label, lambda: zipped(run.out, f"{stem}_refined"), f"{stem}_refined.zip", "application/zip", "get_zip")


def button(label: str, data: Callable[[], bytes], name: str, mime: str, key: str) -> None:
    """A download whose content is made when it is asked for; the page is not run again."""
    st.download_button(label, data, name, mime, key=key, on_click="ignore", icon=":material/download:", width="stretch")


def table(run: RunResult) -> None:
    """Input and models, one a row."""
    frame = run.scores[[c for c in COLUMNS if c in run.scores.columns]].rename(columns=COLUMNS)
    frame.index = pd.Index([title(name) for name in frame.index], name="")
    st.table(
        frame.style.format(precision=1, na_rep="–"), border="horizontal", alt="Numbers of the input and of the models"
    )


def evidence(run: RunResult) -> None:
    """What was known of distances, and whether it holds before and after."""
    tables = evidence_of(run.record)
    if tables is not None:
        st.header("Evidence")
        show_tables(tables, ("input", "model_1"))


def report(run: RunResult) -> None:
    """The report inside the page; its own policy lets no text of the input become a script."""
    if (run.out / REPORT_FILE).is_file() and st.toggle("Show the full report here"):
        st.iframe(read_plain(run.out, REPORT_FILE).decode("utf-8"), height=900, alt="The report of this run")


def native(job: Job | None, run: RunResult) -> None:
    """Compare with an experimental structure; the comparison stays with the job."""
    compared = (run.out / COMPARISON_FILE).is_file()
    own = job is not None and job.user == user()
    if not (own or compared):
        return
    with st.expander("Compare with a native structure", expanded=compared):
        if compared:
            comparison(run)
        if not own:
            return
        st.write("Is the experimental structure known? Upload it: input and models are measured against it.")
        file = st.file_uploader("Native, PDB or mmCIF", key="native", max_upload_size=settings().max_upload_mb)
        if file is None or st.session_state.get("native_taken") == file.file_id:
            return
        st.session_state["native_taken"] = file.file_id
        try:
            with st.spinner("Comparing …"):
                compare_upload(run.out, file.name, file.getvalue(), settings())
        except RefineError as error:
            st.error(plain(str(error)), icon=":material/error:")
        else:
            st.rerun()


def comparison(run: RunResult) -> None:
    """What ``refine compare`` found."""
    record = json.loads(read_plain(run.out, COMPARISON_FILE))
    frame = pd.DataFrame({name: in_points(scores) for name, scores in record["scores"].items()}).T
    frame = frame[[m for m in METRICS if m in frame.columns]].rename(columns=METRIC_NAMES)
    frame.index = pd.Index([title(name) for name in frame.index], name="")
    st.table(
        frame.style.format(precision=2, na_rep="–"), border="horizontal", alt="Input and models against the native"
    )
    st.caption(plain(record["matching"]))
