"""JSON of a run folder held to the shape that its readers rely on: what does not fit is taken out and named."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refine.errors import InputError

NUMBER = (int, float)
NAME = re.compile(r"(?!\.)[\w.+-]{1,200}")
"""Name of a structure or of a file in the folder; never a path."""
_WORDS = [str]
_FINISHING = {
    "flag": str, "level": str, "clashes_before": NUMBER, "clashes_after": NUMBER, "mean_ca_shift": NUMBER,
    "max_ca_shift": NUMBER, "repacked": _WORDS, "completed": _WORDS, "notes": _WORDS,
}  # fmt: skip
RECORD: Mapping[str, Any] = {
    "status": str, "input": str, "input_sha256": str, "command": _WORDS, "started": str, "device": str,
    "versions": {}, "machine": {}, "settings": {}, "timings": {}, "sampling": {}, "report": {}, "confidence": {},
    "residues": NUMBER, "seconds": NUMBER, "chains": _WORDS, "files": _WORDS,
    "improved": bool, "verdict": str, "judgement": {"word": str, "reason": str},
    "notes": [{"kind": str, "message": str, "chain": str, "residue": str}],
    "models": [{"name": NAME, "cif": NAME, "pdb": NAME, "source": str, "score": NUMBER, "confidence": NUMBER,
                "finishing": _FINISHING}],
}  # fmt: skip
"""run.json; null stands for a number that is not finite, keys that are not named may hold anything."""
COMPARISON: Mapping[str, Any] = {
    "native": str, "matching": str, "native_quality": {}, "scores": {}, "residues": _WORDS,
    "native_index": [int], "per_residue": {},
}  # fmt: skip
"""comparison.json."""


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object of a file.

    Raises:
        OSError: it cannot be read.
        InputError: it is no JSON, or no object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path.name} is not valid JSON: {error}", file=str(path), remedy="Run refine again"
        ) from error
    if not isinstance(value, dict):
        raise InputError(f"{path.name} holds no object", file=str(path), remedy="Run refine again")
    return value


def fitted(value: Any, shape: Any, name: str, taken_out: list[str]) -> Any:
    """``value`` without the parts that do not have ``shape``, whose names go to ``taken_out``; None where it has not at
    all.

    A shape is a type or several, a pattern of whole texts, a list with the shape of the elements, or a mapping of the
    keys that matter.
    """
    if isinstance(shape, Mapping) and isinstance(value, dict):
        parts = {k: fitted(v, shape[k], f"{name}.{k}", taken_out) if k in shape else v for k, v in value.items()}
        return {k: v for k, v in parts.items() if v is not None or value[k] is None}
    if isinstance(shape, list) and isinstance(value, list):
        items = [fitted(v, shape[0], f"{name}[{i}]", taken_out) for i, v in enumerate(value)]
        return [item for item, before in zip(items, value, strict=True) if item is not None or before is None]
    if value is None:
        return None
    good = isinstance(value, str) and shape.fullmatch(value) if isinstance(shape, re.Pattern) else (
        isinstance(shape, (type, tuple)) and isinstance(value, shape)
        and (shape is bool or not isinstance(value, bool))
    )  # fmt: skip
    if good:
        return value
    taken_out.append(name)
    return None
