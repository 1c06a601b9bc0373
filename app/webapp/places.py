"""Where one is in the app: told by the query of the address alone.

Pages with paths of their own would make Streamlit's client ask for its files below them first, with an error in the
console each time.
"""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

NEW, JOBS, JOB, AGAIN, SHARED, HELP, SAMPLE = "new", "jobs", "job", "again", "s", "help", "sample"


def here() -> tuple[str, str]:
    """The place of this address and what it names: the id of a job, the token of a link, or nothing of meaning."""
    for place in (JOB, JOBS, AGAIN, SHARED, HELP, SAMPLE):
        if place in st.query_params:
            return place, st.query_params[place]
    return NEW, ""


def go(place: str, name: str = "", **more: str) -> NoReturn:
    """Show another place."""
    st.query_params.from_dict({} if place == NEW else {place: name, **more})
    st.rerun()


def menu() -> None:
    """The places that are always there, above every page."""
    at, _ = here()
    with st.container(horizontal=True, key="menu"):
        for place, title, icon in (
            (NEW, "Refine a model", ":material/upload_file:"),
            (JOBS, "Jobs", ":material/list_alt:"),
            (HELP, "Help", ":material/help:"),
        ):
            inside = at == place or (place, at) in ((NEW, AGAIN), (JOBS, JOB), (HELP, SAMPLE))
            if st.button(title, icon=icon, type="secondary" if inside else "tertiary", key=f"to_{place}"):
                go(place, "" if place == NEW else "all")
