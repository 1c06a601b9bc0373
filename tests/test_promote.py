"""Snapshots of a finished run that are simulated: choices, results, weights, evidence, and a promotion that goes on."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from refine.cli import main
from refine.errors import InputError
from refine.evidence.read import read_evidence
from refine.explore.run import explore_file
from refine.finishing.settings import FinishSettings
from refine.pipeline import refine_file
from refine.promotable import FinishedExploration, FinishedRun, finished, read_backbones, read_weights
from refine.promote import EVIDENCE, FOLDER, evidence_rows, promote_run
from refine.propagation.settings import PropagationSettings
from refine.run.result import RunResult
from refine.sampling import exploration
from refine.sampling.settings import ExploreSettings
from refine.settings import RunSettings
from refine.structure.read import read_structure
from tests.conftest import ROOT

SETTINGS = RunSettings(
    networks="none",
    models=1,
    propagation=PropagationSettings(replicas=3, noise=0.02, steps=6, keep_every=2, refresh_every=3),
    finishing=FinishSettings(max_iterations=5),
)


@pytest.fixture(scope="module")
def piece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Residues 158 to 172 of the example model."""
    path = tmp_path_factory.mktemp("input") / "piece.pdb"
    lines = (ROOT / "examples" / "1a8o_model.pdb").read_text().splitlines()
    path.write_text("\n".join([t for t in lines if t.startswith("ATOM") and 158 <= int(t[22:26]) <= 172] + ["END", ""]))
    return path


@pytest.fixture(scope="module")
def folder(piece: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the piece."""
    out = tmp_path_factory.mktemp("run") / "out"
    refine_file(piece, out, SETTINGS, report=False)
    return out


@pytest.fixture(scope="module")
def table(folder: Path) -> list[dict[str, str]]:
    """Two snapshots, 0.2 ps of dynamics each."""
    with promote_run(folder, 2, ps=0.2, seed=3).open() as stream:
        return list(csv.DictReader(stream))


def test_snapshots_are_read_by_name(folder: Path) -> None:
    run = FinishedRun(folder)
    assert run.backbones.shape[1:] == (15, 4, 3) and len(run.backbones) > 2
    candidates = run.candidates()
    assert candidates.sound.all() and np.ptp(candidates.energy) > 0
    lines = (folder / "ensemble.pdb").read_text().splitlines(keepends=True)
    broken = folder.parent / "broken.pdb"
    broken.write_text("".join(t for t in lines if not (t.startswith("ATOM") and t[12:16].strip() == "C")))
    with pytest.raises(InputError, match="has no C"):
        read_backbones(broken, run.prepared.protein)


def test_what_was_chosen_is_simulated_scored_and_weighed(folder: Path, table: list[dict[str, str]]) -> None:
    out = folder / FOLDER
    assert [row["name"] for row in table] == ["promoted_1", "promoted_2"]
    assert len({row["snapshot"] for row in table}) == 2
    assert sum(float(row["weight"]) for row in table) == pytest.approx(1.0, abs=1e-3)
    assert table[0]["novelty"] == "" and float(table[1]["novelty"]) > 0
    for row in table:
        model = read_structure(out / row["file"]).protein
        assert model.sequence == FinishedRun(folder).prepared.protein.sequence
        assert float(row["moved"]) > 0.01 and np.isfinite(float(row["score"]))


def test_what_came_of_them_goes_back_as_evidence(folder: Path, table: list[dict[str, str]]) -> None:
    protein = FinishedRun(folder).prepared.protein
    evidence = read_evidence([folder / FOLDER / EVIDENCE], protein)
    assert len(evidence.pairs) > len(protein)
    means = [np.load(folder / FOLDER / f"promoted_{k}.npz")["distances"] for k in (1, 2)]
    weights = [float(row["weight"]) for row in table]
    text = (folder / FOLDER / EVIDENCE).read_text().splitlines()[1].split("\t")
    names = [f"{r.chain}:{r.number} CA" for r in protein.residue_ids]
    i, j = (names.index(name) for name in text[1:3])
    assert float(text[3]) == pytest.approx(np.average([m[i, j] for m in means], weights=weights), abs=0.02)


def test_uncertainty_of_evidence_is_the_spread(folder: Path) -> None:
    protein = FinishedRun(folder).prepared.protein
    mean, variance = np.full((15, 15), 8.0), np.full((15, 15), 9.0)
    rows = evidence_rows(protein, mean, variance).splitlines()[1:]
    assert {row.split("\t")[4] for row in rows} == {"3.00"} and len(rows) <= 5 * 15
    assert evidence_rows(protein, mean + 20.0, variance).count("\n") == 1


def test_a_promotion_that_was_stopped_goes_on_to_the_same(folder: Path, table: list[dict[str, str]]) -> None:
    out = folder / FOLDER
    first = (out / "promoted_2.cif").read_bytes()
    stopped = folder.parent / "stopped"
    (stopped / FOLDER).mkdir(parents=True)
    for path in folder.iterdir():
        if path.is_file():
            (stopped / path.name).write_bytes(path.read_bytes())
    with sqlite3.connect(out / "campaign.sqlite") as old, sqlite3.connect(stopped / FOLDER / "campaign.sqlite") as new:
        new.executescript("\n".join(line for line in old.iterdump() if "'result',1," not in line))
    (stopped / FOLDER / "promoted_1.npz").write_bytes((out / "promoted_1.npz").read_bytes())
    with promote_run(stopped, 2, ps=0.2, seed=3).open() as stream:
        again = list(csv.DictReader(stream))
    assert again == table
    assert (stopped / FOLDER / "promoted_2.cif").read_bytes() == first
    assert not (stopped / FOLDER / "promoted_1.cif").exists()  # it was done already
    with pytest.raises(InputError, match="other settings or seed"):
        promote_run(stopped, 2, ps=0.2, seed=4)


def test_the_command_line(folder: Path, table: list[dict[str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    assert table
    assert main(["promote", str(folder), "--count", "2", "--ps", "0.2", "--seed", "3", "--quiet"]) == 0
    assert capsys.readouterr().out.strip().endswith("promoted.csv")
    assert main(["promote", str(folder.parent), "--quiet"]) == 2
    assert main(["promote", str(folder), "--count", "0", "--quiet"]) == 2
    assert main(["run", str(folder / "input.cif"), "--promote", "2", "--workers", "2", "--quiet"]) == 2


def test_settings_that_are_damaged_are_told(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    record = json.loads((folder / "run.json").read_text())
    record["settings"]["no_such_setting"] = 1
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"settings in run\.json"):
        FinishedRun(tmp_path)


@pytest.fixture(scope="module")
def explored(piece: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished exploration of the piece in which residues 162 to 168 are free, of blocks of 0.2 ps."""
    variables = piece.with_name("variables.txt")
    variables.write_text("distance A:160 CA A:165 CA\n")
    out = tmp_path_factory.mktemp("explored") / "out"
    settings = ExploreSettings(ns=0.1, bias="none", seed=1, loop="A:162-168", snapshots=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exploration, "BLOCK_STEPS", 50)
        patch.setattr(exploration, "FRAME_STEPS", 1)
        explore_file(piece, out, settings, variables=variables)
    return out


def test_snapshots_of_an_exploration_compete_in_the_same_way(explored: Path) -> None:
    run = finished(explored)
    assert isinstance(run, FinishedExploration)
    assert run.backbones.shape == (12, 15, 4, 3) and run.weight.sum() == pytest.approx(1.0, abs=1e-3)
    assert [str(r) for r, m in zip(run.prepared.protein.residue_ids, run.prepared.mobile, strict=True) if m] == [
        f"A:{n}" for n in range(162, 169)
    ]
    one, two = run.snapshot(0), run.snapshot(11)
    np.testing.assert_allclose(one.coords[0, :, :4], run.backbones[0], atol=1e-6)
    assert not np.allclose(one.coords[0, 4:11, 4:], two.coords[0, 4:11, 4:])  # side chains of their own
    assert run.candidates().sound.all()


def test_what_was_chosen_from_an_exploration_is_simulated(explored: Path) -> None:
    with promote_run(explored, 2, ps=0.2).open() as stream:
        table = list(csv.DictReader(stream))
    assert len({row["snapshot"] for row in table}) == 2
    start = finished(explored).prepared.protein
    for row in table:
        model = read_structure(explored / FOLDER / row["file"]).protein
        assert model.sequence == start.sequence and np.isfinite(float(row["score"]))
        np.testing.assert_allclose(model.coords[0, :3, :4], start.coords[0, :3, :4], atol=2e-3)  # at rest
    assert read_evidence([explored / FOLDER / EVIDENCE], start).pairs


def test_explorations_that_cannot_be_promoted_say_why(explored: Path, tmp_path: Path) -> None:
    for name in ("ensemble.pdb", "ensemble.csv", "run.json"):
        (tmp_path / name).write_bytes((explored / name).read_bytes())
    with pytest.raises(InputError, match=r"no model_1\.cif"):
        finished(tmp_path)
    table = tmp_path / "ensemble.csv"
    with pytest.raises(InputError, match="weight"):
        read_weights(table, 11)
    table.write_text("model,weight\n1,\n2,\n")
    np.testing.assert_array_equal(read_weights(table, 2), [1.0, 1.0])
    table.write_text("model,weight\n1,0.5\n2,x\n")
    with pytest.raises(InputError, match="damaged"):
        read_weights(table, 2)
    arguments = ["explore", "--sequence", "ACE-ALA-NME", "--promote", "2", "--out", str(tmp_path / "x"), "--quiet"]
    assert main(arguments) == 2 and not (tmp_path / "x").exists()


def test_explore_promotes_when_it_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, piece: Path) -> None:
    done: list[tuple[Path, int, int]] = []
    result = RunResult(tmp_path, (), False, "", {})
    monkeypatch.setattr("refine.explore.run.explore_file", lambda *a, **k: result)
    monkeypatch.setattr("refine.promote.promote_run", lambda out, n, seed, progress: done.append((out, n, seed)))
    assert main(["explore", str(piece), "--promote", "3", "--seed", "7", "--out", str(tmp_path), "--quiet"]) == 0
    assert done == [(tmp_path, 3, 7)]
