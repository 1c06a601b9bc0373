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
from webapp import live, places, result
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
    if job.active:
        watch(job)
    else:
        ended(job)
    st.caption("This page can be bookmarked, and shared with people who reach this server.")


def head(job: Job) -> None:
    """Name, state, and what can be done."""
    st.title(plain(job.name))
    st.markdown(
        f":{COLOURS[job.state]}-badge[{job.state}] &nbsp; {counted(job.residues, 'residue')} · "
        f"submitted {time.strftime('%d %B %Y, %H:%M', time.localtime(job.submitted))}"
    )
    if job.active and job.user == user() and not job.cancel and st.button("Cancel", icon=":material/stop_circle:"):
        ask_to_cancel(job)


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
def watch(before: Job) -> None:
    """A job that waits or runs, every two seconds anew; the whole page when its state is no longer that of ``before``,
    which the head of the page shows.
    """
    job = store().find(before.id)
    if job is None or (job.state, job.cancel) != (before.state, before.cancel):
        st.rerun()
    elif job.state == QUEUED:
        ahead = store().place(job)
        st.info(
            f"Waiting: {counted(ahead, 'job')} before this one. You can close this page and come back.",
            icon=":material/hourglass:",
        )
    elif job.cancel:
        st.info("Being cancelled …", icon=":material/stop_circle:")
    else:
        live.show(job, store().root / "jobs" / job.id / RUN)


def ended(job: Job) -> None:
    """A job that has ended: what came of it first."""
    try:
        folder = store().folder(job.id)
    except RefineError as error:
        st.error(plain(str(error)))
        return
    if job.state == FAILED:
        st.error(plain(job.message), icon=":material/error:")
    elif job.state == CANCELLED:
        st.warning("This job was cancelled.", icon=":material/stop_circle:")
    else:
        try:
            result.show(job, folder)
        except RefineError as error:
            st.error(plain(str(error)), icon=":material/error:")
    log = folder / CONSOLE
    with st.expander("Log and command", expanded=job.state == FAILED):
        st.code(from_dict(job.options).shown(job.file, settings().base), language="bash", wrap_lines=True)
        if log.is_file() and not log.is_symlink():
            st.code(
                log.read_text(encoding="utf-8", errors="replace")[-20_000:] or "(nothing)",
                language=None,
                wrap_lines=True,
                height=240,
            )
    if st.button("Run again with other options", icon=":material/replay:"):
        places.go(places.AGAIN, job.id)
    if job.user == user() and st.button("Delete this job", icon=":material/delete:"):
        ask_to_delete(job)


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
