"""The 3-D view of the report (``StructureView`` of refine/report/assets), as the pages use it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from refine.report.render import asset, shared_script

CSS = asset("report.css") + Path(__file__).with_name("component.css").read_text(encoding="utf-8")
_VIEW = """
const views = new WeakMap();
export default function ({ data, parentElement, setStateValue }) {
  const view = views.get(parentElement) ?? new StructureView(parentElement.querySelector(".refine-viewer"));
  views.set(parentElement, view);
  view.handlers.picked = (residues) => setStateValue("picked", residues);
  view.update(data);
  return () => {
    view.close();
    views.delete(parentElement);
  };
}
"""
# 3Dmol is a script for the whole page; as a module it would find no ``this`` to put itself on.
_library = st.components.v2.component(
    "refine_3dmol",
    js=f"if (!window.$3Dmol) {{ (function () {{ {asset('3Dmol-min.js')}\n }}).call(window); }}\n"
    "export default function () {}",
)
_view = st.components.v2.component(
    "refine_view", html='<div class="refine-viewer"></div>', css=CSS, js=shared_script() + _VIEW
)

KINDS = {
    "gap": {"colour": "#d03b8f", "label": "chain break"},
    "missing": {"colour": "#e0a100", "label": "atoms missing"},
    "ramachandran": {"colour": "#d9480f", "label": "Ramachandran outlier"},
    "geometry": {"colour": "#0b8a7d", "label": "bad geometry"},
    "clash": {"colour": "#c92a2a", "label": "clashes"},
}
"""How a problem is marked in the view."""


@dataclasses.dataclass(frozen=True)
class Structure:
    """One structure of the view: the text of an mmCIF file, and a colour or None for the plain one."""

    id: str
    name: str
    text: str
    colour: str | None = None
    faint: bool = False
    visible: bool = True
    format: str = "cif"


def load() -> None:
    """Bring 3Dmol into the page, once."""
    _library(key="library", height=1)


def show(
    key: str,
    label: str,
    structures: Sequence[Structure],
    *,
    facts: Mapping[str, Sequence[str]] | None = None,
    marks: Mapping[str, str] | None = None,
    frozen: Sequence[str] = (),
    pick: bool = False,
    by_chain: bool = False,
) -> None:
    """Show structures. Residues (``A:152``) that are clicked where ``pick`` allows that are ``picked`` from then on.

    Args:
        key: of the component.
        label: what the picture shows, for those who do not see it.
        structures: the first one is gone along with the keyboard.
        facts: residue → lines to show when it is clicked.
        marks: residue → one of ``KINDS``.
        frozen: residues that stay where they are.
        pick: whether a click picks the residue.
        by_chain: whether several chains have colours of their own at first.
    """
    data: dict[str, Any] = {
        "label": label,
        "structures": [dataclasses.asdict(s) for s in structures],
        "modes": [],
        "mode": "chain" if by_chain else "",
        "facts": dict(facts or {}),
        "marks": dict(marks or {}),
        "kinds": KINDS,
        "frozen": list(frozen),
        "pick": pick,
    }
    _view(key=key, data=data, default={"picked": []}, on_picked_change=_nothing)


def picked(key: str) -> list[str]:
    """Residues (``A:152``) that were clicked in the view ``key``."""
    return list((st.session_state.get(key) or {}).get("picked") or [])


def _nothing() -> None:
    """A change of the picked residues reruns the page; there is nothing else to do."""
