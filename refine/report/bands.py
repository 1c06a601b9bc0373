"""Confidence in AlphaFold's four bands, as a strip along the sequence; what the report and the app show of an input."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from refine.report.payload import Contents
from refine.structure.file_estimate import FileEstimate
from refine.structure.protein import ResidueId

FAR = 20.0
"""Points by which the file's own estimate and ours differ where the page says so."""
NOTE = "Expected lDDT of Cα × 100 of the input as it came, whatever the options of the run"
ROUND = (5, 10, 20, 50, 100, 200, 500, 1000)
APART = 0.1
"""Least distance of two numbers of the axis, in lengths of the strip."""
MOST_NAMED = 15
"""Residues that are named."""


@dataclasses.dataclass(frozen=True)
class Band:
    """A band of confidence from ``least`` (0–100) on, in the colour of the AlphaFold database."""

    name: str
    least: float
    colour: str


BANDS = (
    Band("very high, 90 and more", 90.0, "#0053d6"), Band("confident, 70 to 90", 70.0, "#65cbf3"),
    Band("low, 50 to 70", 50.0, "#ffdb13"), Band("very low, below 50", -np.inf, "#ff7d45"),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Segment:
    """Residues in a row that share a band: ``start`` and ``length`` in residues, what a pointer is told."""

    start: int
    length: int
    colour: str
    title: str


@dataclasses.dataclass(frozen=True)
class Strip:
    """One estimate along the sequence: its words, its mean, and the share of residues (%) in each of ``BANDS``."""

    words: str
    mean: str
    shares: Sequence[str]
    segments: Sequence[Segment]


@dataclasses.dataclass(frozen=True)
class Strips:
    """Estimates of one structure of ``length`` residues.

    Attributes:
        sentence, note: what they are; strips: best first; apart: what is to be said of where they differ.
        borders: residues before which a chain begins, without the first; chains: their names and first and last number.
        ticks: residues whose author number stands below the strips, and that number.
    """

    sentence: str
    note: str
    length: int
    strips: Sequence[Strip]
    apart: str
    borders: Sequence[int]
    chains: Sequence[str]
    ticks: Sequence[tuple[int, str]]
    bands: Sequence[Band] = BANDS


def input_strips(run: Contents) -> Strips | None:
    """The confidence of a run's input beside the file's own; None where the folder has none."""
    columns = run.columns.get("input_finished", {})
    facts = run.record.get("input_accuracy")
    if not isinstance(facts, Mapping) or "input_confidence" not in columns:
        return None
    estimate = facts.get("estimate") or {}
    combined, ours = columns["input_confidence"], columns["input_confidence_ours"]
    file = columns.get("input_confidence_file", np.full(len(ours), np.nan))
    estimates = {f"Confidence: {facts.get('basis', '')}": combined}
    if np.isfinite(file).any():
        scale = ", as lDDT" if estimate.get("kind") == "error" else ""
        estimates |= {f"The file's own: {estimate.get('name', '')}{scale}": file, "refine's own alone": ours}
    apart = _apart(run.residues, file, ours)
    return _strips(_capital(str(estimate.get("sentence", ""))), NOTE, run.residues, estimates, apart)


def file_strips(estimate: FileEstimate, residues: Sequence[ResidueId]) -> Strips | None:
    """The file's own estimate of lDDT; None where it gives none, or an error in Å."""
    if estimate.kind != "lddt":
        return None
    estimates = {f"The file's own: {estimate.name}": 100.0 * estimate.values}
    return _strips(_capital(estimate.sentence), "As the file has it", residues, estimates, "")


def _strips(
    sentence: str, note: str, residues: Sequence[ResidueId], estimates: Mapping[str, NDArray[np.float64]], apart: str
) -> Strips:
    starts = [i for i, r in enumerate(residues) if i == 0 or r.chain != residues[i - 1].chain]
    ends = [*(i - 1 for i in starts[1:]), len(residues) - 1]
    chains = [f"{residues[a].chain or '(blank)'}: {_number(residues[a])} to {_number(residues[b])}"
              for a, b in zip(starts, ends, strict=True)]  # fmt: skip
    strips = [_strip(words, values, residues) for words, values in estimates.items()]
    return Strips(sentence, note, len(residues), strips, apart, starts[1:], chains, _ticks(residues, len(starts) > 1))


def _ticks(residues: Sequence[ResidueId], many: bool) -> list[tuple[int, str]]:
    """Residues with round numbers, as many as there is room for; ``many``: there are several chains."""
    least = APART * len(residues)
    step = next((s for s in ROUND if s >= least), ROUND[-1])
    ticks: list[tuple[int, str]] = []
    for i, residue in enumerate(residues):
        if residue.number % step == 0 and not residue.insertion and (not ticks or i - ticks[-1][0] >= least):
            ticks.append((i, f"{residue.chain[:2]}:{residue.number}" if many else str(residue.number)))
    return ticks


def _strip(words: str, values: NDArray[np.float64], residues: Sequence[ResidueId]) -> Strip:
    known = np.isfinite(values)
    band = np.array([_band(v) for v in values])
    shares = [f"{100.0 * float((band[known] == k).mean()):.0f} %" for k in range(len(BANDS))]
    return Strip(words, f"{float(values[known].mean()):.0f}", shares, list(_segments(band, residues)))


def _band(value: float) -> int:
    """Its place in ``BANDS``; −1 where nothing is known."""
    return next((k for k, band in enumerate(BANDS) if value >= band.least), -1)


def _segments(band: NDArray[np.int64], residues: Sequence[ResidueId]) -> Iterable[Segment]:
    """Runs of residues of one chain and band; what is not known is left out."""
    start = 0
    for i in range(1, len(band) + 1):
        if i < len(band) and band[i] == band[start] and residues[i].chain == residues[start].chain:
            continue
        if band[start] >= 0:
            one = BANDS[band[start]]
            title = f"{residues[start]} to {residues[i - 1]}: {one.name}"
            yield Segment(start, i - start, one.colour, title)
        start = i


def _apart(residues: Sequence[ResidueId], file: NDArray[np.float64], ours: NDArray[np.float64]) -> str:
    """Where the file's own estimate and ours differ."""
    known = np.isfinite(file)
    if not known.any():
        return ""
    difference = np.where(known, file - ours, 0.0)
    far = np.flatnonzero(np.abs(difference) >= FAR)
    mean = f"The file's own and refine's own differ by {np.abs(difference[known]).mean():.0f} points on average"
    if not len(far):
        return f"{mean}, nowhere by {FAR:.0f} or more."
    worst = sorted(far[np.argsort(-np.abs(difference[far]), kind="stable")][:MOST_NAMED].tolist())
    named = ", ".join(str(residues[i]) for i in worst)
    more = f" and {len(far) - len(worst)} more" if len(far) > len(worst) else ""
    return f"{mean}, by {FAR:.0f} or more at {named}{more}."


def _number(residue: ResidueId) -> str:
    return f"{residue.number}{residue.insertion}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
