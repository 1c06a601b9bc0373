"""A job while it waits, runs and when it has ended; and the list of one's own jobs."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from refine.errors import RefineError
from refine.queue.job import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job
from refine.queue.request import RUN, from_dict
from refine.queue.supervisor import delete
from refine.queue.worker import CONSOLE
from webapp import live, places, result, share
from webapp.identity import user
from webapp.server import settings, store
from webapp.text import counted, duration, plain, size

COLOURS = {QUEUED: "gray", RUNNING: "blue", DONE: "green", FAILED: "red", CANCELLED: "orange"}


def page(job_id: str) -> None:
    """The page of a job."""
    job = store().find(job_id)
    if job is None:
        st.title("No such job")
        st.write("The address is wrong, or the job has been deleted.")
        if st.button("To my jobs"):
            places.go(places.JOBS, "all")
        return
    head(job)
    if job.user == user():
        actions(job)
    if job.active:
        watch(job)
    else:
        ended(job)
    if job.user == user():
        st.caption("The address of this page opens the job again, from any browser: keep it. To show others, share it.")


def shared(token: str) -> None:
    """The page behind a link to a job: what it shows, and nothing that could change it or tell its address."""
    job = store().shared(token)
    if job is None:
        st.title("This link leads nowhere")
        st.write("It was taken back, or the job has been deleted. Ask who gave it to you.")
        return
    head(job)
    if job.active:
        watch(job, token)
    else:
        outcome(job, to_others=True)
    st.caption("Somebody shares this job with you: you can look and download.")


def head(job: Job) -> None:
    """Name and state."""
    st.title(plain(job.name))
    st.markdown(
        f":{COLOURS[job.state]}-badge[{job.state}] &nbsp; {counted(job.residues, 'residue')} · "
        f"submitted {time.strftime('%d %B %Y, %H:%M', time.localtime(job.submitted))}"
    )
    if job.mail and job.active and job.user == user():
        st.caption(f"{plain(job.mail)} gets an e-mail when it has ended.")


def actions(job: Job) -> None:
    """What the owner of a job can do while it is there."""
    with st.container(horizontal=True, key="actions"):
        if job.active and not job.cancel and st.button("Cancel", icon=":material/stop_circle:"):
            ask_to_cancel(job)
        if st.button("Share", icon=":material/share:"):
            share.ask(job)
        if not job.active:
            if st.button("Run again with other options", icon=":material/replay:"):
                places.go(places.AGAIN, job.id)
            if st.button("Delete this job", icon=":material/delete:"):
                ask_to_delete(job)


@st.dialog("Cancel this job?")
def ask_to_cancel(job: Job) -> None:
    """Ask once, then cancel."""
    st.write("It stops. What it has computed so far is kept until you delete the job.")
    if st.button("Cancel the job", type="primary", icon=":material/stop_circle:"):
        act(lambda: store().cancel(job.id, user()))
        st.rerun()


@st.dialog("Delete this job?")
def ask_to_delete(job: Job) -> None:
    """Ask once, then delete and say so on the list of jobs."""
    st.write("Its input, models and report are deleted for good.")
    if st.button("Delete it", type="primary", icon=":material/delete:"):
        act(lambda: delete(store(), store().deletable(job.id, user())))
        st.session_state["deleted"] = job.name
        places.go(places.JOBS, "all")


def act(what: Callable[[], None]) -> None:
    """Do something to a job, or say why not and end the page there."""
    try:
        what()
    except RefineError as error:
        st.error(plain(str(error)))
        st.stop()


@st.fragment(run_every=2.0)
def watch(before: Job, token: str = "") -> None:
    """A job that waits or runs, every two seconds anew; the whole page when its state is no longer that of ``before``,
    which the head of the page shows, or when the link of ``token`` was taken back.
    """
    job = store().shared(token) if token else store().find(before.id)
    if job is None or (job.state, job.cancel) != (before.state, before.cancel):
        st.rerun()
    elif job.state == QUEUED:
        st.info(f"{waiting(job)} You can close this page and come back.", icon=":material/hourglass:")
    elif job.cancel:
        st.info("Being cancelled …", icon=":material/stop_circle:")
    else:
        live.show(job, store().root / "jobs" / job.id / RUN)


def waiting(job: Job) -> str:
    """The place of a job in the queue, in words."""
    turn = store().turn(job)
    if turn is None or not turn.seconds:
        return "It starts in a moment."
    place = f"Waiting, {counted(turn.ahead, 'job')} before this one" if turn.ahead else "Next in the queue"
    return f"{place}: it starts in {f'about {duration(turn.seconds)}' if turn.seconds >= 1 else 'a moment'}."


def ended(job: Job) -> None:
    """A job that has ended: what came of it first, then how."""
    outcome(job)
    log = store().root / "jobs" / job.id / CONSOLE
    with st.expander("Log and command", expanded=job.state == FAILED):
        st.code(from_dict(job.options).shown(job.file, settings().base), language=None, wrap_lines=True)
        if log.is_file() and not log.is_symlink():
            text = log.read_text(encoding="utf-8", errors="replace")[-20_000:] or "(nothing)"
            st.code(text, language=None, wrap_lines=True, height=240 if text.count("\n") > 8 else "content")


def outcome(job: Job, to_others: bool = False) -> None:
    """What came of a job that has ended."""
    try:
        folder = store().folder(job.id)
        if job.state == FAILED:
            st.error(plain(job.message), icon=":material/error:")
        elif job.state == CANCELLED:
            st.warning("This job was cancelled.", icon=":material/stop_circle:")
        else:
            result.show(folder / RUN, job.file.rpartition(".")[0], None if to_others else job)
    except RefineError as error:
        st.error(plain(str(error)), icon=":material/error:")


def listing() -> None:
    """The jobs of this user."""
    st.title("Jobs")
    if deleted := st.session_state.pop("deleted", ""):
        st.success(f"{plain(deleted)} was deleted.", icon=":material/delete:")
    jobs = store().jobs(user=user())
    if not jobs:
        st.write("You have no jobs here yet.")
        if st.button("Refine a model", type="primary"):
            places.go(places.NEW)
        return
    used = sum(job.bytes for job in jobs)
    st.caption(f"{counted(len(jobs), 'job')}, {size(used)} of {settings().user_mb:,} MB")
    for job in jobs:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"row_{job.id}"):
            when = time.strftime("%d %b, %H:%M", time.localtime(job.submitted))
            took = f" · {duration(job.ended - job.started)}" if job.ended and job.started else ""
            st.markdown(
                f":{COLOURS[job.state]}-badge[{job.state}] &nbsp; **{plain(job.name)}** · {job.residues} residues"
                f" · {when}{took}"
            )
            if st.button("Open", key=f"open_{job.id}"):
                places.go(places.JOB, job.id)
