"""Who is looking: the name a reverse proxy gives, else a random cookie of the browser."""

from __future__ import annotations

import re
import secrets

import streamlit as st

from webapp.server import settings

COOKIE = "refine_user"
_SET = """
export default function ({ data }) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${data.name}=${data.value}; path=/; max-age=31536000; SameSite=Lax${secure}`;
}
"""
_cookie = st.components.v2.component("refine_cookie", js=_SET)


def admit() -> None:
    """End the page here, in words, when a proxy should have told who is looking and has not."""
    header = settings().user_header
    if header and not (st.context.headers.get(header) or "").strip():
        st.error(
            "Nobody is logged in: the proxy in front of this server did not say who you are. Open the page through the "
            "address that your laboratory uses, or ask its keeper.",
            icon=":material/lock:",
        )
        st.stop()


def user() -> str:
    """Name of the user of this session, for the queue; never shown. Only after ``admit``."""
    header = settings().user_header
    if header:
        return "name:" + st.context.headers[header].strip()
    if "user" not in st.session_state:
        cookie = st.context.cookies.get(COOKIE, "")
        st.session_state["user"] = cookie if re.fullmatch(r"[0-9a-f]{32}", cookie) else secrets.token_hex(16)
    return f"cookie:{st.session_state['user']}"


def keep() -> None:
    """Let the browser remember who it is."""
    name = user()
    if name.startswith("cookie:"):
        _cookie(key="cookie", data={"name": COOKIE, "value": name.removeprefix("cookie:")}, height=1)
