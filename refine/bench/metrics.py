"""The numbers of a benchmark row: names, direction, digits, and how they are measured.

Keys are those of OpenStructure's ``ost compare-structures`` where it has them (``bb_lddt``, ``lddt`` with
stereochemistry checks, ``tm_score``, ``oligo_gdtts``, ``oligo_gdtha``, ``rmsd``). GDT is on the scale 0–100 here, where
OpenStructure has 0–1.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from refine.assess.compare import CA, Comparison, compare
from refine.assess.matching import match_residues
from refine.assess.validate import validate
from refine.bench.control import move_sizes
from refine.errors import InputError
from refine.structure.protein import Protein


@dataclasses.dataclass(frozen=True)
class Metric:
    """One number of a model.

    Attributes:
        key: column name; own: name in ``Comparison.totals`` or ``Validation.totals``.
        label: for tables; sign: +1 when more is better, −1 when less is; digits: after the point.
    """

    key: str
    own: str
    label: str
    sign: int
    digits: int


METRICS = (
    Metric("oligo_gdtha", "gdt_ha", "GDT-HA", 1, 2),
    Metric("oligo_gdtts", "gdt_ts", "GDT-TS", 1, 2),
    Metric("tm_score", "tm_score", "TM-score", 1, 4),
    Metric("bb_lddt", "lddt_ca", "lDDT Cα", 1, 4),
    Metric("lddt_no_stereochecks", "lddt", "lDDT all atoms", 1, 4),
    Metric("lddt", "lddt_checked", "lDDT checked", 1, 4),
    Metric("rmsd", "rmsd", "RMSD Cα (Å)", -1, 3),
    Metric("clashscore", "clashscore", "clashscore", -1, 1),
    Metric("ramachandran_favoured", "ramachandran_favoured", "Rama favoured (%)", 1, 1),
    Metric("ramachandran_outliers", "ramachandran_outliers", "Rama outliers (%)", -1, 2),
    Metric("rotamer_outliers", "rotamer_outliers", "rotamer outliers (%)", -1, 1),
    Metric("bond_outliers", "bond_outliers", "bond outliers", -1, 1),
    Metric("angle_outliers", "angle_outliers", "angle outliers", -1, 1),
    Metric("omega_outliers", "omega_outliers", "omega outliers", -1, 2),
    Metric("chirality_outliers", "chirality_outliers", "chirality outliers", -1, 2),
)
BY_KEY = {metric.key: metric for metric in METRICS}
MAIN = METRICS[0]
"""The metric that ranks methods, picks best and worst targets, and defines start quality."""


def measure(model: Protein, native: Protein, start: Protein) -> tuple[dict[str, float], Comparison]:
    """All metrics of replica 0 of a model, and ``move``: the mean Å its CA atoms went from ``start``, superposed.

    Raises:
        InputError: too few residues correspond.
    """
    comparison = compare(model, native)
    own = comparison.totals() | validate(model).totals()
    values = {metric.key: float(own[metric.own]) for metric in METRICS}
    return values | {"move": move(model, start)}, comparison


def move(model: Protein, start: Protein) -> float:
    """Mean move (Å) of the CA atoms both have; NaN when there are fewer than three."""
    try:
        matching = match_residues(model, start)
    except InputError:
        return float("nan")
    both = model.mask[matching.model_index, CA] & start.mask[matching.native_index, CA]
    rows, columns = matching.model_index[both], matching.native_index[both]
    if len(rows) < 3:
        return float("nan")
    return float(np.mean(move_sizes(model.coords[0, rows, CA], start.coords[0, columns, CA])))


def per_residue(comparison: Comparison, native: Protein) -> dict[str, Any]:
    """Per-residue numbers for plots: the native's residue numbers, all-atom lDDT, CA distance (Å); None where there is
    none.
    """
    return {
        "residue": [str(r) for r in native.residue_ids],
        "local_lddt": _plain(comparison.residue_lddt, 3),
        "distance": _plain(comparison.residue_distance, 2),
    }


def _plain(values: np.ndarray, digits: int) -> list[float | None]:
    return [round(float(v), digits) if np.isfinite(v) else None for v in values]
