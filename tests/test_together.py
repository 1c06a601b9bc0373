"""Several models of one protein: each run has the others as evidence, and one table ranks all."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from refine.batch import plan
from refine.cli import main, settings_of
from refine.cli import parser as command_parser
from refine.errors import InputError
from refine.files import csv_rows
from refine.structure.write import write_pdb
from refine.together import Ranked, ranked, run_together
from tests.propagation.test_elastic import bent_chain
from tests.run.test_evidence_run import quick


def test_each_model_has_the_others_as_evidence_and_all_are_ranked(tmp_path: Path) -> None:
    for name, turn in (("a", 0.0), ("b", 40.0)):
        write_pdb(bent_chain(turn), tmp_path / f"{name}.pdb")
    inputs = [tmp_path / "a.pdb", tmp_path / "b.pdb"]
    settings = dataclasses.replace(quick(), models=2)
    outcomes, lines = run_together(plan(inputs, tmp_path / "out"), settings)
    assert [o.exit_code for o in outcomes] == [0, 0] and "best of all" in lines[0]
    for name, other in (("a", "b"), ("b", "a")):
        record = json.loads((tmp_path / "out" / name / "run.json").read_text(encoding="utf-8"))
        (facts,) = record["evidence"]["files"]
        assert facts["file"] == f"{other}.pdb" and facts["kind"] == "model" and facts["rows"] > 100
        assert list(record["evidence_sha256"]) == [str(tmp_path / f"{other}.pdb")]
    table = csv_rows((tmp_path / "out/together.csv").read_text(encoding="utf-8").splitlines())
    assert list(table[0]) == ["rank", "model", "input", "confidence", "score"]
    assert {row["input"] for row in table} == {"a.pdb", "b.pdb"}
    confidences = [float(row["confidence"]) for row in table]
    assert confidences == sorted(confidences, reverse=True)
    assert all((tmp_path / "out" / row["model"]).is_file() for row in table)
    again, _ = run_together(plan(inputs, tmp_path / "out"), settings, resume=True)
    assert all("was done before" in o.message for o in again)


def test_models_of_one_name_from_two_folders_are_all_ranked(tmp_path: Path) -> None:
    for folder, turn in (("one", 0.0), ("two", 40.0)):
        (tmp_path / folder).mkdir()
        write_pdb(bent_chain(turn), tmp_path / folder / "m.pdb")
    inputs = [tmp_path / "one/m.pdb", tmp_path / "two/m.pdb"]
    run_together(plan(inputs, tmp_path / "out"), dataclasses.replace(quick(), models=1))
    table = csv_rows((tmp_path / "out/together.csv").read_text(encoding="utf-8").splitlines())
    assert len({Path(row["model"]).parent for row in table}) == 2


def test_ranking_needs_no_runs_that_failed() -> None:
    assert ranked({}) == [] and Ranked(Path("m"), "a", 1.0, 2.0).confidence == 1.0


def test_one_model_cannot_be_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pdb(bent_chain(0.0), tmp_path / "a.pdb")
    with pytest.raises(InputError, match="two models or more"):
        run_together(plan([tmp_path / "a.pdb"], tmp_path / "out"), quick())
    write_pdb(bent_chain(0.0), tmp_path / "b.pdb")
    both = [str(tmp_path / "a.pdb"), str(tmp_path / "b.pdb"), "--together", "--workers", "2"]
    assert main(["run", *both, "--out", str(tmp_path / "out")]) == 2
    assert "one model after the other" in capsys.readouterr().err


def test_a_template_is_on_the_command_line() -> None:
    options = command_parser().parse_args(["run", "a.pdb", "--template", "b.pdb", "--template", "c.cif"])
    assert settings_of(options).template == ("b.pdb", "c.cif")
