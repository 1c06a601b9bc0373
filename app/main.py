"""The web app as Streamlit runs it; ``refine app`` starts it."""

from __future__ import annotations

import streamlit as st
from webapp import help_page, identity, job_page, new_page, places, server, style, viewer

st.set_page_config(page_title="refine", page_icon=style.ICON, layout="wide")
server.settle()
style.apply()
identity.admit()
viewer.load()
identity.keep()
places.menu()
place, name = places.here()
if place == places.JOB:
    job_page.page(name)
elif place == places.JOBS:
    job_page.listing()
elif place == places.SHARED:
    job_page.shared(name)
elif place == places.HELP:
    help_page.page()
elif place == places.SAMPLE:
    help_page.sample()
else:
    new_page.page(name)
style.footer()
