"""Numbers and text on their way into a web page: small, exact to a stated step, and never markup."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def packed(array: NDArray[Any]) -> str:
    """Little-endian bytes of an array, deflated, in base64; ``unpack`` of assets/elements.js reads them."""
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def short(values: Iterable[float | None], digits: int = 4) -> list[float | None]:
    """Numbers with so many significant digits; None for what is not finite."""
    return [float(f"{v:.{digits}g}") if v is not None and math.isfinite(v) else None for v in values]


def in_steps(
    values: NDArray[np.floating], step: float, kind: type[np.unsignedinteger[Any]] | type[np.signedinteger[Any]]
) -> NDArray[Any]:
    """``values / step`` rounded, cut to the range of the integer type; NaN becomes its largest value, which no number
    gets.
    """
    limits = np.iinfo(kind)
    missing = ~np.isfinite(values)
    whole = np.clip(np.rint(np.where(missing, 0.0, values) / step), limits.min, limits.max - 1)
    return np.where(missing, limits.max, whole).astype(kind)


def script_json(value: Mapping[str, Any]) -> str:
    """JSON for a ``<script type="application/json">``: nothing in it can end the element or begin another."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
