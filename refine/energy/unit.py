"""What one kcal/mol of the learned terms is worth: two measurements, which need not agree.

Learned terms are logarithms of densities, told in kcal/mol by kT at room temperature; nothing in their training fixes
their unit. ``unit.json`` beside the trained files has the factor that gives their differences the size of OpenMM's
energy, and the one that gives them the fluctuations of crystals (``benchmarks/energy_unit.py``). No term is scaled by
either: they stand beside the scores.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refine.errors import ModelError
from refine.networks.checksums import read_checksums

UNIT_FILE = "unit.json"
LEARNED = ("prior", "mediated", "likelihood")
"""Names of the learned terms."""
WAYS = {"by_energy": "OpenMM's energy", "by_fluctuation": "fluctuations of crystals"}
"""Field of ``Unit`` → what was asked."""
DEFINED = 2.0
"""Ratio of the two factors up to which the unit counts as defined."""

Figure = tuple[float, float, float]
"""A value and its 95 % interval."""


@dataclasses.dataclass(frozen=True)
class Unit:
    """Factors of the learned terms.

    Attributes:
        by_energy, by_fluctuation: the factor by each way of ``WAYS``.
        order_by_energy, order_by_fluctuation: Spearman's correlation of what was compared.
        proteins, structures: how many were measured.
        networks: SHA-256 of the trained files they belong to, by file name.
    """

    by_energy: Figure
    by_fluctuation: Figure
    order_by_energy: Figure
    order_by_fluctuation: Figure
    proteins: int
    structures: int
    networks: Mapping[str, str]

    @property
    def defined(self) -> bool:
        """Whether both ways agree within ``DEFINED``."""
        both = (self.by_energy[0], self.by_fluctuation[0])
        return min(both) > 0 and max(both) <= DEFINED * min(both)

    def columns(self, terms: Mapping[str, float]) -> dict[str, float]:
        """Column of scores.csv → the learned ones of weighted ``terms``, summed, times the factor, kcal/mol."""
        learned = sum(terms.get(name, 0.0) for name in LEARNED)
        return {f"learned_{way}": getattr(self, way)[0] * learned for way in WAYS}

    def facts(self) -> dict[str, Any]:
        """Plain values for run.json: factors with their intervals, and whether they agree."""
        return {way: list(getattr(self, way)) for way in WAYS} | {"defined": self.defined}


def unit_of(folder: Path) -> Unit | None:
    """What was measured of the trained files in ``folder``; None where nothing was, or where they are others by now.

    Raises:
        ModelError: the file is damaged.
    """
    path = folder / UNIT_FILE
    unit = _read(path) if path.is_file() else None
    sums = read_checksums(folder) or {}
    return unit if unit is not None and all(sums.get(k) == v for k, v in unit.networks.items()) else None


def _read(path: Path) -> Unit:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Unit(
            by_energy=_figure(values["by_energy"]),
            by_fluctuation=_figure(values["by_fluctuation"]),
            order_by_energy=_figure(values["order_by_energy"]),
            order_by_fluctuation=_figure(values["order_by_fluctuation"]),
            proteins=int(values["proteins"]),
            structures=int(values["structures"]),
            networks={str(name): str(value) for name, value in values["networks"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"the unit of the learned terms cannot be read: {error}", file=str(path), remedy="Install refine again"
        ) from error


def _figure(values: Any) -> Figure:
    value, low, high = (float(v) for v in values)
    return value, low, high
