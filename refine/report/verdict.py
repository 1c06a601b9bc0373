"""The verdict of a run and the numbers beside it, in the same words in the report and in the app."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

VERDICTS = {
    "better": ("better", "Better than the input"),
    "no better": ("worse", "No better than the input"),
    "uncertain": ("uncertain", "Uncertain whether better than the input"),
}
"""Word of the judgement → class and title of the verdict."""
QUALITY = (
    ("clashscore", "Clashscore", 1, -1),
    ("ramachandran_favoured", "Ramachandran favoured, %", 1, 1),
    ("confidence", "Mean confidence, 0–100", 1, 1),
)
"""The numbers beside the verdict: column of scores.csv, words, digits, and 1 where more is better, -1 where less is."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The run's own judgement, in its own words; ``state`` is the class that colours it."""

    state: str
    title: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Change:
    """One of ``QUALITY`` in model 1 and its change from the input.

    Attributes:
        column, words: of the measure; less_is_better: whether it is one of those.
        value: as text; change: with its sign, None where it is 0 in the digits that are shown.
        verdict: 1 where model 1 is better, -1 where it is worse, else 0.
    """

    column: str
    words: str
    less_is_better: bool
    value: str
    change: str | None
    verdict: int


def verdict(record: Mapping[str, Any]) -> Verdict:
    """The judgement of run.json; a word that this version does not know counts as uncertain."""
    judgement = record.get("judgement") or {}
    state, title = VERDICTS.get(word(record), VERDICTS["uncertain"])
    return Verdict(state, title, str(judgement.get("reason") or record.get("verdict", "")))


def word(record: Mapping[str, Any]) -> str:
    """``better``, ``no better`` or ``uncertain``."""
    judgement = record.get("judgement") or {}
    return str(judgement.get("word") or ("better" if record.get("improved") else "no better"))


def changes(before: Mapping[str, float], after: Mapping[str, float]) -> list[Change]:
    """``QUALITY`` of model 1 against the input; what either lacks is left out."""
    found = []
    for column, words, digits, better in QUALITY:
        old, new = (round(float(one.get(column, math.nan)), digits) for one in (before, after))
        if math.isnan(old) or math.isnan(new):
            continue
        difference = round(new - old, digits)
        shown = f"{difference:+.{digits}f}" if difference else None
        verdict = (difference > 0) - (difference < 0)
        found.append(Change(column, words, better < 0, f"{new:.{digits}f}", shown, verdict * better))
    return found


def explained(word: str, numbers: Sequence[Change]) -> str:
    """What the verdict estimates and what the numbers beside it are, and why these may say otherwise."""
    text = (
        "Model 1 and its change from the input. The verdict estimates how much nearer to the experiment the backbone "
        "is, in points of CA lDDT (0–100, as the confidence); stereochemistry does not say that."
    )
    worse, mended = (
        " and ".join(number.words.partition(",")[0] for number in numbers if number.verdict == sign) for sign in (-1, 1)
    )
    if word == "better" and worse:
        text += f" So {worse} can be worse in a model that is expected to be nearer."
    if word == "no better" and mended:
        text += f" So {mended} can be better in a model that is expected to be no nearer."
    return text
