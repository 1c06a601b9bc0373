"""A run under conditions: charges and screening as asked for, told in run.json, and nothing of it without them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from refine.cli import parser as command_parser
from refine.cli import settings_of
from refine.errors import InputError
from refine.physics.conditions import Conditions
from refine.pipeline import refine_file, score_file
from refine.settings import RunSettings
from refine.structure.write import write_pdb
from tests.energy.test_electrostatics import charged
from tests.run.test_evidence_run import quick


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.pdb"
    write_pdb(charged(30), path)
    return path


def at(**values: float) -> RunSettings:
    return dataclasses.replace(quick(), conditions=Conditions(**values))


def test_a_run_tells_its_charges(model: Path, tmp_path: Path) -> None:
    result = refine_file(model, tmp_path / "out", at(ph=5.0, ionic=0.05, temperature=310.0), report=False)
    facts = result.record["charges"]
    assert facts["ph"] == 5.0 and facts["weight"] == 1.0 and facts["screening"] == pytest.approx(13.6, abs=0.2)
    assert len(facts["groups"]) == 32 and {g["kind"] for g in facts["groups"]} == {"K", "D", "N+", "C-"}
    assert result.record["settings"]["finishing"]["ph"] == 5.0
    assert any("samples no temperature" in note["message"] for note in result.record["notes"])
    assert "term_electrostatics" in result.scores.columns
    plain = refine_file(model, tmp_path / "plain", quick(), report=False)
    assert "charges" not in plain.record and "term_electrostatics" not in plain.scores.columns


def test_salt_screens_and_acid_takes_the_charge_of_acids_away(model: Path) -> None:
    bare, salt, acid = (
        score_file(model, at(**values)).terms["electrostatics"]
        for values in ({"ionic": 0.0}, {"ionic": 1.0}, {"ph": 1.0, "ionic": 0.0})
    )
    assert abs(salt) < 0.2 * abs(bare) and acid > bare  # lysines alone repel each other more
    assert "electrostatics" not in score_file(model, quick()).terms


def test_conditions_are_on_the_command_line() -> None:
    words = ["run", "a.pdb", "--temperature", "310", "--ph", "5.5", "--ionic", "0.15"]
    assert settings_of(command_parser().parse_args(words)).conditions == Conditions(310.0, 5.5, 0.15)
    assert settings_of(command_parser().parse_args(["finish", "a.pdb", "--ph", "5"])).at_conditions.finishing.ph == 5.0
    assert settings_of(command_parser().parse_args(["run", "a.pdb"])) == RunSettings()
    with pytest.raises(InputError, match="conditions.ph = 15"):
        settings_of(command_parser().parse_args(["score", "a.pdb", "--ph", "15"]))
