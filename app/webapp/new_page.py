"""Where a run begins: a model, what was read from it, the options, and the button."""

from __future__ import annotations

import time
from pathlib import Path

import streamlit as st

from refine.errors import RefineError
from refine.queue.folder import read_plain
from refine.queue.isolated import read_upload
from refine.queue.job import QUEUED, Job, new_id
from refine.queue.mail import checked_address
from refine.queue.request import RUN, from_dict
from refine.queue.uploads import MAX_NAME, Preview, Problem, Upload, estimate, shown_name
from refine.report.bands import file_strips
from refine.report.render import render
from webapp import frozen, known, options, places, viewer
from webapp.identity import user
from webapp.server import settings, store
from webapp.text import counted, duration, plain

EXAMPLE = Path(__file__).resolve().parent.parent / "example" / "1a8o_model.pdb"
ENDINGS = ["pdb", "ent", "cif", "mmcif", "bcif", "gz"]
LINES = 200
"""Lines of a list that are shown."""


def page(job_id: str) -> None:
    """The page; ``job_id`` names the job a model is taken from, or nothing."""
    st.title("Refine a protein model")
    st.write(
        "Give a predicted or built model; refine moves it toward what an experiment would show, "
        "and says whether it got better."
    )
    again(job_id)
    source()
    if "upload" in st.session_state:
        prepared()


def again(job_id: str) -> None:
    """A model of an earlier job as input, or without ``model`` the input of that job."""
    asked = (job_id, st.query_params.get("model", ""))
    if not asked[0] or st.session_state.get("again") == asked:
        return
    st.session_state["again"] = asked
    try:
        folder, job = store().folder(asked[0]), store().find(asked[0])
        file = job.file if job else ""
        if asked[1]:
            take(f"{file.rpartition('.')[0]}_{asked[1]}.cif", read_plain(folder / RUN, f"{asked[1]}.cif"))
        else:
            take(file, read_plain(folder, file))
        files = from_dict(job.options).known_files if job else ()
        st.session_state[known.EARLIER] = {name: read_plain(folder, name) for name in files}
    except RefineError as error:
        st.error(plain(str(error)))


def source() -> None:
    """Upload, paste or example."""
    way = st.segmented_control(
        "Where is your model?",
        ["Upload a file", "Paste text", "Use the example"],
        default="Upload a file",
        required=True,
        key="way",
    )
    if way == "Upload a file":
        limit = settings().max_upload_mb
        file = st.file_uploader("PDB or mmCIF, plain or gzipped", type=ENDINGS, key="file", max_upload_size=limit)
        taken = st.session_state.get("file_taken")
        if file is not None and taken != file.file_id:
            take(file.name, file.getvalue())
            st.session_state["file_taken"] = file.file_id
        elif file is None and taken:
            forget()
    elif way == "Paste text":
        with st.form("paste", border=False):  # a form sends the text with the click that submits it
            text = st.text_area(
                "The text of a PDB or mmCIF file", height=160, key="pasted", placeholder="ATOM      1  N   MET A   1 …"
            )
            if st.form_submit_button("Read the text"):
                take("pasted", text.encode("utf-8"))
    else:
        st.write("HIV capsid protein, C-terminal domain (PDB entry 1A8O), bent by 2.4 Å: 70 residues.")
        if st.button("Take the example"):
            take(EXAMPLE.name, EXAMPLE.read_bytes())
    if "refused" in st.session_state:
        st.error(plain(st.session_state["refused"]), icon=":material/error:")


def forget() -> None:
    """Leave nothing of the model that was taken before."""
    for key in ("upload", "preview", "refused", "file_taken", known.EARLIER):
        st.session_state.pop(key, None)


def take(name: str, data: bytes) -> None:
    """Check a model and keep it for this session, or keep why it was refused."""
    forget()
    try:
        with st.spinner("Reading …"):
            upload, preview = read_upload(name, data, settings())
        st.session_state["upload"], st.session_state["preview"] = upload, preview
        st.session_state["number"] = st.session_state.get("number", 0) + 1
    except RefineError as error:
        st.session_state["refused"] = str(error)


def prepared() -> None:
    """What was read, the options, and the button."""
    upload: Upload = st.session_state["upload"]
    preview: Preview = st.session_state["preview"]
    view = f"input_{st.session_state['number']}"
    st.header("What was read")
    left, right = st.columns([3, 2], gap="medium")
    with right:
        summary(upload, preview)
    st.header("Options")
    asked = options.ask(upload, preview, viewer.picked(view))
    with left:
        structure(view, preview, asked.request.freeze)
    submission(upload, preview, asked)


def structure(view: str, preview: Preview, freeze: str) -> None:
    """The model in 3-D, with what is wrong with it and what stays fixed."""
    facts: dict[str, list[str]] = {}
    for problem in preview.problems:
        facts.setdefault(at(problem), []).append(problem.text)
    viewer.show(
        view,
        "The input in 3-D",
        [viewer.Structure("input", "Input", preview.cif)],
        facts=facts,
        marks={at(p): p.kind for p in reversed(preview.problems)},
        frozen=frozen.of_protein(preview.protein, freeze),
        pick=True,
        by_chain=True,
    )
    st.caption(
        "Click a residue to keep it fixed in the run. On the keyboard, full stop and comma go along the chain "
        "and Enter picks."
    )


def submission(upload: Upload, preview: Preview, asked: options.Asked) -> None:
    """The name of the job, the time it will take, and the button."""
    base, request = options.server_settings(), asked.request
    seconds = estimate(preview.residues, request.steps or base.propagation.steps, request.models or base.models)
    name, address, refusal = named(upload)
    refusal = asked.refusal or refusal
    with st.container(key="go"):
        if refusal:
            st.error(plain(refusal), icon=":material/error:")
        with st.container(horizontal=True, vertical_alignment="center"):
            pressed = st.button("Refine", type="primary", icon=":material/play_arrow:", disabled=bool(refusal))
            st.markdown(f"Estimated time: **about {duration(seconds)}** on one core{queue()}.", width="content")
    if not pressed:
        return
    job = Job(
        new_id(),
        user(),
        shown_name(name),
        upload.file,
        QUEUED,
        request.to_dict(),
        preview.residues,
        seconds,
        time.time(),
        mail=address,
    )
    try:
        store().submit(job, {upload.file: upload.data, **asked.files})
    except RefineError as error:
        st.error(plain(str(error)), icon=":material/error:")
    else:
        places.go(places.JOB, job.id)


def named(upload: Upload) -> tuple[str, str, str]:
    """The job's name, the address that is told of its end, and what is wrong with that."""
    mailing = bool(settings().smtp_host)
    left, right = st.columns(2) if mailing else (st.container(), None)
    name = left.text_input("Name of the job", value=upload.name, max_chars=MAX_NAME, key=f"name_{upload.name}")
    if right is None:
        return name, "", ""
    text = right.text_input(
        "E-mail at the end (optional)",
        key="mail",
        help="One e-mail, with the verdict and the address of the job. The address is deleted when it has been sent.",
    )
    try:
        return name, checked_address(text, settings()), ""
    except RefineError as error:
        return name, "", str(error)


def queue() -> str:
    """Who is first, in words; empty when nobody waits."""
    waiting = len(store().jobs(states=(QUEUED,)))
    return f", after {counted(waiting, 'job')} that {'waits' if waiting == 1 else 'wait'}" if waiting else ""


def confidence(preview: Preview) -> None:
    """What the file says of its own accuracy, in AlphaFold's bands where it says that."""
    strips = file_strips(preview.estimate, preview.protein.residue_ids)
    if strips is None:
        text = preview.estimate.sentence
        st.markdown(f"{plain(text[:1].upper() + text[1:])}.")
    else:
        st.html(render("parts/strips.html", confidence=strips))


def summary(upload: Upload, preview: Preview) -> None:
    """The summary beside the view."""
    st.markdown(f"**{plain(upload.name)}** · {preview.format} · {counted(preview.residues, 'residue')}")
    lines = [
        f"Chain {plain(c) or '(blank)'}: {plain(first)} to {plain(last)}, {n} residues"
        for c, first, last, n in preview.chains
    ]
    if preview.hetero:
        lines.append(
            "Carried along unmoved: " + ", ".join(f"{n} × {plain(name)}" for name, n in preview.hetero.items())
        )
    if preview.models > 1:
        lines.append(f"{preview.models} models in the file; the first is taken")
    st.markdown("\n".join(f"- {line}" for line in lines[:12]))
    st.markdown("**Problems**" if preview.problems else "No problems found.")
    places_of = {kind: len({at(p) for p in preview.problems if p.kind == kind}) for kind in viewer.KINDS}
    st.markdown(
        "\n".join(
            f"- {facts['label']}: {counted(places_of[k], 'residue')}"
            for k, facts in viewer.KINDS.items()
            if places_of[k]
        )
    )
    quality = preview.quality
    confidence(preview)
    st.caption(
        f"Clashscore {quality['clashscore']:.0f}, Ramachandran favoured {quality['ramachandran_favoured']:.0f} %."
    )
    if preview.problems:
        with st.expander("Residue by residue"):
            st.text("\n".join(f"{at(p)}: {p.text}" for p in preview.problems[:LINES]))
    if preview.bonds:
        with st.expander(f"Bonds besides the chain ({len(preview.bonds)}), kept in every model"):
            st.text("\n".join(preview.bonds[:LINES]))
    missing = places_of["missing"]
    repairs = [*preview.notes[:LINES], *([f"atoms will be built in {counted(missing, 'residue')}"] if missing else [])]
    if repairs:
        with st.expander(f"Repairs and decisions ({len(repairs)})"):
            st.text("\n".join(repairs))
    else:
        st.caption("Nothing to repair.")


def at(problem: Problem) -> str:
    """The residue of a problem, as the 3-D view names it."""
    return f"{problem.chain}:{problem.number}{problem.insertion}"
