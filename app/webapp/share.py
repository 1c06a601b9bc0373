"""A job shown to others: a short link that its owner makes and takes back, and the page that it leads to."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import streamlit as st

from refine.queue.job import Job
from webapp import places
from webapp.identity import user
from webapp.server import settings, store


def link(token: str) -> str:
    """The address that shows the job of a token."""
    here = urlsplit(settings().address or st.context.url or "")
    return urlunsplit((here.scheme, here.netloc, f"{here.path.rstrip('/')}/", f"{places.SHARED}={token}", ""))


@st.dialog("Share this job")
def ask(job: Job) -> None:
    """Make the link of a job of one's own, show it, take it back."""
    token = store().token_of(job.id)
    if token:
        st.write("Whoever has this link sees the job, also while it runs, and can download; nothing else.")
        st.code(link(token), language=None, wrap_lines=True)
        if st.button("Take the link back", icon=":material/link_off:"):
            store().unshare(job.id, user())
            st.rerun(scope="fragment")
    else:
        st.write("A link shows this job to people who reach this server. You can take it back at any time.")
        if st.button("Make a link", type="primary", icon=":material/link:"):
            store().share(job.id, user())
            st.rerun(scope="fragment")
