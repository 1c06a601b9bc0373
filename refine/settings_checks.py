"""The rules that values of settings are held to; an error names the setting, its value and what is allowed."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable

from refine.errors import InputError


def one_of(name: str, value: str, choices: Iterable[str]) -> None:
    """Raises InputError unless ``value`` of the setting ``name`` is one of ``choices``."""
    if value not in choices:
        raise InputError(
            f"setting {name} = {reprlib.repr(value)} is unknown", remedy=f"Use one of {', '.join(choices)}"
        )


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def finite(name: str, value: float) -> None:
    """Raises InputError for infinity and NaN, which TOML can write."""
    if not _is_finite(value):
        raise InputError(f"setting {name} = {value} must be a finite number")


def at_least(name: str, value: float, least: float) -> None:
    """Raises InputError unless ``value`` is a finite number and not below ``least``."""
    if not (_is_finite(value) and value >= least):
        raise InputError(f"setting {name} = {value} must be a number of at least {least}")


def at_most(name: str, value: float, most: float) -> None:
    """Raises InputError where ``value`` is above ``most``."""
    if value > most:
        raise InputError(f"setting {name} = {value} must be a number of at most {most}")


def above(name: str, value: float, bound: float) -> None:
    """Raises InputError unless ``value`` is a finite number above ``bound``."""
    if not (_is_finite(value) and value > bound):
        raise InputError(f"setting {name} = {value} must be a number above {bound}")


def within(name: str, value: float, least: float, most: float) -> None:
    """Raises InputError unless ``value`` lies between ``least`` and ``most`` or is one of them; NaN does not."""
    if not least <= value <= most:
        raise InputError(f"setting {name} = {value} must be a number from {least} to {most}")
