"""How the scripts of this folder keep what they measured: numbers, the limits set for them, and which were missed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent.parent / "results" / "seeds"

Limits = Mapping[str, tuple[float | None, float | None]]
"""Name of a number → the least and the largest value that passes; None is no bound."""


def missed(numbers: Mapping[str, Any], limits: Mapping[str, Any]) -> list[str]:
    """Names of the limits that ``numbers`` do not keep; a number that is absent or NaN misses its limit."""
    out = []
    for name, (low, high) in limits.items():
        value = numbers.get(name)
        if value is None or not (low is None or value >= low) or not (high is None or value <= high):
            out.append(name)
    return out


def record(name: str, numbers: Mapping[str, Any], limits: Limits, note: str = "") -> dict[str, Any]:
    """Write ``NAME.json`` of the results and print it; CPU seconds of this process are added to the numbers."""
    kept = {"cpu_seconds": round(time.process_time(), 1)}
    kept |= {key: round(v, 5) if isinstance(v, float) else v for key, v in numbers.items()}
    failed = missed(kept, limits)
    result = {"numbers": kept, "limits": dict(limits), "missed": failed, "pass": not failed, "note": note}
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    return result
