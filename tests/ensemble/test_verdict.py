"""The verdict says no more than the calibration can tell."""

from __future__ import annotations

import pytest

from refine.ensemble.calibration import Change
from refine.ensemble.verdict import judge

TABLE = Change(offset=0.0, slope=0.5, room=0.0, deviation=0.01, correlation=0.6, targets=29, low=-0.05, high=0.05)


@pytest.mark.parametrize(("estimated", "word"), [(0.05, "better"), (0.005, "uncertain"), (-0.005, "uncertain"), (-0.05, "no better")])
def test_words_follow_the_probability(estimated: float, word: str) -> None:
    found = judge(estimated, 0.3, TABLE)
    assert found.word == word and found.sentence.lower().startswith(f"{word}: ")
    assert found.expected == pytest.approx(0.5 * estimated) and found.probability is not None


def test_an_estimate_that_tells_nothing_is_uncertain_whatever_it_says() -> None:
    assert judge(10.0, 0.3, Change(0.001, 0.0, 0.0, 0.01, 0.0, 29, -0.1, 0.1)).word == "uncertain"


def test_estimates_beyond_the_fit_count_as_its_extremes() -> None:
    assert judge(9.0, 0.3, TABLE).expected == judge(0.05, 0.3, TABLE).expected


def test_other_networks_and_none_are_uncertain() -> None:
    assert judge(0.5, 0.3, TABLE, fitting=False).word == judge(0.5, 0.3, None).word == "uncertain"


def test_an_input_without_room_cannot_become_better() -> None:
    table = Change(offset=0.0, slope=0.0, room=0.1, deviation=0.01, correlation=0.6, targets=29, low=-0.05, high=0.05)
    assert judge(0.01, 0.3, table).word == "better" and judge(0.01, 0.0, table).word == "uncertain"
