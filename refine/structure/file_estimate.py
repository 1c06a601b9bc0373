"""What the B column of a file says of the model's accuracy: pLDDT, a predicted error, or nothing ("not given").

Predictors write their own estimate of every residue where experiments have B factors. What it is, the header says
(``FileHeader``), or the values do. pLDDT lies within 0–100 or 0–1, is smooth along the chain, higher in the core, and
lower towards the ends of side chains; an error in Å is smooth, small and lower in the core; B factors are lower in the
core, too, but not that small, and grow towards the ends of side chains. Where neither tells for certain, nothing is
given.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.structure.file_header import FileHeader
from refine.structure.protein import Protein

ALIKE = 0.02
"""Values that differ by less are all alike: a placeholder."""
SHORTEST = 30
"""Residues from which on values alone can tell what they are."""
CORE = 10.0
"""Å within which CA atoms are counted as neighbours."""
SMOOTH = 0.5
"""Least rank correlation of neighbours along the chain of an estimate; a column dealt out anew has about 0."""
CLEARLY, SLIGHTLY = 0.15, 0.05
"""Least rank correlation with the number of neighbours in space: of an error (negative), and of pLDDT that all atoms of
a residue share.
"""
OUTWARDS = 0.2
"""Largest share of residues whose side chain may have a higher pLDDT than the CA, where it differs from atom to atom:
28 such columns have 0.05 at most; of B factors, which grow outwards, 19 have 0.52 and more.
"""
HIGH = 0.8
"""Median of pLDDT (of 1) from which on it is also known by its tail, which is on the side of the low values; that of B
factors is on the side of the high ones.
"""
LEAST_PLDDT = 0.3
"""Least median of pLDDT (of 1) that values alone may tell; unfolded chains have less, and so do B factors."""
MOST_ERROR, WORST_ERROR = 4.0, 40.0
"""Å, largest median and largest value of predicted errors that values alone may tell."""

_LDDT_WORDS = re.compile(
    r"alphafold|colabfold|esmfold|omegafold|openfold|helixfold|boltz|chai-1|rosettafold2|plddt|b[- ]?factors?\b.*\blddt"
)
_ERROR_WORDS = re.compile(
    r"rosettafold|robetta|deepaccnet|b[- ]?factors?\b.*\b(error|rmsd|deviation)|(estimated|predicted) (ca )?error"
)
_OWN_WORDS = re.compile(r"^remark\s+99 b column: |confidence of refine", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class FileEstimate:
    """The file's own estimate of its accuracy.

    Attributes:
        kind: ``lddt`` (an expected lDDT, such as pLDDT), ``error`` (Å), or ``""``: not given.
        name: ``pLDDT``, ``QMEANDisCo``, ``predicted error``; ``""`` when not given.
        scale: ``0-100`` or ``0-1`` of the column; ``Å`` of an error; ``""`` when not given.
        reason: what tells, or why it counts as not given.
        values: (L,) float64, lDDT as 0–1, error in Å; NaN where a residue has none.
    """

    kind: str
    name: str
    scale: str
    reason: str
    values: NDArray[np.float64]

    @property
    def given(self) -> bool:
        return bool(self.kind)

    @property
    def mean(self) -> float | None:
        """Mean over the residues: pLDDT as 0–100, error in Å; None when not given."""
        if not self.given:
            return None
        return float(np.nanmean(self.values)) * (100.0 if self.kind == "lddt" else 1.0)

    @property
    def sentence(self) -> str:
        """For the terminal and the pages."""
        if self.mean is None:
            return f"the file's own estimate: not given ({self.reason})"
        mean = f"{self.mean:.0f}" if self.kind == "lddt" else f"{self.mean:.1f} Å"
        return f"the file's own estimate: {self.name}, mean {mean} (B column, {self.scale}, {self.reason})"

    def facts(self) -> dict[str, str | float | bool | None]:
        """Plain values for run.json."""
        mean = None if self.mean is None else round(self.mean, 3)
        return {
            "given": self.given, "kind": self.kind, "name": self.name, "scale": self.scale, "mean": mean,
            "reason": self.reason, "sentence": self.sentence,
        }  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Column:
    """The B column of the CA atoms (L,), NaN where there is none, and what tells estimates from B factors.

    Attributes:
        shared: whether all atoms of nearly every residue have the same value.
        outwards: share of residues whose side chain has a higher mean than the CA.
        smooth: rank correlation of neighbours along the chain; core: that with the number of neighbours in space.
    """

    b: NDArray[np.float64]
    median: float
    mean: float
    largest: float
    shared: bool
    outwards: float
    smooth: float
    core: float


def file_estimate(protein: Protein, header: FileHeader) -> FileEstimate:
    """What the B column of ``protein``, as it was read (0 where the file has none), says of its accuracy."""
    b = np.where(protein.mask[:, 1], protein.b_factors[:, 1].astype(np.float64), np.nan)
    b[b == 0.0] = np.nan
    nothing = _nothing(b, header)
    if nothing:
        return not_given(len(b), nothing)
    column = _column(protein, b)
    return _by_metric(column, header) or _by_words(column, header) or _by_values(column)


def not_given(length: int, reason: str) -> FileEstimate:
    """No estimate of ``length`` residues, and why."""
    return FileEstimate("", "", "", reason, np.full(length, np.nan))


def _nothing(b: NDArray[np.float64], header: FileHeader) -> str:
    """Why the column cannot be an estimate of this model; ``""`` where it can."""
    known = b[np.isfinite(b)]
    if len(known) < 0.9 * len(b):
        return "the B column is empty"
    if np.ptp(known) < ALIKE:
        return f"all values of the B column are alike, {known[0]:.2f}"
    if known.min() < 0.0:
        return "the B column has negative values"
    if header.experiment:
        return f"experimental B factors: {header.experiment.lower()}"
    if _OWN_WORDS.search(header.description):
        return "the B column is what refine wrote in an earlier run"
    return ""


def _column(protein: Protein, b: NDArray[np.float64]) -> _Column:
    known = np.isfinite(b)
    spread = np.array([np.ptp(protein.b_factors[i][protein.mask[i]]) for i in np.flatnonzero(known)])
    with_side_chain = [i for i in np.flatnonzero(known) if protein.mask[i, 5:].any()]
    rise = [protein.b_factors[i, 4:][protein.mask[i, 4:]].mean() - b[i] for i in with_side_chain]
    ca = protein.coords[0, known, 1]
    neighbours = np.array([len(near) for near in cKDTree(ca).query_ball_point(ca, CORE)], np.float64)
    several = protein.mask[known].sum(1).mean() > 1.5
    return _Column(
        b=b,
        median=float(np.median(b[known])),
        mean=float(b[known].mean()),
        largest=float(b[known].max()),
        shared=bool(several and (spread < ALIKE).mean() > 0.95),
        outwards=float(np.mean(np.array(rise) > 0.0)) if rise else 1.0,
        smooth=_correlation(_ranks(b[known][:-1]), _ranks(b[known][1:])),
        core=_correlation(_ranks(b[known]), _ranks(neighbours)),
    )


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks, those of equal values averaged."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - 0.5 * (counts - 1))[place]


def _correlation(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    if len(one) < 3 or np.ptp(one) == 0.0 or np.ptp(two) == 0.0:
        return 0.0
    return float(np.corrcoef(one, two)[0, 1])


def _lddt(column: _Column, name: str, reason: str) -> FileEstimate:
    small = column.largest <= 1.0
    return FileEstimate("lddt", name, "0-1" if small else "0-100", reason, column.b * (1.0 if small else 0.01))


def _error(column: _Column, reason: str) -> FileEstimate:
    return FileEstimate("error", "predicted error", "Å", reason, column.b)


def _by_metric(column: _Column, header: FileHeader) -> FileEstimate | None:
    """By a table of the ModelCIF dictionary."""
    for name, kind in header.metrics:
        text = f"{name} {kind}".lower()
        if column.largest > 100.0:
            continue
        if "plddt" in text:
            return _lddt(column, "pLDDT", "_ma_qa_metric of the file")
        if "qmean" in text:
            return _lddt(column, "QMEANDisCo", "_ma_qa_metric of the file")
    return None


def _by_words(column: _Column, header: FileHeader) -> FileEstimate | None:
    """By programs and remarks, where the values do not speak against it."""
    text = header.description
    rises = column.largest <= 100.0 and (column.core > 0.0 or (column.median > 70.0 and column.core > -0.1))
    falls = column.largest <= 10.0 * WORST_ERROR and column.median < 5.0 * MOST_ERROR and column.core < 0.0
    if ("swiss-model" in text or "qmeandisco" in text) and rises:
        return _lddt(column, "QMEANDisCo", "the header names SWISS-MODEL")
    lddt, error = _LDDT_WORDS.search(text), _ERROR_WORDS.search(text)
    if error and falls and not (lddt and column.largest <= 1.0):
        return _error(column, f"the header says {error.group()!r}")
    said = lddt or error
    if said and rises:
        return _lddt(column, "pLDDT", f"the header says {said.group()!r}")
    if header.casp and falls and column.smooth > SMOOTH:
        return _error(column, "a CASP model")
    return None


def _by_values(column: _Column) -> FileEstimate:
    """By the values alone."""
    length = len(column.b)
    if length < SHORTEST:
        return not_given(length, f"{length} residues are too few to tell by their values what they are")
    if column.smooth < SMOOTH:
        return not_given(length, "the values of the B column jump along the chain")
    unit = 1.0 if column.largest <= 1.0 else 100.0
    tail_below = column.median >= HIGH * unit and column.mean < column.median and column.core > -0.1
    like_plddt = column.core >= SLIGHTLY or tail_below if column.shared else column.outwards <= OUTWARDS
    if column.largest <= unit and column.median >= LEAST_PLDDT * unit and like_plddt:
        return _lddt(column, "pLDDT", "by its values")
    small = column.median <= MOST_ERROR and column.largest <= WORST_ERROR
    if column.shared and column.core <= -CLEARLY and small:
        return _error(column, "by its values")
    return not_given(length, "the B column looks like B factors")
