"""A run with evidence: it is met better than before, told of, and part of what makes a run the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from refine.cli import parser as command_parser
from refine.cli import settings_of
from refine.errors import InputError
from refine.evidence.read import read_evidence
from refine.pipeline import refine_file, score_file
from refine.settings import RunSettings
from refine.structure.read import read_structure
from refine.structure.write import write_pdb
from tests.propagation.test_elastic import bent_chain


def quick(*evidence: Path) -> RunSettings:
    """Without networks and minimisation, few steps."""
    plain = RunSettings(networks="none", models=1, workers=1, evidence=tuple(map(str, evidence)))
    return dataclasses.replace(
        plain,
        propagation=dataclasses.replace(plain.propagation, steps=2),
        finishing=dataclasses.replace(plain.finishing, relax=False, side_chains=False),
    )


@pytest.fixture
def case(tmp_path: Path) -> tuple[Path, Path]:
    """A chain bent in the middle, and a table of the distances it should have."""
    native, model, table = bent_chain(0.0), tmp_path / "model.pdb", tmp_path / "rows.tsv"
    write_pdb(bent_chain(45.0), model)
    rng, ca = np.random.default_rng(0), native.coords[0, :, 1].astype(np.float64)
    lines = ["first\tsecond\tvalue\tsigma"]
    for i, j in zip(rng.integers(0, 18, 20).tolist(), rng.integers(22, 40, 20).tolist(), strict=True):
        lines.append(f"A:{i + 1} CA\tA:{j + 1} CA\t{np.linalg.norm(ca[i] - ca[j]):.2f}\t1")
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return model, table


def test_a_run_meets_its_evidence_and_tells(case: tuple[Path, Path], tmp_path: Path) -> None:
    model, table = case
    result = refine_file(model, tmp_path / "out", quick(table))
    facts, (file,) = result.record["evidence"], result.record["evidence"]["files"]
    assert facts["factor"] > 0 and file["rows"] == len(facts["rows"]) == 20
    assert file["model_1_holds"] > file["input_holds"] and file["model_1_violation"] < 0.5 * file["input_violation"]
    pairs = read_evidence([table], read_structure(model).protein).pairs
    measured = pairs.measured(read_structure(result.models[0]).protein)
    assert [row["model_1"] for row in facts["rows"]] == pytest.approx(measured.tolist(), abs=0.01)
    assert result.scores["term_evidence"]["model_1"] < result.scores["term_evidence"]["input"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Every row" in page and "rows.tsv:2" in page
    again = refine_file(model, tmp_path / "out", quick(table), resume=True)
    assert again.skipped
    table.write_text(table.read_text().replace("\t1\n", "\t2\n", 1), encoding="utf-8")
    assert not refine_file(model, tmp_path / "out", quick(table), resume=True, report=False).skipped


def test_evidence_is_in_the_score_and_on_the_command_line(case: tuple[Path, Path], tmp_path: Path) -> None:
    model, table = case
    assert score_file(model, quick(table)).terms["evidence"] > 0
    assert "evidence" not in score_file(model, quick()).terms
    options = command_parser().parse_args(["run", str(model), "--evidence", str(table), "--evidence", "b.npz"])
    assert settings_of(options).evidence == (str(table), "b.npz")
    with pytest.raises(InputError, match="cannot read"):
        refine_file(model, tmp_path / "out", quick(tmp_path / "absent.tsv"))
    assert not (tmp_path / "out").exists()


def test_a_run_fits_its_ensemble_to_a_mean_and_a_distribution(case: tuple[Path, Path], tmp_path: Path) -> None:
    """Without networks the chain is soft: the mean moves to what was measured, with sixteen replicas."""
    model, table = case
    distance = float(np.linalg.norm(np.subtract(*bent_chain(45.0).coords[0, [4, 34], 1].astype(np.float64))))
    edges = [round(distance + k, 2) for k in (-2.0, -1.0, 0.0, 1.0, 2.0)]
    table = tmp_path / "rows.toml"
    table.write_text(
        f'[[mean]]\nfirst = "A:8 CA"\nsecond = "A:30 CA"\nvalue = 20\n[[distribution]]\nfirst = "A:5 CA"\n'
        f'second = "A:35 CA"\nedges = {edges}\nprobabilities = [1, 4, 4, 1]\n',
        encoding="utf-8",
    )
    result = refine_file(model, tmp_path / "out", quick(table))
    facts = result.record["evidence"]
    assert facts["factor"] == 0.0 and facts["files"] == []
    assert result.record["judgement"]["word"] in ("uncertain", "no better")
    mean, distribution = facts["ensemble"]
    assert mean["variation"] is None and 0.0 <= distribution["variation"] <= 1.0
    assert result.record["sampling"]["replicas"] == 16
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "total variation" in page and "rows.toml:1" in page
    few = quick(table)
    few = dataclasses.replace(few, propagation=dataclasses.replace(few.propagation, replicas=6))
    with pytest.raises(InputError, match="16 replicas or more"):
        refine_file(model, tmp_path / "few", few)
    assert not (tmp_path / "few").exists()
