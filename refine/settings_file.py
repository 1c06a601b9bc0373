"""TOML into frozen dataclasses of settings: an unknown key or a wrong type is an error that says where."""

from __future__ import annotations

import dataclasses
import reprlib
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from refine.errors import InputError
from refine.settings_checks import finite

T = TypeVar("T")
MAX_BYTES = 1_000_000
"""Largest file of settings."""


def read_toml(path: Path, build: Callable[[Mapping[str, Any]], T]) -> T:
    """``build`` of the values of a TOML file.

    Raises:
        InputError: unreadable, not TOML, or refused by ``build``; names the file.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InputError("the settings are no file of settings: more than 1 MB", file=str(path))
        values = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the settings: {error.strerror}", file=str(path)) from error
    except ValueError as error:  # bad UTF-8, bad TOML, a number of thousands of digits
        raise InputError(f"the settings are not TOML: {str(error)[:200]}", file=str(path)) from error
    except RecursionError as error:
        raise InputError("the settings are not TOML: nested too deeply", file=str(path)) from error
    try:
        return build(values)
    except InputError as error:
        raise InputError(error.message, file=str(path), remedy=error.remedy) from error


def build_settings(kind: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """The dataclass ``kind`` from nested plain values; what they do not name keeps its default.

    Raises:
        InputError: an unknown key or a value of the wrong type; ``prefix`` is put before the names of settings.
    """
    hints = typing.get_type_hints(kind)
    names = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    arguments = {}
    for key, value in values.items():
        if key not in names:
            raise InputError(f"unknown setting {prefix}{key[:60]}", remedy=f"Known here: {', '.join(sorted(names))}")
        arguments[key] = _value(hints[key], value, f"{prefix}{key}")
    return kind(**arguments)


def _value(hint: Any, value: Any, name: str) -> Any:
    """``value`` as the type ``hint`` wants it."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise InputError(f"setting {name} is a table, not {_shown(value)}")
        return build_settings(hint, value, f"{name}.")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [a for a in arguments if a is not type(None)]
        return None if value is None and len(inner) < len(arguments) else _value(inner[0], value, name)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_value(arguments[0], v, name) for v in value)
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {str(k): _value(arguments[1], v, f"{name}.{k}") for k, v in value.items()}
    if isinstance(value, int) and abs(value) >= 2**63:
        raise InputError(f"setting {name} is a whole number of more than 63 bits", remedy="Give a smaller one")
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        finite(name, value)
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    if origin is typing.Literal and value in arguments:
        return value
    raise InputError(
        f"setting {name} = {_shown(value)} has the wrong type",
        remedy=f"It should be {getattr(hint, '__name__', hint)}",
    )


def _shown(value: Any) -> str:
    """A value in a message, cut short."""
    return reprlib.repr(value)
