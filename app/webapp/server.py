"""What all sessions of the app share."""

from __future__ import annotations

import streamlit as st

from refine.queue.settings import AppSettings, from_environment
from refine.queue.store import Store


@st.cache_resource
def store() -> Store:
    """The queue."""
    return Store(from_environment())


def settings() -> AppSettings:
    """How the app was started."""
    return store().settings
