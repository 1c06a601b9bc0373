"""The verdict says no more than the calibration can tell."""

from __future__ import annotations

import pytest

from refine.accuracy.calibration import Change
from refine.accuracy.verdict import SmallChange, nearly_right_verdict, verdict_of

TABLE = Change(
    offset=-0.002, room=0.2, curve=-0.4, deviation=0.01, correlation=0.6, targets=29, widest=0.55, least=-0.02
)


@pytest.mark.parametrize(
    ("room", "word"), [(0.01, "uncertain"), (0.25, "better"), (0.5, "uncertain"), (0.55, "no better")]
)
def test_words_follow_the_probability(room: float, word: str) -> None:
    verdict = verdict_of(0.0, room, TABLE)
    assert verdict.word == word and verdict.sentence.lower().startswith(f"{word}: ")
    assert verdict.expected == pytest.approx(-0.002 + 0.2 * room - 0.4 * room**2) and verdict.probability is not None


def test_more_room_than_in_the_fit_counts_as_its_most() -> None:
    assert verdict_of(0.0, 0.9, TABLE).expected == verdict_of(0.0, 0.55, TABLE).expected


def test_a_model_estimated_lower_than_any_in_the_fit_is_uncertain() -> None:
    assert verdict_of(-0.019, 0.25, TABLE).word == "better"
    verdict = verdict_of(-0.021, 0.25, TABLE)
    assert verdict.word == "uncertain" and verdict.probability is None and "29 targets" in verdict.reason


def test_what_is_nearly_right_is_told_that_there_is_nothing_to_gain() -> None:
    verdict = nearly_right_verdict(0.05, SmallChange(0.21, 0.13, -0.07, 0.5, 31))
    assert verdict.word == "no better" and "0.05 Å" in verdict.reason
    assert "31 such models" in verdict.reason and "+0.21 ± 0.13 points (-0.07 to +0.50)" in verdict.reason
    assert verdict.expected == pytest.approx(0.0021) and verdict.probability is None


def test_other_networks_and_none_are_uncertain() -> None:
    assert verdict_of(0.5, 0.3, TABLE, fitting=False).word == verdict_of(0.5, 0.3, None).word == "uncertain"
