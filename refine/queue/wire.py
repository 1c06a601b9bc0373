"""Answers of a reading process as JSON: what comes back from where a hostile file was parsed is data, never code.

Only the classes of ``KNOWN`` are made of it, of plain values and arrays of numbers.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import numpy as np

from refine.errors import EngineError, InputError, ModelError, RefineError
from refine.queue.uploads import Preview, Problem, Upload
from refine.structure.file_estimate import FileEstimate
from refine.structure.protein import Connection, HeteroAtom, Protein, ResidueId, Site

KNOWN = {
    c.__name__: c for c in (Upload, Preview, Problem, FileEstimate, Protein, ResidueId, HeteroAtom, Connection, Site)
}
ERRORS = {c.__name__: c for c in (InputError, ModelError, EngineError)}
_ABOUT = ("message", "file", "chain", "residue", "remedy")


def packed(value: Any) -> bytes:
    """``value`` as ``unpacked`` takes it: plain values, numeric arrays, tuples and objects of ``KNOWN``."""
    return json.dumps(_plain(value)).encode()


def packed_error(error: RefineError) -> bytes:
    """``error`` as ``unpacked`` raises it."""
    kind = type(error).__name__ if type(error).__name__ in ERRORS else InputError.__name__
    return json.dumps({"error": kind, **{name: getattr(error, name) for name in _ABOUT}}).encode()


def unpacked(data: bytes) -> Any:
    """What ``packed`` was given; raises the error that ``packed_error`` was given, and ValueError on anything else."""
    values = json.loads(data)
    if isinstance(values, dict) and "error" in values:
        raise ERRORS[values["error"]](values["message"], **{name: values[name] for name in _ABOUT[1:]})
    return _object(values)


def _plain(value: Any) -> Any:
    name = type(value).__name__
    if name in KNOWN:
        fields = value._fields if hasattr(value, "_fields") else [f.name for f in dataclasses.fields(value)]
        return {"class": name, "fields": {field: _plain(getattr(value, field)) for field in fields}}
    if isinstance(value, np.ndarray):
        assert value.dtype.kind in "biuf", value.dtype
        raw = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": raw, "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, tuple):
        return {"tuple": [_plain(v) for v in value]}
    if isinstance(value, dict):
        return {"dict": {key: _plain(v) for key, v in value.items()}}
    if isinstance(value, np.generic):
        return value.item()
    assert value is None or isinstance(value, (str, bool, int, float, list, bytes)), type(value)
    return {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _object(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "class" in value:
        if value["class"] not in KNOWN:
            raise ValueError(f"no known class: {value['class']}")
        return KNOWN[value["class"]](**{name: _object(v) for name, v in value["fields"].items()})
    if "array" in value:
        dtype = np.dtype(value["dtype"])
        if dtype.kind not in "biuf":
            raise ValueError(f"no array of numbers: {dtype}")
        return np.frombuffer(base64.b64decode(value["array"]), dtype).reshape(value["shape"]).copy()
    if "tuple" in value:
        return tuple(map(_object, value["tuple"]))
    if "bytes" in value:
        return base64.b64decode(value["bytes"])
    return {key: _object(v) for key, v in value["dict"].items()}
