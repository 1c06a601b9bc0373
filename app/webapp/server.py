"""What all sessions of the app share."""

from __future__ import annotations

import gc

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


@st.cache_resource
def settle() -> None:
    """Leave what has been imported out of all later searches for garbage, once all of it is there.

    Streamlit collects garbage after every run of a page; looking through the objects of the libraries each time took
    nine tenths of the page.
    """
    gc.collect()
    gc.freeze()
