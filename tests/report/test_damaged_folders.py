"""Damaged run folders: every reader says what is wrong with which file, and what is intact is still shown."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import pytest

from refine.errors import InputError
from refine.report.comparison import compare_run
from refine.report.page import write_report
from refine.run.result import read_run
from tests.run.damage import DAMAGES, cut, greedy, record
from tests.run.run_folder import make_run, two_chains


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has been compared; its native is the input."""
    folder = make_run(tmp_path_factory.mktemp("whole") / "run", two_chains())
    compare_run(folder, folder / "input.cif")
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


@pytest.mark.parametrize("name", DAMAGES)
def test_every_reader_gives_a_clear_error_or_what_is_intact(name: str, folder: Path, whole: Path) -> None:
    DAMAGES[name](folder)
    try:
        run = read_run(folder)
    except InputError as error:
        assert str(folder) in str(error)
        return
    for table in ("scores", "per_residue", "trace", "rpdd"):
        try:
            getattr(run, table)
        except InputError as error:
            assert str(folder) in str(error)
    write_report(folder)
    try:
        compare_run(folder, whole / "input.cif")
    except InputError as error:
        assert "input.cif" in str(error)


def test_the_report_names_what_is_damaged_and_shows_the_rest(folder: Path) -> None:
    cut("rpdd.npz")(folder)
    cut("scores.csv")(folder)
    record(timings=3)(folder)
    text = write_report(folder).read_text()
    for part in ("rpdd.npz", "scores.csv could not be read", "run.json.timings is damaged and left out"):
        assert part in text
    assert '"name":"model_2"' in text and "model_1 is better than the input" in text


def test_an_array_that_asks_for_149_gib_gets_no_memory(folder: Path) -> None:
    greedy(folder)
    tracemalloc.start()
    with pytest.raises(InputError, match="160000000128 bytes"):
        _ = read_run(folder).rpdd
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_a_damaged_model_is_left_out_of_a_comparison(folder: Path) -> None:
    cut("model_1.cif", 0.1)(folder)
    found = compare_run(folder, folder / "native.cif")
    assert set(found.scores) == {"input", "model_2"} and "model_1 is left out" in found.table()
