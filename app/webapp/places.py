"""The pages and their addresses."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.navigation.page import StreamlitPage

NEW, JOBS = "new", "jobs"


def pages(new: Callable[[], None], jobs: Callable[[], None]) -> list[StreamlitPage]:
    """The pages, kept in the session so that they can be switched to from anywhere."""
    made = {
        NEW: st.Page(new, title="Refine a model", icon=":material/upload_file:", url_path=NEW, default=True),
        JOBS: st.Page(jobs, title="Jobs", icon=":material/list_alt:", url_path=JOBS),
    }
    st.session_state["pages"] = made
    return list(made.values())


def go(place: str, **query: str) -> None:
    """Show another page; ``query`` becomes part of its address."""
    st.switch_page(st.session_state["pages"][place], query_params=query)


def address(**query: str) -> str:
    """Address of the jobs page, relative to the server."""
    return f"/{JOBS}?" + "&".join(f"{k}={v}" for k, v in query.items())
