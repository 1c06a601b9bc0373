"""Columns of BinaryCIF files (specification 0.3 of github.com/molstar/BinaryCIF).

Biopython's parser of the same format takes label chain ids for author ones, ignores masks and needs a path; this
decoder does none of that. It reads one category into text columns; it does not write.
"""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from refine.errors import InputError

MAX_ROWS = 20_000_000
"""Longest column that is unpacked; run lengths could otherwise ask for any amount of memory."""

_TYPES = {1: "<i1", 2: "<i2", 3: "<i4", 4: "<u1", 5: "<u2", 6: "<u4", 32: "<f4", 33: "<f8"}


def read_category(data: bytes, category: str, file: str, *, optional: bool = False) -> dict[str, NDArray[Any]]:
    """Columns of one category of the first data block that has it, by name in lower case; masked values are ``"."`` or
    ``"?"``. Where no block has an ``optional`` category there are no columns.

    Raises:
        InputError: damaged data or no such category.
    """
    try:
        content = msgpack.unpackb(data, strict_map_key=False)
        for block in content["dataBlocks"]:
            for table in block["categories"]:
                if table["name"] == category and table["rowCount"]:
                    columns = {column["name"].lower(): _column(column) for column in table["columns"]}
                    if any(len(column) != table["rowCount"] for column in columns.values()):
                        raise ValueError("columns of unequal length")
                    return columns
    except (ValueError, KeyError, TypeError, IndexError, msgpack.UnpackException) as error:
        raise InputError(
            "The BinaryCIF file is damaged or cut off", file=file, remedy="Download or copy it again"
        ) from error
    if optional:
        return {}
    raise InputError(
        f"The BinaryCIF file holds no {category} table", file=file, remedy="Give the coordinate file of the model"
    )


def _column(column: dict[str, Any]) -> NDArray[Any]:
    values = _decode(column["data"]["data"], column["data"]["encoding"])
    if column.get("mask"):
        mask = _decode(column["mask"]["data"], column["mask"]["encoding"])
        values = values.astype(object)
        values[mask == 1] = "."
        values[mask == 2] = "?"
    return values


def _decode(data: Any, encodings: list[dict[str, Any]]) -> NDArray[Any]:
    for encoding in reversed(encodings):
        data = _step(data, encoding)
    return np.asarray(data)


def _step(data: Any, encoding: dict[str, Any]) -> NDArray[Any]:
    """Undo one encoding, formulas as in the specification."""
    kind = encoding["kind"]
    if kind == "ByteArray":
        return np.frombuffer(data, np.dtype(_TYPES[encoding["type"]]))
    if kind == "FixedPoint":
        return np.asarray(data, np.float64) / encoding["factor"]
    if kind == "IntervalQuantization":
        width = (encoding["max"] - encoding["min"]) / (encoding["numSteps"] - 1)
        return encoding["min"] + np.asarray(data, np.float64) * width
    if kind == "RunLength":
        values, counts = np.asarray(data[::2]), np.asarray(data[1::2], np.int64)
        if (counts < 0).any() or counts.sum() > MAX_ROWS:
            raise ValueError("run lengths out of range")
        return np.repeat(values, counts)
    if kind == "Delta":
        return np.cumsum(np.asarray(data, np.int64)) + encoding["origin"]
    if kind == "IntegerPacking":
        return _unpack(data, encoding["byteCount"], encoding["isUnsigned"])
    if kind == "StringArray":
        offsets = _decode(encoding["offsets"], encoding["offsetEncoding"])
        text = encoding["stringData"]
        words = np.array([text[a:b] for a, b in zip(offsets[:-1], offsets[1:], strict=True)] + [""], dtype=object)
        return words[_decode(data, encoding["dataEncoding"])]
    raise ValueError(f"unknown BinaryCIF encoding {kind}")


def _unpack(data: NDArray[Any], byte_count: int, unsigned: bool) -> NDArray[np.int64]:
    """Integer packing: values at the limit of the small type are carried into the next one."""
    top = 2 ** (8 * byte_count - (0 if unsigned else 1)) - 1
    bottom = 0 if unsigned else -top - 1
    wide = np.asarray(data, np.int64)
    carried = (wide == top) if unsigned else ((wide == top) | (wide == bottom))
    ends = np.flatnonzero(~carried)
    totals = np.cumsum(wide)[ends]
    return np.diff(totals, prepend=0)
