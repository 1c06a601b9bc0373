"""The input's confidence in AlphaFold's bands, beside the file's own."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np

from refine.report.bands import BANDS, file_strips, input_strips
from refine.report.page import page
from refine.report.payload import Contents, contents
from refine.report.render import render
from refine.run.result import read_run
from refine.structure.file_estimate import FileEstimate, not_given
from tests.run.run_folder import HOSTILE, make_run, two_chains

LENGTH = 48


def run_of(tmp_path: Path, file: np.ndarray, name: str = "pLDDT") -> Contents:
    """A run of two chains of 24 residues whose combined confidence is in each band a quarter of the time."""
    run = contents(read_run(make_run(tmp_path / "run", two_chains())))
    values = {
        "input_confidence": np.repeat([95.0, 75.0, 55.0, 30.0], LENGTH // 4),
        "input_confidence_ours": np.full(LENGTH, 60.0),
        "input_confidence_file": file,
    }
    estimate = {"name": name, "sentence": f"the file's own estimate: {name}, mean 83"}
    record = {**run.record, "input_accuracy": {"basis": f"refine's own and {name}", "estimate": estimate}}
    columns = {**run.columns, "input_finished": {**run.columns["input_finished"], **values}}
    return dataclasses.replace(run, run=dataclasses.replace(run.run, record=record), columns=columns)


def test_each_band_has_its_share_and_a_segment_ends_with_its_chain(tmp_path: Path) -> None:
    strips = input_strips(run_of(tmp_path, np.full(LENGTH, 83.0)))
    assert strips is not None and strips.length == LENGTH and strips.borders == [24]
    combined, file, ours = strips.strips
    assert list(combined.shares) == ["25 %"] * 4 and combined.mean == "64"
    assert [(s.start, s.length, s.colour) for s in combined.segments] == [
        (12 * k, 12, band.colour) for k, band in enumerate(BANDS)
    ]
    assert [(s.start, s.length) for s in file.segments] == [(0, 24), (24, 24)]
    assert (
        file.mean == "83"
        and ours.mean == "60"
        and "differ by 23 points on average, by 20 or more at A:10" in (strips.apart)
    )
    assert "and 33 more" in strips.apart and strips.sentence.startswith("The file's own estimate: pLDDT")


def test_author_numbers_stand_below_with_their_chains_where_there_is_room(tmp_path: Path) -> None:
    strips = input_strips(run_of(tmp_path, np.full(LENGTH, 83.0)))
    assert strips is not None
    assert strips.ticks[:3] == [(0, "A:10"), (6, "A:15"), (11, "A:20")]  # an insertion lies between 14 and 15
    assert strips.ticks[5] == (29, "B:15") and len(strips.ticks) == 9
    assert ">B:15</span>" in render("parts/strips.html", confidence=strips)


def test_where_nothing_is_given_ours_stands_alone(tmp_path: Path) -> None:
    strips = input_strips(run_of(tmp_path, np.full(LENGTH, np.nan)))
    assert strips is not None and len(strips.strips) == 1 and strips.apart == ""


def test_a_residue_without_a_value_is_a_gap(tmp_path: Path) -> None:
    file = np.full(LENGTH, 83.0)
    file[5:8] = np.nan
    strips = input_strips(run_of(tmp_path, file))
    assert strips is not None and [(s.start, s.length) for s in strips.strips[1].segments] == [
        (0, 5),
        (8, 16),
        (24, 24),
    ]


def test_the_page_shows_it_and_no_text_of_the_file_becomes_markup(tmp_path: Path) -> None:
    text = page(run_of(tmp_path, np.full(LENGTH, 83.0), name=HOSTILE))
    part = text[text.index('id="confidence"') : text.index('id="structure"')]
    assert part.count('role="img"') == 3 and "<svg" not in part and all(band.colour in part for band in BANDS)
    assert HOSTILE not in part and not re.search(r"<(script|img)", part)


def test_a_folder_of_an_earlier_version_says_so(tmp_path: Path) -> None:
    run = contents(read_run(make_run(tmp_path / "run", two_chains())))
    assert input_strips(run) is None and "earlier version" in page(run)


def test_the_files_own_alone() -> None:
    protein = two_chains()
    estimate = FileEstimate("lddt", "pLDDT", "0-1", "by its values", np.full(LENGTH, 0.91))
    strips = file_strips(estimate, protein.residue_ids)
    assert strips is not None and [s.colour for s in strips.strips[0].segments] == [BANDS[0].colour] * 2
    assert "mean 91" in render("parts/strips.html", confidence=strips)
    assert file_strips(not_given(LENGTH, "empty"), protein.residue_ids) is None
