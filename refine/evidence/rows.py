"""Rows of evidence from plain values, as tables (tsv) and TOML have them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from refine.errors import InputError
from refine.evidence.atoms import longest, parse_atom
from refine.evidence.pairs import CONTACT, GAUSSIAN, STUDENT, Row
from refine.structure.protein import Protein, Site

KINDS = ("distance", "contact")
FORM_NAMES = {"student": STUDENT, "gaussian": GAUSSIAN}
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "distance": ("first", "second", "value", "sigma", "lower", "upper", "weight", "form"),
    "contact": ("first", "second", "upper", "sigma", "weight"),
}
"""What each kind takes; ``first`` and ``second`` always, of a distance ``value`` or a bound."""
CONTACT_UPPER = 8.0
"""Å, what a contact means when the row does not say."""
_SHORTEST = 1.0
"""Å: no two atoms that are not hydrogens are closer."""


def row_of(kind: str, values: Mapping[str, Any], protein: Protein, line: int) -> Row:
    """One row; values are text or numbers, by name of ``COLUMNS``.

    Raises:
        InputError: what is wrong with it, without the line, which the caller adds.
    """
    if kind not in KINDS:
        raise InputError(f"unknown kind of evidence {kind!r}", remedy=f"Use {', '.join(KINDS)}")
    unknown = sorted(set(values) - set(COLUMNS[kind]))
    if unknown:
        raise InputError(f"a {kind} has no {unknown[0]!r}", remedy=f"It takes {', '.join(COLUMNS[kind])}")
    first, second = _sites(values, protein)
    weight = _number(values, "weight", 1.0)
    if weight < 0:
        raise InputError(f"the weight {weight:g} is negative", remedy="0 leaves a row out")
    sigma = _number(values, "sigma", 1.0)
    if sigma <= 0:
        raise InputError(f"sigma = {sigma:g} must be above 0", remedy="Give the uncertainty in Å")
    if kind == "contact":
        lower, upper, form = 0.0, _number(values, "upper", CONTACT_UPPER), CONTACT
    else:
        lower, upper = _bounds(values)
        form = _form(values)
    _possible(lower, upper, longest(protein, first, second))
    return Row(kind, first, second, lower, upper, sigma, weight, form, line)


def _sites(values: Mapping[str, Any], protein: Protein) -> tuple[Site, Site]:
    sites = []
    for name in ("first", "second"):
        if not str(values.get(name, "")).strip():
            raise InputError(f"the {name} atom is missing", remedy='Name it as "A:12 CA"')
        sites.append(parse_atom(str(values[name]), protein))
    if sites[0] == sites[1]:
        raise InputError(f"both atoms are {values['first']}", remedy="A distance needs two")
    return sites[0], sites[1]


def _form(values: Mapping[str, Any]) -> int:
    name = str(values.get("form", "")).strip() or "student"
    if name not in FORM_NAMES:
        raise InputError(f"unknown form {name!r}", remedy=f"Use {' or '.join(FORM_NAMES)}")
    return FORM_NAMES[name]


def _bounds(values: Mapping[str, Any]) -> tuple[float, float]:
    """Lower and upper bound of a distance; its value is both."""
    value, lower, upper = (_number(values, name, math.nan) for name in ("value", "lower", "upper"))
    if math.isnan(value) and math.isnan(lower) and math.isnan(upper):
        raise InputError("a distance needs a value, or lower, upper or both")
    if not math.isnan(value):
        if not (math.isnan(lower) and math.isnan(upper)):
            raise InputError("a distance has either a value or bounds", remedy="Leave value or the bounds out")
        return value, value
    return 0.0 if math.isnan(lower) else lower, math.inf if math.isnan(upper) else upper


def _possible(lower: float, upper: float, most: float) -> None:
    if lower < 0 or upper < _SHORTEST:
        worst = lower if lower < 0 else upper
        raise InputError(f"a distance of {worst:g} Å is impossible", remedy=f"Atoms are {_SHORTEST:g} Å or more apart")
    if lower > upper:
        raise InputError(f"the lower bound {lower:g} is above the upper bound {upper:g}")
    if lower > most:
        raise InputError(f"{lower:g} Å is impossible: the chain between these atoms reaches {most:.1f} Å")


def _number(values: Mapping[str, Any], name: str, default: float) -> float:
    """A finite number; ``default`` where there is none."""
    value = values.get(name, "")
    if isinstance(value, str) and not value.strip():
        return default
    try:
        number = math.nan if isinstance(value, (bool, Sequence)) and not isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} = {value!r} is no finite number")
    return number
