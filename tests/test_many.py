"""Several inputs at once: the same results, a table that grows, what fails and what is there already."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest

from refine.batch import BatchItem, Outcome, Summary, plan
from refine.finishing.settings import FinishSettings
from refine.many import run_many
from refine.propagation.settings import PropagationSettings
from refine.settings import RunSettings

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "1a8o_model.pdb"
QUICK = RunSettings(
    networks="none",
    models=1,
    propagation=PropagationSettings(steps=2),
    finishing=FinishSettings(relax=False, side_chains=False),
)


def rows(folder: Path) -> list[list[str]]:
    with (folder / "runs.csv").open(newline="") as stream:
        return list(csv.reader(stream))


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "inputs"
    folder.mkdir()
    for name in ("a", "c"):
        (folder / f"{name}.pdb").write_bytes(EXAMPLE.read_bytes())
    (folder / "b.pdb").write_text("no structure")
    return folder


def test_the_number_of_workers_changes_nothing(inputs: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        out = tmp_path / str(workers)
        lines: list[str] = []
        outcomes = run_many(plan([inputs], out), QUICK, workers=workers, tell=lines.append)
        assert [o.exit_code for o in outcomes] == [0, 2, 0] and len(lines) == 3
        assert [row[:3] for row in rows(out)[1:]] == [["a.pdb", "a", "0"], ["b.pdb", "b", "2"], ["c.pdb", "c", "0"]]
    for name in ("a/model_1.pdb", "c/scores.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    changed = dataclasses.replace(QUICK, seed=1)
    again = run_many(plan([inputs], tmp_path / "2"), changed, workers=1)
    assert [o.exit_code for o in again] == [2, 2, 2] and "not empty" in str(again[0].error)
    kept = run_many(plan([inputs], tmp_path / "2"), QUICK, workers=1, resume=True)
    assert "was done before" in kept[0].message


def test_the_table_grows_by_a_line_and_is_ordered_at_the_end(tmp_path: Path) -> None:
    items = [BatchItem(Path(f"{name}.pdb"), tmp_path / name) for name in "ab"]
    with Summary(tmp_path) as summary:
        for k, item in enumerate(reversed(items), start=1):
            summary.add(Outcome(item, message="done, with a comma"))
            assert len(rows(tmp_path)) == 1 + k
        assert [row[1] for row in rows(tmp_path)] == ["folder", "b", "a"]
        summary.settle([Outcome(item, message="done, with a comma") for item in items])
    assert [row[1] for row in rows(tmp_path)] == ["folder", "a", "b"]
