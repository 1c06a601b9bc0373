"""Tables of a run: what a spreadsheet could take for a formula is written as text, and read back as it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from refine.files import csv_rows
from refine.run.result import RunResult
from refine.run.tables import ScoreRow, per_residue_csv, scores_csv
from refine.structure.protein import ResidueId
from tests.structure.files import base_protein

FORMULA = "=cmd|' /C calc'!A0"


def test_a_chain_named_like_a_formula(tmp_path: Path) -> None:
    base = base_protein()
    ids = tuple(ResidueId(FORMULA, r.number - 5) for r in base.residue_ids)
    protein = dataclasses.replace(base, residue_ids=ids)
    text = per_residue_csv(protein, {"input": {"spread": np.full(len(base), -0.5)}})
    assert f"\ninput,'{FORMULA},-4,,M,-0.5\n" in text
    (tmp_path / "per_residue.csv").write_text(text)
    with (tmp_path / "per_residue.csv").open(newline="") as stream:
        assert {row["chain"] for row in csv_rows(stream)} == {FORMULA}
    table = RunResult(tmp_path, (), False, "", {}).per_residue
    assert set(table["chain"]) == {FORMULA} and table["number"].min() == -4 and table["spread"].max() == -0.5


def test_a_file_named_like_a_formula(tmp_path: Path) -> None:
    row = ScoreRow("+x.pdb", "", "@input", -12.5, {"bonds": -1.0}, {})
    text = scores_csv([row])
    assert text.split("\n")[1] == "'+x.pdb,,'@input,-12.5,-1"
    (tmp_path / "scores.csv").write_text(text)
    table = RunResult(tmp_path, (), False, "", {}).scores
    assert table.index.tolist() == ["+x.pdb"] and table["source"].tolist() == ["@input"]
    assert table["score"].tolist() == [-12.5]
