"""The verdict: is model 1 better than the input? Said only where the estimate was measured to tell."""

from __future__ import annotations

import dataclasses
import math

from refine.accuracy.calibration import Change

SURE = 0.75
"""Probability from which on "better" (or, of the opposite, "no better") is said."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What is known of model 1 against the input.

    Attributes:
        word: ``better``, ``no better`` or ``uncertain``.
        reason: why, a sentence or two.
        expected: most likely change of CA lDDT (0–1), None when nothing is known; deviation: its standard deviation.
        probability: that the change is positive, None when nothing is known.
    """

    word: str
    reason: str
    expected: float | None = None
    deviation: float | None = None
    probability: float | None = None

    @property
    def sentence(self) -> str:
        """Word and reason, for the terminal."""
        return f"{self.word.capitalize()}: {self.reason}"


@dataclasses.dataclass(frozen=True)
class SmallChange:
    """What complete runs changed CA lDDT by where the networks hardly want to move the input, in points (0–100).

    Attributes:
        mean, deviation: of ``targets`` models with natives; least, most: the extremes.
    """

    mean: float
    deviation: float
    least: float
    most: float
    targets: int


SMALL_CHANGE = SmallChange(0.14, 0.17, -0.08, 0.56, 27)
"""Of the tune half of predicted.tsv (benchmarks/LOG.md, 61; NMR natives apart)."""


def nearly_right_verdict(wanted: float, measured: SmallChange = SMALL_CHANGE) -> Verdict:
    """Verdict on a run whose moves were shortened because the priors would move the input by ``wanted`` Å only: nothing
    to gain that anybody would see.
    """
    reason = (
        f"as good as the networks can tell, which would move it by {wanted:.2f} Å only. It is held where it is and its "
        f"stereochemistry is mended: on {measured.targets} such models CA lDDT changed by {measured.mean:+.2f} ± "
        f"{measured.deviation:.2f} points ({measured.least:+.2f} to {measured.most:+.2f})."
    )
    return Verdict("no better", reason, measured.mean / 100.0, measured.deviation / 100.0)


def verdict_of(estimated: float, room: float, table: Change | None, *, fitting: bool = True) -> Verdict:
    """Verdict on a model.

    Args:
        estimated: mean CA lDDT expected of the model minus that of the input, by the same estimator.
        room: 1 − the mean CA lDDT expected of the input.
        table: what such estimates were worth on targets with known natives; None without networks.
        fitting: whether the table belongs to the networks that made the estimate.

    A gain in the run's own score is no evidence: it comes with every run.
    """
    if table is None:
        return Verdict("uncertain", "without networks nothing tells a better model from a worse one.")
    if not fitting:
        return Verdict("uncertain", "the estimates are calibrated for other networks than those of this run.")
    if estimated < table.least:
        beyond = f"beyond the {table.targets} targets with natives on which verdicts are calibrated"
        return Verdict(
            "uncertain", f"its confidence is lower than the input's by {-100 * estimated:.1f} points, {beyond}."
        )
    room = min(room, table.widest)
    expected = table.offset + table.room * room + table.curve * room**2
    probability = 0.5 * math.erfc(-expected / (table.deviation * math.sqrt(2.0)))
    points = f"{100 * expected:+.2f} ± {100 * table.deviation:.2f} points"
    worth = f"expected change of CA lDDT {points}, probability of a gain {probability:.2f}"
    if probability >= SURE:
        return Verdict("better", f"{worth}.", expected, table.deviation, probability)
    if probability <= 1.0 - SURE:
        return Verdict("no better", f"{worth}.", expected, table.deviation, probability)
    return Verdict("uncertain", f"{worth}: too close to call.", expected, table.deviation, probability)
