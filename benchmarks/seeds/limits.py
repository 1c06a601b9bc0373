"""Numbers of an experiment beside the limits they are held to, as a file that tests read."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refine.files import json_text, write_text

RESULTS = Path(__file__).resolve().parent.parent / "results" / "seeds"
_HOLDS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}

Limits = Mapping[str, tuple[str, float]]
"""Name of a number → relation and bound."""


def judged(numbers: Mapping[str, Any], limits: Limits) -> dict[str, bool]:
    """Whether each limit holds; one whose number is missing or not finite does not."""
    return {
        name: numbers.get(name) is not None and bool(_HOLDS[relation](numbers[name], bound))
        for name, (relation, bound) in limits.items()
    }


def write_result(name: str, numbers: Mapping[str, Any], limits: Limits, how: Mapping[str, Any]) -> bool:
    """Write ``results/seeds/NAME.json`` and print it; gives whether all limits hold.

    Args:
        numbers: what was measured; limits: of some of them; how: command, settings and whatever explains the numbers.
    """
    passed = judged(numbers, limits)
    value = {
        "numbers": dict(numbers),
        "limits": {k: list(v) for k, v in limits.items()},
        "passed": passed,
        "pass": all(passed.values()),
        "cpu_seconds": round(sum(os.times()[:4]), 1),
        "how": dict(how),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    write_text(RESULTS / f"{name}.json", json_text(value))
    print(json_text(value), end="")
    return value["pass"]
