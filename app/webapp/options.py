"""The options of a run as widgets, and the command that they stand for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import streamlit as st

from refine.errors import RefineError
from refine.propagation.settings import PropagationSettings
from refine.queue.request import B_COLUMNS, BOUNDS, DEVICES, Request
from refine.queue.uploads import Preview, Upload, of_kind
from refine.settings import RunSettings, read_settings
from refine.structure.selection import parse_selection
from webapp import known
from webapp.server import settings
from webapp.text import plain

MODELS, STEPS = RunSettings().models, PropagationSettings().steps
LENGTHS = {"Short": STEPS // 2, "Standard": None, "Long": 3 * STEPS}
"""Steps of each length; None leaves it to the settings that the server starts from."""
MEANING = {"score": "confidence, 0–100", "error": "predicted error, Å", "b": "B factor, Å²"}


@dataclasses.dataclass(frozen=True)
class Asked:
    """What was chosen: the request, files that go with it, and what is wrong with it, or an empty text."""

    request: Request
    files: Mapping[str, bytes]
    refusal: str


def ask(upload: Upload, preview: Preview, picked: list[str]) -> Asked:
    """Show the widgets."""
    base = server_settings()
    with st.container(key="pairs_options"):
        one, two, three, four = st.columns(4)
    models = one.number_input(
        "Models", *BOUNDS["models"], value=base.models, step=1, help="How many ranked models you get."
    )
    length = two.selectbox("Length of run", list(LENGTHS), index=1, help="A longer run explores more and takes longer.")
    seed = three.number_input(
        "Seed", *BOUNDS["seed"], value=0, help="The same seed gives the same result; another seed another run."
    )
    device = four.selectbox("Device", DEVICES, help="auto takes a GPU when the server has one.")
    freeze = fixed(preview, picked)
    if freeze and freeze != st.session_state[f"freeze_{st.session_state['number']}"].strip():
        st.markdown(f"Fixed in all: {plain(freeze)}")
    what = known.ask()
    with st.expander("Advanced"):
        one, two, three = st.columns(3)
        usual = LENGTHS[length] or base.propagation.steps
        steps = one.number_input(
            "Steps",
            *BOUNDS["steps"],
            value=usual,
            step=5,
            help="Steps of the propagation; the length sets them.",
            key=f"steps_{length}",
        )
        bfactor = two.selectbox(
            "B column", B_COLUMNS, format_func=MEANING.__getitem__, help="What the B column of the models holds."
        )
        model = three.number_input(
            "MODEL of the file", value=None, step=1, placeholder="the first", help="For files of several models."
        )
    try:
        request = Request(
            models=None if models == base.models else models,
            steps=None if steps == base.propagation.steps else steps,
            seed=int(seed),
            freeze=freeze,
            device=device,
            bfactor=bfactor,
            model=model,
            heat=what.heat,
            **what.conditions,
            evidence=of_kind(what.files, "evidence"),
            template=of_kind(what.files, "template"),
            together=of_kind(what.files, "together"),
            density=of_kind(what.files, "density"),
        )
        problem = check(request, preview) or known.checked(upload, what, request)
    except RefineError as error:
        return Asked(Request(), {}, str(error))
    st.caption("The same in a terminal:")
    st.code(request.shown(upload.file, settings().base), language=None, wrap_lines=True)
    return Asked(request, what.files, problem)


@st.cache_data(show_spinner=False)
def server_settings() -> RunSettings:
    """The settings that every run of this server starts from."""
    base = settings().base
    return read_settings(Path(base)) if base else RunSettings()


def fixed(preview: Preview, picked: list[str]) -> str:
    """Ask which residues stay; gives them as a selection, empty for none."""
    names = [chain for chain, *_ in preview.chains]
    staying = []
    number = st.session_state["number"]
    if len(names) > 1:
        st.markdown("**Chains to refine** (the others stay where they are)")
        with st.container(horizontal=True, key="chains"):
            for chain in names:
                label = plain(chain) or "(blank)"
                if not st.checkbox(label, value=True, key=f"chain_{number}_{chain}"):
                    staying.append(f"{chain}:")
    near = ""
    if preview.hetero_places:
        left, right = st.columns([2, 3], vertical_alignment="bottom")
        if left.toggle("Keep what surrounds ligands and metals", key=f"near_{number}"):
            within = right.slider("Å around them", 2.0, 12.0, 5.0, 0.5, key=f"within_{number}")
            near = ranges(around(preview, within))
    typed = st.text_input(
        "Residues that stay fixed",
        placeholder="A:10-25, B 374, HIS374",
        help="Chains, residues and ranges with commas; clicking in the 3-D view adds residues.",
        key=f"freeze_{number}",
    )
    return ",".join(filter(None, [typed.strip().strip(","), ranges(picked), near, *staying]))


def around(preview: Preview, within: float) -> list[str]:
    """Residues ``A:12`` with an atom within ``within`` Å of a ligand or metal, waters apart."""
    protein = preview.protein
    places = np.asarray(preview.hetero_places)
    near = []
    for i, residue in enumerate(protein.residue_ids):
        atoms = protein.coords[0, i][protein.mask[i]]
        if len(atoms) and np.linalg.norm(atoms[:, None] - places[None], axis=-1).min() <= within:
            near.append(f"{residue.chain}:{residue.number}{residue.insertion}")
    return near


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
