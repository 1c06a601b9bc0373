"""Spacing and width, the same on every page."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from webapp.server import settings
from webapp.text import counted

ICON = Path(__file__).with_name("icon.svg")
"""From a file: an icon by name would be fetched from the network."""
_CSS = Path(__file__).with_name("style.css")


def apply() -> None:
    """Put the style sheet into the page."""
    st.html(f"<style>{_CSS.read_text(encoding='utf-8')}</style>")


def footer() -> None:
    """What happens to jobs, in one line."""
    limits = settings()
    st.divider()
    st.caption(
        f"Everything stays on this server. Jobs are deleted {limits.keep_days:g} days after they ended. "
        f"Limits: {limits.max_upload_mb} MB a file, {limits.max_residues:,} residues, "
        f"{counted(limits.user_jobs, 'job')} at a time and {limits.user_mb:,} MB a user, "
        f"{limits.max_seconds / 3600:g} h a job."
    )
