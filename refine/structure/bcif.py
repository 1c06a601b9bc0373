"""Columns of BinaryCIF files (specification 0.3 of github.com/molstar/BinaryCIF).

Biopython's parser of the same format takes label chain ids for author ones, ignores masks and needs a path; this
decoder does none of that. It reads columns of one category; it does not write. Every size that a file declares is
checked against the bytes that are there before anything is made of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from refine.errors import InputError

_TYPES = {1: "<i1", 2: "<i2", 3: "<i4", 4: "<u1", 5: "<u2", 6: "<u4", 32: "<f4", 33: "<f8"}
_LONGEST_LIST = 20_000
"""Most categories of a block, columns of a category or keys of a map."""
_LONGEST_TEXT = 1000
"""Most letters of a value; atom names and chain ids have a few."""
_MOST_STEPS = 8
"""Most encodings of a column, one upon the other; writers use up to four."""

Column = NDArray[Any]


class _Damaged(ValueError):
    """What is wrong, in words for the user."""


def read_category(
    data: bytes, category: str, file: str, names: Collection[str] | None, *, optional: bool = False
) -> dict[str, Column]:
    """Columns of one category of the first data block that has it, by name in lower case; masked values are ``"."`` or
    ``"?"``. Where no block has an ``optional`` category there are no columns.

    Args:
        data: the file.
        category: with its underscore.
        file: for messages.
        names: the columns that are wanted, in lower case; no other is decoded. None: all.

    Returns:
        name → (rows,) integers, floats, or an object array (texts, or values with masked ones among them).

    Raises:
        InputError: damaged data or no such category.
    """
    try:
        for table in _tables(data):
            if table.get("name") == category and table.get("rowCount"):
                return _columns(table, names, most_rows=len(data))
    except _Damaged as error:
        raise InputError(
            f"The BinaryCIF file is damaged or cut off: {category}{error}",
            file=file, remedy="Download or copy it again, or write it with another program",
        ) from error  # fmt: skip
    if optional:
        return {}
    raise InputError(
        f"The BinaryCIF file holds no {category} table", file=file, remedy="Give the coordinate file of the model"
    )


def _tables(data: bytes) -> Iterator[Mapping[str, Any]]:
    """Categories of all blocks."""
    try:
        content = msgpack.unpackb(data, max_array_len=_LONGEST_LIST, max_map_len=_LONGEST_LIST)
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        reason = str(error).split("\n")[0][:100] or type(error).__name__
        raise _Damaged(f" cannot be reached, the file is no whole MessagePack ({reason})") from error
    for block in _list(content, "dataBlocks"):
        yield from _list(block, "categories")


def _columns(table: Mapping[str, Any], names: Collection[str] | None, most_rows: int) -> dict[str, Column]:
    rows = _integer(table, "rowCount", 0, 2**62)
    if rows > most_rows:
        raise _Damaged(f" declares {rows} rows, more than the file has bytes")
    columns: dict[str, Column] = {}
    for column in _list(table, "columns"):
        name = column.get("name")
        if not isinstance(name, str):
            raise _Damaged(" has a column without a name")
        name = name.lower()
        if names is not None and name not in names:
            continue
        if name in columns:
            raise _Damaged(f" has the column {name} twice")
        try:
            columns[name] = _column(column, rows)
        except _Damaged as error:
            raise _Damaged(f", column {name}: {error}") from error
    if not columns:
        raise _Damaged(" has none of the columns that are needed")
    return columns


def _column(column: Mapping[str, Any], rows: int) -> Column:
    values = _decode(_map(column, "data"), rows)
    if len(values) != rows:
        raise _Damaged(f"{len(values)} values in {rows} rows")
    if column.get("mask"):
        mask = _whole(_decode(_map(column, "mask"), rows))
        if len(mask) != rows:
            raise _Damaged(f"a mask of {len(mask)} values for {rows} rows")
        values = values.astype(object)
        values[mask == 1] = "."
        values[mask == 2] = "?"
    return values


def _decode(encoded: Mapping[str, Any], rows: int) -> Column:
    """Values of a column or mask; texts only where its first encoding is a StringArray."""
    steps, data = _list(encoded, "encoding"), encoded.get("data")
    if steps and steps[0].get("kind") == "StringArray":
        if len(steps) > 1:
            raise _Damaged("an encoding below a StringArray")
        return _texts(data, steps[0], rows)
    return _numbers(data, steps, rows)


def _texts(data: Any, encoding: Mapping[str, Any], rows: int) -> Column:
    text = encoding.get("stringData")
    if not isinstance(text, str):
        raise _Damaged("a StringArray without text")
    offsets = _whole(_numbers(encoding.get("offsets"), _list(encoding, "offsetEncoding"), len(text) + rows + 1))
    lengths = np.diff(offsets)
    if len(offsets) and (offsets[0] < 0 or offsets[-1] > len(text) or (lengths < 0).any()):
        raise _Damaged("offsets of a StringArray out of order or beyond its text")
    if (lengths > _LONGEST_TEXT).any():
        raise _Damaged(f"a text of {int(lengths.max())} letters")
    bounds = offsets.tolist()
    words = np.array([text[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)] + [""], dtype=object)
    index = _whole(_numbers(data, _list(encoding, "dataEncoding"), rows))
    if ((index < -1) | (index >= len(words) - 1)).any():
        raise _Damaged("an index of a StringArray beyond its texts")
    return words[index]  # -1 stands for no text: the last of the words


def _numbers(data: Any, steps: list[Mapping[str, Any]], most: int) -> Column:
    """Undo encodings from the last, a ByteArray, to the first; ``most`` values at most come out of run lengths."""
    if not steps or len(steps) > _MOST_STEPS or steps[-1].get("kind") != "ByteArray" or not isinstance(data, bytes):
        raise _Damaged(f"{len(steps)} encodings that do not end in bytes")
    kind = _integer(steps[-1], "type", 0, 100)
    if kind not in _TYPES or len(data) % np.dtype(_TYPES[kind]).itemsize:
        raise _Damaged(f"{len(data)} bytes that are no array of type {kind}")
    values: Column = np.frombuffer(data, np.dtype(_TYPES[kind]))
    for encoding in reversed(steps[:-1]):
        values = _step(values, encoding, most)
    return values


def _step(values: Column, encoding: Mapping[str, Any], most: int) -> Column:
    """Undo one encoding, formulas as in the specification."""
    kind = encoding.get("kind")
    with np.errstate(all="ignore"):  # what overflows is infinite, and refused where it is used
        if kind == "FixedPoint":
            return values / _number(encoding, "factor", zero=False)
        if kind == "IntervalQuantization":
            low, high = _number(encoding, "min"), _number(encoding, "max")
            return low + values * ((high - low) / (_integer(encoding, "numSteps", 2, 2**40) - 1))
    values = _whole(values)
    if kind == "RunLength":
        counts = values[1::2]
        if len(values) % 2 or (counts < 0).any() or (counts > most).any() or counts.sum() > most:
            raise _Damaged("run lengths that do not fit the number of rows")
        return np.repeat(values[::2], counts)
    if kind == "Delta":
        return np.cumsum(values) + _integer(encoding, "origin", -(2**40), 2**40)
    if kind == "IntegerPacking":
        return _unpack(values, encoding)
    raise _Damaged(f"the encoding {str(kind)[:40]!r} is not known or stands in a wrong place")


def _unpack(values: NDArray[np.int64], encoding: Mapping[str, Any]) -> NDArray[np.int64]:
    """Integer packing: values at the limit of the small type are carried into the next one."""
    byte_count, unsigned = _integer(encoding, "byteCount", 1, 2), bool(encoding.get("isUnsigned"))
    top = 2 ** (8 * byte_count - (0 if unsigned else 1)) - 1
    bottom = 0 if unsigned else -top - 1
    if len(values) and (values.max() > top or values.min() < bottom):
        raise _Damaged(f"packed integers of more than {byte_count} bytes")
    carried = (values == top) if unsigned else ((values == top) | (values == bottom))
    if len(values) and carried[-1]:
        raise _Damaged("packed integers that end in the middle of one")
    totals = np.cumsum(values)[~carried]
    return np.diff(totals, prepend=0)


def _whole(values: Column) -> NDArray[np.int64]:
    if values.dtype.kind not in "iu":
        raise _Damaged("other values where whole numbers should stand")
    return values.astype(np.int64)


def _list(of: Any, key: str) -> list[Mapping[str, Any]]:
    """The list of maps that ``of`` has under ``key``."""
    values = of.get(key) if isinstance(of, Mapping) else None
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise _Damaged(f" lacks {key}" if key in ("dataBlocks", "categories", "columns") else f"no {key}")
    return values


def _map(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = of.get(key)
    if not isinstance(value, Mapping):
        raise _Damaged(f"no {key}")
    return value


def _integer(of: Mapping[str, Any], key: str, least: int, most: int) -> int:
    value = of.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _Damaged(f"{key} is {str(value)[:40]}")
    return value


def _number(of: Mapping[str, Any], key: str, *, zero: bool = True) -> float:
    value = of.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e30:
        raise _Damaged(f"{key} is {str(value)[:40]}")
    if value == 0 and not zero:
        raise _Damaged(f"{key} is 0")
    return float(value)
