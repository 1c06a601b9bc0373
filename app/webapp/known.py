"""What a user knows besides the model, checked before the run: files of evidence and of torsion densities, conditions,
heated residues.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from refine.errors import RefineError
from refine.queue.isolated import read_known
from refine.queue.request import Request
from refine.queue.uploads import KNOWN_ENDINGS, Upload, known_name
from refine.report.sections import EvidenceTables, evidence_tables
from webapp.server import settings
from webapp.text import counted, plain

CONDITIONS = {
    "ph": ("pH", 0.0, 14.0, 0.5, "Sets the charges of side chains and their hydrogens."),
    "ionic": ("Ionic strength, mol/l", 0.0, 5.0, 0.05, "How much salt screens charges."),
    "temperature": ("Temperature of the protein, K", 200.0, 500.0, 5.0, "Sets how water screens charges, and the noise "
                    "where the server's settings sample at a temperature."),
}  # fmt: skip
"""Field of ``Request`` → words, least, most, step, and what it is for."""
FILES = {
    "evidence": ("Evidence on distances", "Tables of distances and contacts, AlphaFold's expected errors or a "
                 "distogram. The help page has an example."),
    "template": ("Structures of relatives", "A known structure of a related protein: it is aligned by sequence, and "
                 "its distances become evidence, the weaker the more residues differ."),
    "together": ("Other models of this protein", "Models by other programs: their distances become evidence, the "
                 "weaker the more they are expected to be wrong."),
    "density": ("Torsion densities", "Files of refine simulate-residue: for the residues they stand for, mostly "
                "modified ones, they take the place of what crystal structures say of phi and psi."),
}  # fmt: skip
"""Field of ``Request`` that names files → words, and what they are."""
MOST_FILES = 10
MOST_ROWS = 200
"""Rows of evidence that are shown."""
EARLIER = "earlier_evidence"
"""Files of the job that is run again, in the session."""


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known: files by their names on the disk, temperatures as ``refine run --heat`` takes them, conditions of
    the protein by their names in ``Request``.
    """

    files: Mapping[str, bytes]
    heat: str
    conditions: Mapping[str, float]
    refusal: str = ""


def ask() -> Known:
    """Show the widgets."""
    number = st.session_state["number"]
    earlier: dict[str, bytes] = st.session_state.get(EARLIER, {})
    with st.expander("What you know: evidence and conditions", expanded=bool(earlier), key=f"known_{number}"):
        files: dict[str, bytes] = {}
        if earlier and st.checkbox(f"Evidence of the earlier run: {plain(', '.join(earlier))}", value=True):
            files |= earlier
        uploads = {
            kind: st.file_uploader(
                words,
                type=[ending.removeprefix(".") for ending in KNOWN_ENDINGS[kind]],
                accept_multiple_files=True,
                key=f"{kind}_{number}",
                max_upload_size=settings().max_upload_mb,
                help=meaning,
            )
            for kind, (words, meaning) in FILES.items()
        }
        heat = st.text_input(
            "Temperatures of residues, K",
            placeholder="A:40-55=600; B=350",
            help="Residues that move more. Others are at room temperature; the word confidence lets the temperature "
            "follow the predicted error.",
            key=f"heat_{number}",
        ).strip()
        conditions = _conditions(number)
    try:
        files |= {known_name(one.name, kind): one.getvalue() for kind, several in uploads.items() for one in several}
    except RefineError as error:
        return Known({}, heat, conditions, str(error))
    if len(files) > MOST_FILES:
        return Known({}, heat, conditions, f"these are {len(files)} files of evidence; give {MOST_FILES} at most")
    return Known(files, heat, conditions)


def _conditions(number: int) -> dict[str, float]:
    """Ask under which conditions the protein is meant; gives those that were answered."""
    with st.container(key="pairs_conditions"):
        columns = st.columns(len(CONDITIONS))
    values = {
        name: column.number_input(
            words, least, most, value=None, step=step, placeholder="not given", help=meaning, key=f"{name}_{number}"
        )
        for column, (name, (words, least, most, step, meaning)) in zip(columns, CONDITIONS.items(), strict=True)
    }
    return {name: value for name, value in values.items() if value is not None}


def checked(upload: Upload, known: Known, request: Request) -> str:
    """Hold what is known against the upload and show the rows; gives what is wrong, or an empty text."""
    if known.refusal or not (known.files or known.heat):
        return known.refusal
    asked = Request(model=request.model, heat=request.heat)
    digests = [hashlib.sha256(data).hexdigest() for data in (upload.data, *known.files.values())]
    before = (*digests, *known.files, asked.model, asked.heat)
    if st.session_state.get("known_for") != before:
        with st.spinner("Reading the evidence …" if known.files else "Reading the temperatures …"):
            st.session_state["known"] = _read(upload, known.files, asked)
        st.session_state["known_for"] = before
    facts, refusal = st.session_state["known"]
    if facts:
        _show(facts)
    return str(refusal)


def _read(upload: Upload, files: Mapping[str, bytes], request: Request) -> tuple[dict[str, Any], str]:
    try:
        return read_known(upload, files, request, settings()), ""
    except RefineError as error:
        return {}, str(error)


def _show(facts: Mapping[str, Any]) -> None:
    """Every row with its weight, and whether it holds in the input."""
    for note in facts["notes"]:
        st.warning(plain(note), icon=":material/rule:")
    if "files" in facts:
        show_tables(evidence_tables(facts, ("input",)), ("input",))


def show_tables(tables: EvidenceTables, structures: tuple[str, ...]) -> None:
    """Evidence file by file and row by row, as it holds in ``structures``."""
    names = " → ".join({"input": "input", "model_1": "model 1"}[name] for name in structures)
    st.table(
        pd.DataFrame(tables.files, columns=["file", "kind", "rows", f"hold, {names}", f"median violation, Å, {names}"]),
        hide_index=True, border="horizontal",
    )  # fmt: skip
    if not tables.rows:
        return
    columns = ["line", "kind", "first", "second", "distance, Å", "weight", *(f"{n}, Å" for n in names.split(" → "))]
    with st.expander(f"Every row ({len(tables.rows):,})", expanded=len(tables.rows) <= 20):
        st.table(pd.DataFrame(tables.rows[:MOST_ROWS], columns=columns), hide_index=True, border="horizontal")
        if len(tables.rows) > MOST_ROWS:
            st.caption(f"and {counted(len(tables.rows) - MOST_ROWS, 'row')} more, in run.json of the result")
    st.caption("A row holds when its distance is met to within 2 sigma; ✗ marks one that does not.")
