"""Rows of evidence from plain values, as tables (tsv) and TOML have them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.errors import InputError
from refine.evidence.atoms import longest, parse_atom, shortest
from refine.evidence.ensembles import DISTRIBUTION, MEAN, EnsembleRow, deconvolved
from refine.evidence.pairs import CONTACT, GAUSSIAN, STUDENT, Row
from refine.structure.protein import Protein, Site

KINDS = ("distance", "contact", MEAN, DISTRIBUTION)
FORM_NAMES = {"student": STUDENT, "gaussian": GAUSSIAN}
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "distance": ("first", "second", "value", "sigma", "lower", "upper", "weight", "form"),
    "contact": ("first", "second", "upper", "sigma", "weight"),
    MEAN: ("first", "second", "value", "sigma"),
    DISTRIBUTION: ("first", "second", "edges", "probabilities", "sigma"),
}
"""What each kind takes; ``first`` and ``second`` always, of a distance ``value`` or a bound."""
CONTACT_UPPER = 8.0
"""Å, what a contact means when the row does not say."""


_MOST_BINS = 1000


def row_of(kind: str, values: Mapping[str, Any], protein: Protein, line: int) -> Row | EnsembleRow:
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
    if kind in (MEAN, DISTRIBUTION):
        return _ensemble_row(kind, values, protein, line)
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
    _possible(lower, upper, shortest(protein, first, second), longest(protein, first, second))
    return Row(kind, first, second, lower, upper, sigma, weight, form, line)


def _ensemble_row(kind: str, values: Mapping[str, Any], protein: Protein, line: int) -> EnsembleRow:
    first, second = _sites(values, protein)
    sigma = _number(values, "sigma", 1.0 if kind == MEAN else 0.0)
    if sigma < 0 or (kind == MEAN and sigma == 0):
        raise InputError(f"sigma = {sigma:g} must be above 0", remedy="Give the uncertainty in Å")
    edges, probabilities = np.zeros(0), np.zeros(0)
    if kind == MEAN:
        value = _number(values, "value", math.nan)
        if math.isnan(value):
            raise InputError("a mean needs a value")
    else:
        edges, probabilities = _histogram(values)
        probabilities = deconvolved(probabilities, edges, sigma)
        value = float(probabilities @ (edges[1:] + edges[:-1])) / 2.0
    row = EnsembleRow(kind, first, second, value, sigma, edges, probabilities, line)
    _possible(*row.bounds, shortest(protein, first, second), longest(protein, first, second))
    return row


def _histogram(values: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges (B + 1,) Å and probabilities or counts (B,)."""
    edges, probabilities = (_numbers(values, name) for name in ("edges", "probabilities"))
    if not 2 <= len(probabilities) <= _MOST_BINS or len(edges) != len(probabilities) + 1:
        raise InputError(
            f"{len(edges)} edges do not bound {len(probabilities)} probabilities",
            remedy=f"Give 2 to {_MOST_BINS} probabilities, and one edge more",
        )
    if not (np.diff(edges) > 0).all() or edges[0] < 0:
        raise InputError("the edges of a distribution must ascend from 0 Å or more")
    if (probabilities < 0).any() or probabilities.sum() <= 0:
        raise InputError("the probabilities of a distribution must be 0 or more, and not all 0")
    return edges, probabilities


def _numbers(values: Mapping[str, Any], name: str) -> NDArray[np.float64]:
    """Finite numbers: a list, or text with commas."""
    given = values.get(name, "")
    parts = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, Sequence) or not given:
        raise InputError(f"a distribution needs {name}", remedy="Give numbers, in tables separated by commas")
    return np.array([_number({name: part}, name, math.nan) for part in parts], np.float64)


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


def _possible(lower: float, upper: float, least: float, most: float) -> None:
    if lower < 0 or upper < least:
        worst = lower if lower < 0 else upper
        raise InputError(
            f"a distance of {worst:g} Å is impossible", remedy=f"These atoms are {least:g} Å or more apart"
        )
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
