"""The verdict and the numbers beside it say the same, in the same unit."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from refine.report import sections
from refine.report import verdict as verdicts
from refine.report.page import write_report
from refine.report.payload import contents, payload
from refine.run.result import COMPARISON_FILE, read_run
from tests.run.run_folder import make_run, two_chains

BEFORE = {"clashscore": 30.0, "ramachandran_favoured": 95.04, "confidence": 80.0}


def test_a_number_that_does_not_change_in_what_is_shown_has_no_arrow() -> None:
    clashes, favoured, confidence = verdicts.changes(
        BEFORE, {"clashscore": 12.0, "ramachandran_favoured": 95.01, "confidence": 78.0}
    )
    assert (clashes.value, clashes.change, clashes.verdict, clashes.less_is_better) == ("12.0", "-18.0", 1, True)
    assert (favoured.value, favoured.change, favoured.verdict) == ("95.0", None, 0)
    assert (confidence.value, confidence.change, confidence.verdict) == ("78.0", "-2.0", -1)


@pytest.mark.parametrize(("old", "new"), [(0.04, -0.04), (-0.04, 0.04), (2.0, 2.0)])
def test_nothing_is_shown_as_a_change_of_nought(old: float, new: float) -> None:
    (number,) = verdicts.changes({"clashscore": old}, {"clashscore": new})
    assert number.change is None and number.verdict == 0


def test_what_a_structure_lacks_is_left_out() -> None:
    assert verdicts.changes({"clashscore": math.nan}, {"clashscore": 1.0, "confidence": 3.0}) == []


def test_numbers_that_speak_against_the_verdict_are_explained() -> None:
    worse = verdicts.changes(BEFORE, {"clashscore": 40.0, "ramachandran_favoured": 90.0})
    mended = verdicts.changes(BEFORE, {"clashscore": 3.0})
    assert "Clashscore and Ramachandran favoured can be worse" in verdicts.explained("better", worse)
    assert "Clashscore can be better in a model that is expected to be no nearer" in (
        verdicts.explained("no better", mended)
    )
    for word, numbers in (("better", mended), ("no better", worse), ("uncertain", worse), ("uncertain", mended)):
        assert "can be" not in verdicts.explained(word, numbers)
    assert "points of CA lDDT (0–100" in verdicts.explained("better", [])


def test_lddt_is_in_points_wherever_a_page_shows_it(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", two_chains())
    run = contents(read_run(folder))
    residues = [str(r) for r in run.residues]
    per_residue = {"lddt": [0.5] * len(residues), "distance": [1.0] * len(residues)}
    record = {
        "native": "native.pdb", "matching": "all", "residues": residues, "native_index": list(range(len(residues))),
        "native_residues": len(residues), "native_quality": {"clashscore": 1.0}, "format": 1,
        "scores": {name: {"lddt": 0.7, "lddt_ca": 0.8, "tm_score": 0.9} for name in ("input", "model_1")},
        "per_residue": {name: per_residue for name in ("input", "model_1")},
    }  # fmt: skip
    (folder / COMPARISON_FILE).write_text(json.dumps(record))
    run = contents(read_run(folder))
    assert run.comparison is not None
    columns = sections.score_columns(run)["model_1"]
    assert (columns["lddt"], columns["lddt_ca"], columns["tm_score"]) == (pytest.approx(70), pytest.approx(80), 0.9)
    drawn = {s["name"]: s["columns"] for s in payload(run)["structures"]}
    assert set(drawn["model_1"]["native_lddt"]) == {50.0}
    text = write_report(folder).read_text(encoding="utf-8")
    assert re.search(r"lDDT Cα \(0–100\)</th><td>80\.0</td>", text) and ">0.800<" not in text
