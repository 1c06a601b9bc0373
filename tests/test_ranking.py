"""``refine rank``: models of one protein, whatever their numbering, chains and gaps."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from refine import cli
from refine.errors import InputError
from refine.files import csv_rows
from refine.ranking import JudgedModel, rank_files, rank_models, reference_of
from refine.settings import RunSettings
from refine.structure.protein import Protein
from refine.structure.write import write_pdb
from tests.proteins import chain_backbone, make_protein, torsions

LENGTH = 48


def backbone(size: float, seed: int) -> np.ndarray:
    """A chain whose torsions scatter by ``size`` rad."""
    rng = np.random.default_rng(seed)
    phi, psi = torsions(LENGTH)
    return chain_backbone(phi + rng.normal(scale=size, size=LENGTH), psi + rng.normal(scale=size, size=LENGTH))


def judged(protein: Protein, name: str, value: float = 0.7) -> JudgedModel:
    return JudgedModel(Path(name), protein, np.full(len(protein), value))


def family(count: int = 4) -> list[JudgedModel]:
    return [judged(make_protein([backbone(0.1 + 0.01 * k, k)]), f"m{k}.pdb") for k in range(count)]


def scores(models: list[JudgedModel]) -> dict[str, float]:
    ranking, refused = rank_models(models)
    assert not refused
    return {str(row.path): row.score for row in ranking}


def test_the_odd_model_is_last() -> None:
    strand = chain_backbone(np.full(LENGTH, np.radians(-120.0)), np.full(LENGTH, np.radians(135.0)))
    ranking, _ = rank_models([judged(make_protein([strand]), "odd.pdb", 0.72), *family()])
    assert ranking[-1].path.name == "odd.pdb" and ranking[-1].agreement < ranking[0].agreement - 20


def test_numbering_chain_and_gaps_of_the_files_do_not_matter() -> None:
    models = family()
    renumbered = make_protein([backbone(0.11, 1)], start=301)
    ids = tuple(dataclasses.replace(one, chain="X") for one in renumbered.residue_ids)
    elsewhere = judged(dataclasses.replace(renumbered, residue_ids=ids), "m1.pdb")
    assert scores([models[0], elsewhere, *models[2:]]) == pytest.approx(scores(models))


def test_missing_residues_are_counted_and_cost() -> None:
    models = family()
    kept = np.r_[0:15, 24:LENGTH]
    gap = judged(models[0].protein.select(kept), "m0.pdb")
    ranking, _ = rank_models([gap, *models[1:]])
    (row,) = (row for row in ranking if row.path.name == "m0.pdb")
    assert (row.residues, row.missing) == (LENGTH - 9, 9) and ranking[-1] == row
    assert row.judge == pytest.approx(70 * (LENGTH - 9) / LENGTH)


def test_another_protein_is_refused_by_name_and_the_others_ranked() -> None:
    other = make_protein([backbone(0.0, 9)[:40]], ["W" * 20 + "HCYM" * 5])
    longer = make_protein([chain_backbone(*torsions(70))], ["HCYMWI" * 11 + "HCYM"])
    models = family()
    ranking, refused = rank_models([judged(other, "o.pdb"), judged(longer, "l.pdb"), *models])
    assert sorted(map(str, refused)) == ["l.pdb", "o.pdb"] and "another protein" in str(refused[Path("o.pdb")])
    assert {str(row.path): row.score for row in ranking} == pytest.approx(scores(models))


def test_two_chains_are_matched_by_their_names() -> None:
    a, b = backbone(0.02, 1), backbone(0.02, 2) + 40.0
    letters = ["ADEGKLSTVFNPQR" * 3 + "ADEGKL", "RQPNFVTSLKGEDA" * 3 + "RQPNFV"]
    both = [judged(make_protein([a + k, b + k], letters), f"{k}.pdb") for k in range(2)]
    swapped = both[1].protein.select(np.r_[LENGTH : 2 * LENGTH, 0:LENGTH])
    ranking, refused = rank_models([both[0], judged(swapped, "1.pdb")])
    assert not refused and [row.agreement for row in ranking] == pytest.approx([100.0, 100.0], abs=0.01)


def test_the_reference_is_what_most_are() -> None:
    short, long = make_protein([backbone(0.0, 0)[:30]]), make_protein([backbone(0.0, 0)])
    other = make_protein([chain_backbone(*torsions(70))], ["HCYMWI" * 11 + "HCYM"])
    assert reference_of([other, short, long]) is long


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Four models, one of them of another protein, and a file that is none."""
    for model in family(3):
        write_pdb(model.protein, tmp_path / model.path)
    write_pdb(make_protein([backbone(0.0, 9)], ["HCYMWI" * 8]), tmp_path / "other.pdb")
    (tmp_path / "broken.pdb").write_text("not a structure\n")
    return [tmp_path / f"{name}.pdb" for name in ("m0", "m1", "m2", "other", "broken")]


def test_the_command_ranks_what_it_can_and_names_the_rest(
    files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = files[0].parent / "ranking.csv"
    assert cli.main(["rank", *map(str, files), "--out", str(out), "--quiet"]) == 3
    told = capsys.readouterr().err
    assert "other.pdb" in told and "another protein" in told and "broken.pdb" in told
    rows = list(csv_rows(out.read_text(encoding="utf-8").splitlines()))
    assert sorted(Path(row["model"]).name for row in rows) == ["m0.pdb", "m1.pdb", "m2.pdb"]
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    values = [float(row["score"]) for row in rows]
    assert values == sorted(values, reverse=True) and all(0 < value < 100 for value in values)
    assert all(row["voters"] == "2" and row["residues"] == str(LENGTH) and row["missing"] == "0" for row in rows)


def test_a_single_model_has_the_judge_s_score_and_says_so(
    files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["rank", str(files[0]), "--quiet"]) == 0
    told = capsys.readouterr()
    (row,) = csv_rows(told.out.splitlines())
    assert row["score"] == row["judge"] and row["agreement"] == "" and "judge's alone" in told.err


def test_nothing_that_can_be_ranked_is_an_error(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rank", str(files[-1]), "--quiet"]) == 2
    assert "broken.pdb" in capsys.readouterr().err


def test_without_networks_there_is_nothing_to_rank_by(files: list[Path]) -> None:
    with pytest.raises(InputError, match="networks"):
        rank_files(files, RunSettings(networks="none"))
