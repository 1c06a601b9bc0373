"""The options of a run as widgets, and the command that they stand for."""

from __future__ import annotations

import streamlit as st

from refine.errors import RefineError
from refine.propagation.settings import PropagationSettings
from refine.queue.request import B_COLUMNS, BOUNDS, DEVICES, Request
from refine.queue.uploads import Preview, Upload
from refine.settings import RunSettings
from refine.structure.selection import parse_selection
from webapp.server import settings

MODELS, STEPS = RunSettings().models, PropagationSettings().steps
LENGTHS = {"Short": STEPS // 2, "Standard": None, "Long": 3 * STEPS}
"""Steps of each length; None leaves it to the settings that the server starts from."""
MEANING = {"score": "confidence, 0–100", "error": "predicted error, Å", "b": "B factor, Å²"}


def ask(upload: Upload, preview: Preview, picked: list[str]) -> tuple[Request, str]:
    """Show the widgets; gives the request and what is wrong with it, or an empty text."""
    with st.container(key="pairs_options"):
        one, two, three, four = st.columns(4)
    models = one.number_input(
        "Models", *BOUNDS["models"], value=None, placeholder="5", help="How many ranked models you get."
    )
    length = two.selectbox("Length of run", list(LENGTHS), index=1, help="A longer run explores more and takes longer.")
    seed = three.number_input(
        "Seed", *BOUNDS["seed"], value=0, help="The same seed gives the same result; another seed another run."
    )
    device = four.selectbox("Device", DEVICES, help="auto takes a GPU when the server has one.")
    names = [chain for chain, *_ in preview.chains]
    moving = names
    if len(names) > 1:
        moving = st.multiselect(
            "Chains to refine",
            names,
            default=names,
            format_func=lambda c: c or "(blank)",
            help="The other chains stay where they are.",
        )
    typed = st.text_input(
        "Residues that stay fixed",
        placeholder="A:10-25,B",
        help="Chains and ranges with commas; clicking in the 3-D view adds residues.",
        key=f"freeze_{st.session_state['number']}",
    )
    freeze = ",".join(
        filter(
            None, [typed.strip().strip(","), ranges(picked), *(f"{c}:" if c else ":" for c in names if c not in moving)]
        )
    )
    if freeze:
        st.caption("Fixed:")
        st.code(freeze, language=None, wrap_lines=True)
    with st.expander("Advanced"):
        one, two, three = st.columns(3)
        steps = one.number_input(
            "Steps", *BOUNDS["steps"], value=None, placeholder="as the length", help="Steps of the propagation."
        )
        bfactor = two.selectbox(
            "B column", B_COLUMNS, format_func=MEANING.__getitem__, help="What the B column of the models holds."
        )
        model = three.number_input(
            "MODEL of the file", value=None, step=1, placeholder="the first", help="For files of several models."
        )
    try:
        request = Request(
            models=models,
            steps=steps if steps is not None else LENGTHS[length],
            seed=int(seed),
            freeze=freeze,
            device=device,
            bfactor=bfactor,
            model=model,
        )
        problem = check(request, preview)
    except RefineError as error:
        return Request(), str(error)
    st.caption("The same in a terminal:")
    st.code(request.shown(upload.file, settings().base), language="bash", wrap_lines=True)
    return request, problem


def check(request: Request, preview: Preview) -> str:
    """What is wrong with a request for this protein, or an empty text."""
    if not request.freeze:
        return ""
    try:
        frozen = parse_selection(request.freeze, preview.protein)
    except RefineError as error:
        return str(error)
    return "every residue is fixed: nothing is left to refine" if frozen.all() else ""


def ranges(picked: list[str]) -> str:
    """Residues ``A:12`` as a selection, runs of neighbours joined: ``A:12-14,A:20B``."""
    plain = sorted(
        (key.rpartition(":")[0], int(number))
        for key in picked
        if (number := key.rpartition(":")[2]).lstrip("-").isdigit()
    )
    parts = [key for key in picked if not key.rpartition(":")[2].lstrip("-").isdigit()]
    groups: list[list[tuple[str, int]]] = []
    for residue in plain:
        if groups and groups[-1][-1] == (residue[0], residue[1] - 1):
            groups[-1].append(residue)
        else:
            groups.append([residue])
    joined = [f"{g[0][0]}:{g[0][1]}" + (f"-{g[-1][1]}" if len(g) > 1 else "") for g in groups]
    return ",".join(joined + parts)
