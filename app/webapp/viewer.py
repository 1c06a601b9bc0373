"""The 3-D view as the pages use it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

import refine.report

_HERE = Path(__file__).parent
_LIBRARY = (Path(refine.report.__file__).parent / "assets" / "3Dmol-min.js").read_text(encoding="utf-8")
# 3Dmol is a script for the whole page; as a module it would find no ``this`` to put itself on.
_library = st.components.v2.component(
    "refine_3dmol",
    js=f"if (!window.$3Dmol) {{ (function () {{ {_LIBRARY}\n }}).call(window); }}\nexport default function () {{}}",
)
_view = st.components.v2.component(
    "refine_view",
    html='<div class="refine-viewer"></div>',
    css=(_HERE / "viewer.css").read_text(encoding="utf-8"),
    js=(_HERE / "viewer.js").read_text(encoding="utf-8"),
)

KINDS = {
    "gap": {"colour": "#d03b8f", "label": "chain break"},
    "missing": {"colour": "#e0a100", "label": "atoms missing"},
    "ramachandran": {"colour": "#d9480f", "label": "Ramachandran outlier"},
    "geometry": {"colour": "#0b8a7d", "label": "bad geometry"},
    "clash": {"colour": "#c92a2a", "label": "clashes"},
}


@dataclasses.dataclass(frozen=True)
class Structure:
    """One structure of the view; ``colour`` None: by the chosen mode."""

    id: str
    name: str
    text: str
    colour: str | None = None
    shown: bool = True
    faint: bool = False


@dataclasses.dataclass(frozen=True)
class Mode:
    """A way to colour residues: ``values`` by ``A:152``, from ``low`` to ``high`` of a ramp of viewer.js."""

    id: str
    label: str
    values: Mapping[str, float]
    ramp: str
    low: float
    high: float
    low_text: str
    high_text: str


def load() -> None:
    """Bring 3Dmol into the page, once."""
    _library(key="library", height=1)


def show(
    key: str,
    label: str,
    structures: Sequence[Structure],
    *,
    modes: Sequence[Mode] = (),
    facts: Mapping[str, Sequence[str]] | None = None,
    marks: Mapping[str, str] | None = None,
    pick: bool = False,
) -> list[str]:
    """Show structures; gives the residues that were clicked (``A:152``) where ``pick`` allows that."""
    data: dict[str, Any] = {
        "label": label,
        "structures": [dataclasses.asdict(s) for s in structures],
        "modes": [dataclasses.asdict(m) for m in modes],
        "mode": modes[0].id if modes else "",
        "facts": dict(facts or {}),
        "marks": dict(marks or {}),
        "kinds": KINDS,
        "pick": pick,
        "picked": [],
    }
    result = _view(key=key, data=data, default={"picked": []}, on_picked_change=_nothing)
    return list(result.picked or [])


def _nothing() -> None:
    """A change of the picked residues reruns the page; there is nothing else to do."""
