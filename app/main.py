"""The web app as Streamlit runs it; ``refine app`` starts it."""

from __future__ import annotations

import streamlit as st
from webapp import identity, job_page, new_page, style, viewer
from webapp.places import pages

st.set_page_config(page_title="refine", page_icon=style.ICON, layout="wide")
style.apply()
viewer.load()
identity.keep()
chosen = st.navigation(pages(new_page.page, job_page.page), position="top")
chosen.run()
style.footer()
