"""Text of users inside Markdown: shown as it is, never as markup."""

from __future__ import annotations

import re

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&^=\"'@/])")


def plain(text: str) -> str:
    """``text`` with everything escaped that Markdown, HTML, LaTeX or Streamlit's colour and icon marks would act on."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def duration(seconds: float) -> str:
    """``40 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(number: float) -> str:
    """Bytes as ``12 kB`` or ``3.4 MB``."""
    return f"{number / 1e3:.0f} kB" if number < 1e6 else f"{number / 1e6:.1f} MB"


def counted(number: int, noun: str) -> str:
    """``1 chain``, ``3 chains``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
