"""The whole line on a short piece of the example: outputs, determinism, resume, interruption, honesty."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch
from Bio.PDB import MMCIFParser, PDBParser

from refine import batch, pipeline
from refine.accuracy.verdict import Verdict
from refine.energy.learned import AppliedNetworks
from refine.engine import SEEN_BY_MOVER, Engine
from refine.ensemble.candidates import Ranking
from refine.errors import EngineError, InputError
from refine.finishing.settings import FinishSettings
from refine.networks.prior import Prior
from refine.networks.weights import load_networks
from refine.pipeline import finish_file, refine_file, score_file
from refine.progress import Event, Progress
from refine.propagation.settings import PropagationSettings
from refine.settings import RunSettings
from refine.structure.prepare import prepare
from refine.structure.write import write_pdb

ROOT = Path(__file__).resolve().parent.parent
QUICK = RunSettings(
    networks="none",
    models=2,
    workers=1,
    propagation=PropagationSettings(replicas=3, noise=0.02, steps=6, keep_every=2, refresh_every=3),
    finishing=FinishSettings(max_iterations=5),
)
FILES = {
    "model_1.pdb", "model_1.cif", "model_2.pdb", "model_2.cif", "ensemble.pdb", "scores.csv", "per_residue.csv",
    "rpdd.npz", "run.json", "log.txt", "progress.jsonl", "cite.bib", "input.cif", "trace.csv", "report.html",
}  # fmt: skip


@pytest.fixture(scope="module")
def piece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Residues 158 to 187 of the example model, with a water and under an odd chain id."""
    path = tmp_path_factory.mktemp("input") / "piece.pdb"
    lines = (ROOT / "examples" / "1a8o_model.pdb").read_text().splitlines()
    kept = [line[:21] + "x" + line[22:] for line in lines if line.startswith("ATOM") and 158 <= int(line[22:26]) <= 187]
    water = "HETATM 9999  O   HOH w 301      60.000  60.000  60.000  1.00 20.00           O  "
    path.write_text("\n".join([*kept, "TER", water, "END", ""]))
    return path


@pytest.fixture(scope="module")
def run(piece: Path, tmp_path_factory: pytest.TempPathFactory) -> pipeline.RunResult:
    return refine_file(piece, tmp_path_factory.mktemp("run") / "out", QUICK)


def identities(path: Path) -> list[tuple[str, str, str]]:
    """Chain, number with insertion code and name of every residue, as gemmi reads them."""
    return [(c.name, str(r.seqid), r.name) for c in gemmi.read_structure(str(path))[0] for r in c]


def test_the_folder_holds_what_the_design_names(run: pipeline.RunResult) -> None:
    assert set(os.listdir(run.out)) == FILES
    record = json.loads((run.out / "run.json").read_text())
    assert record["status"] == "done" and record["seed"] == 0 and len(record["input_sha256"]) == 64
    assert record["settings"]["propagation"]["steps"] == 6 and record["versions"]["torch"].startswith("2.")
    assert set(record["timings"]) == {"relax", "propagate", "ensemble", "finish", "write"}
    assert [m["name"] for m in record["models"]] == ["model_1", "model_2"] and record["verdict"]


def test_models_are_read_by_others_with_the_inputs_residues(run: pipeline.RunResult, piece: Path) -> None:
    expected = identities(piece)
    for name in ("model_1", "model_2"):
        for ending, parser in ((".pdb", PDBParser(QUIET=True)), (".cif", MMCIFParser(QUIET=True))):
            path = run.out / f"{name}{ending}"
            assert identities(path) == expected
            chain = parser.get_structure(name, path)[0]["x"]
            assert [r.id[1] for r in chain] == list(range(158, 188))
    water = gemmi.read_structure(str(run.out / "model_1.cif"))[0]["w"][0][0]
    assert water.pos.tolist() == [60.0, 60.0, 60.0]


def test_b_column_is_the_confidence_and_the_cif_says_so(run: pipeline.RunResult) -> None:
    with (run.out / "per_residue.csv").open() as stream:
        rows = [r for r in csv.DictReader(stream) if r["model"] == "model_1"]
    block = gemmi.cif.read(str(run.out / "model_1.cif")).sole_block()
    local = [float(v) for v in block.find_values("_ma_qa_metric_local.metric_value")]
    confidence = [float(r["confidence"]) for r in rows]
    np.testing.assert_allclose(local, confidence, atol=0.01)
    chain = gemmi.read_structure(str(run.out / "model_1.pdb"))[0]["x"]
    np.testing.assert_allclose([r[0].b_iso for r in chain], confidence, atol=0.01)
    assert all(0 < c <= 100 for c in confidence)


def test_the_inputs_confidence_is_its_own_and_stands_in_every_table(run: pipeline.RunResult, piece: Path) -> None:
    accuracy = run.record["input_accuracy"]
    assert not accuracy["estimate"]["given"] and accuracy["file"] is None
    with (run.out / "scores.csv").open() as stream:
        scores = {r["name"]: float(r["confidence"]) for r in csv.DictReader(stream)}
    assert scores["input"] == pytest.approx(accuracy["confidence"], abs=0.01)
    assert scores["input"] == pytest.approx(score_file(piece, RunSettings(models=1)).quality["confidence"], abs=0.01)
    with (run.out / "per_residue.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    finished = [float(r["confidence"]) for r in rows if r["model"] == "input_finished"]
    for model in ("input_finished", "model_1"):
        of_input = [float(r["input_confidence"]) for r in rows if r["model"] == model]
        np.testing.assert_allclose(of_input, finished, rtol=1e-4)
    assert all(r["input_confidence_file"] == "" and r["input_confidence_ours"] for r in rows)
    assert "refine's own estimate" in (run.out / "model_1.pdb").read_text()


def test_a_predictors_own_estimate_is_said_and_combined(piece: Path, tmp_path: Path) -> None:
    prepared = prepare(piece)
    ca = prepared.protein.coords[0, :, 1]
    near = np.exp(-0.5 * (np.linalg.norm(ca[:, None] - ca, axis=-1) / 8.0) ** 2).sum(1)
    plddt = 45.0 + 50.0 * (near - near.min()) / np.ptp(near)
    write_pdb(prepared.protein, tmp_path / "given.pdb", b_values=plddt.astype(np.float32))
    messages: list[str] = []
    run = refine_file(tmp_path / "given.pdb", tmp_path / "out", QUICK, Progress(lambda e: messages.append(e.message)))
    accuracy = run.record["input_accuracy"]
    assert accuracy["estimate"]["name"] == "pLDDT" and accuracy["file"] == pytest.approx(plddt.mean(), abs=0.01)
    assert any("the file's own estimate: pLDDT" in message for message in messages)
    assert run.record["length"] == QUICK.length.estimated
    remark = [line for line in (run.out / "model_1.pdb").read_text().splitlines() if line.startswith("REMARK  99")]
    assert any("the file's pLDDT combined" in line.replace("REMARK  99 ", "") for line in remark), remark
    assert "pLDDT combined" in (run.out / "model_1.cif").read_text()


def test_scores_have_the_input_and_terms_that_sum_up(run: pipeline.RunResult) -> None:
    with (run.out / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [r["name"] for r in rows] == ["input", "input_finished", "model_1", "model_2"]
    for row in rows:
        assert sum(float(v) for k, v in row.items() if k.startswith("term_") and v) == pytest.approx(
            float(row["score"]), abs=0.01
        )
    sources = [model["source"] for model in run.record["models"]]
    assert [r["source"] for r in rows] == ["input", "input", *sources]
    input_finished, model_1 = float(rows[1]["score"]), float(rows[2]["score"])
    proposal = next(float(row["score"]) for row in rows[2:] if row["source"] != "input")
    assert model_1 == (proposal if proposal < input_finished else input_finished)
    assert (sources[0] == "input") == (proposal >= input_finished)


def test_rpdd_belongs_to_the_ensemble_in_the_folder(run: pipeline.RunResult) -> None:
    ensemble = PDBParser(QUIET=True).get_structure("e", run.out / "ensemble.pdb")
    pair = [np.linalg.norm(m["x"][160]["CA"].coord - m["x"][170]["CA"].coord) for m in ensemble]
    with np.load(run.out / "rpdd.npz") as rpdd:
        assert rpdd["frames"] == len(pair) == run.record["sampling"]["kept"] and rpdd["effective"] >= 1
        assert rpdd["logits"].shape == (30, 30, 64) and rpdd["bin_edges"].shape == (63,)
        assert abs(rpdd["mean"][2, 12] - np.mean(pair)) < 3.0


def test_progress_tells_what_is_expected_of_the_input_and_of_what_is_finished(run: pipeline.RunResult) -> None:
    events = [json.loads(line) for line in (run.out / "progress.jsonl").read_text().splitlines()]
    finished = [event for event in events if event["stage"] == "finish"]
    assert events[0]["stage"] == "read" and 0 < events[0]["confidence"] <= 100
    assert finished[0]["step"] == 1 and finished[0]["confidence"] == events[0]["confidence"]
    assert finished[-1]["step"] == finished[-1]["total"] > 1
    assert all(event["energy"] is not None and event["confidence"] is not None for event in finished)


def test_same_seed_same_bytes_and_any_number_of_workers(run: pipeline.RunResult, piece: Path, tmp_path: Path) -> None:
    again = refine_file(piece, tmp_path / "again", dataclasses.replace(QUICK, workers=2))
    for name in sorted(FILES - {"run.json", "log.txt", "progress.jsonl", "report.html"}):
        assert (again.out / name).read_bytes() == (run.out / name).read_bytes(), name


def test_another_seed_gives_another_ensemble(run: pipeline.RunResult, piece: Path, tmp_path: Path) -> None:
    other = refine_file(piece, tmp_path / "other", dataclasses.replace(QUICK, seed=1, models=1))
    assert (other.out / "ensemble.pdb").read_bytes() != (run.out / "ensemble.pdb").read_bytes()


def test_the_propagation_starts_from_the_finished_input(piece: Path, tmp_path: Path) -> None:
    still = dataclasses.replace(QUICK, models=1, propagation=dataclasses.replace(QUICK.propagation, steps=0))
    starts = {}
    for relaxes in (True, False):
        run = refine_file(piece, tmp_path / str(relaxes), dataclasses.replace(still, relax_first=relaxes), report=False)
        ensemble = PDBParser(QUIET=True).get_structure("e", run.out / "ensemble.pdb")
        starts[relaxes] = np.array([r["CA"].coord for r in ensemble[0]["x"]])
        assert run.verdict == "No better: no step was asked for: model_1 is the input, finished."
    start_ca = np.array([r["CA"].coord for r in PDBParser(QUIET=True).get_structure("p", piece)[0]["x"]])
    np.testing.assert_allclose(starts[False], start_ca, atol=2e-3)
    finished = finish_file(piece, tmp_path / "finished", QUICK).out / "finished.pdb"
    alone = np.array([r["CA"].coord for r in PDBParser(QUIET=True).get_structure("f", finished)[0]["x"]])
    np.testing.assert_allclose(starts[True], alone, atol=2e-3)
    assert np.abs(alone - start_ca).max() > 0.02


def test_an_input_that_the_priors_would_leave_goes_less_far_and_is_not_relaxed_first(
    run: pipeline.RunResult, piece: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.record["length"] == 1.0  # without networks nothing speaks against the whole way
    moved = {}
    for move in (0.0, 1.0):
        monkeypatch.setattr(Engine, "wanted_move", move)
        little = refine_file(piece, tmp_path / str(move), dataclasses.replace(QUICK, models=1), report=False)
        assert little.record["length"] == (QUICK.length.least if move == 0.0 else 1.0)
        with (little.out / "per_residue.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["model"] == "model_1"]
        moved[move] = np.mean([float(row["displacement"]) for row in rows])
    assert moved[0.0] < 0.7 * moved[1.0]
    with pytest.raises(InputError, match="length.far"):
        dataclasses.replace(QUICK.length, near=1.0)


@pytest.mark.parametrize(("move", "near"), [(0.0, True), (1.0, False)])
def test_near_native_inputs_are_moved_by_their_read_out_and_others_by_the_mover(
    piece: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, move: float, near: bool
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Engine, "wanted_move", move)
    for name in ("near_native_drift", "far_drift"):
        monkeypatch.setattr(Engine, name, property(lambda engine, name=name: asked.append(name) or engine.drift))
    refine_file(piece, tmp_path / "out", dataclasses.replace(QUICK, models=1), report=False)
    assert asked == (["near_native_drift"] if near else ["far_drift"])


def test_resume_skips_a_finished_run_and_redoes_another(run: pipeline.RunResult, piece: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not empty"):
        refine_file(piece, run.out, QUICK)
    before = (run.out / "run.json").stat().st_mtime_ns
    skipped = refine_file(piece, run.out, QUICK, resume=True)
    assert skipped.skipped and skipped.models == run.models and (run.out / "run.json").stat().st_mtime_ns == before


def test_an_interrupt_keeps_what_is_there_and_resume_finishes(
    run: pipeline.RunResult, piece: Path, tmp_path: Path
) -> None:
    def stop(event: Event) -> None:
        if event.stage == "finish" and event.step == 2:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        refine_file(piece, out, QUICK, Progress(stop))
    record = json.loads((out / "run.json").read_text())
    assert record["status"] == "interrupted" and (out / "ensemble.pdb").is_file() and (out / "model_1.cif").is_file()
    assert not refine_file(piece, out, QUICK, resume=True).skipped
    assert (out / "model_1.cif").read_bytes() == (run.out / "model_1.cif").read_bytes()


def test_model_1_is_the_input_when_nothing_is_better(
    piece: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "rank", lambda *arguments: Ranking((1, 0), False))
    result = refine_file(piece, tmp_path / "out", QUICK)
    assert not result.improved and [m["source"] for m in result.record["models"]][0] == "input"
    assert len(result.models) == 2
    with (tmp_path / "out" / "scores.csv").open() as stream:
        rows = {r["name"]: r["score"] for r in csv.DictReader(stream)}
    assert rows["model_1"] == rows["input_finished"]


@pytest.mark.parametrize(("word", "source"), [("better", "average"), ("uncertain", "input")])
def test_a_measured_verdict_goes_before_the_own_score(
    piece: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, source: str
) -> None:
    monkeypatch.setattr(pipeline, "rank", lambda *arguments: Ranking((0, 1), False))
    monkeypatch.setattr(pipeline.Run, "calibrated", lambda *arguments: Verdict(word, "by estimates"))
    result = refine_file(piece, tmp_path / "out", QUICK)
    assert result.record["models"][0]["source"] == source
    assert result.record["judgement"]["word"] == ("better" if word == "better" else "no better")
    assert "own score" in result.record["judgement"]["reason"]


def test_frozen_residues_stay(piece: Path, tmp_path: Path) -> None:
    result = refine_file(piece, tmp_path / "out", dataclasses.replace(QUICK, models=1, freeze="x:165-187"))
    start, end = (gemmi.read_structure(str(p))[0]["x"] for p in (piece, result.models[0]))
    moved = [max(a.pos.dist(b[a.name][0].pos) for a in r) for r, b in zip(start, end, strict=True)]
    assert max(moved[8:-1]) < 0.002 and max(moved[:5]) > 0.05


def test_a_failed_calculation_is_recorded(piece: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise EngineError("it broke")

    monkeypatch.setattr(pipeline, "propagate", fail)
    with pytest.raises(EngineError):
        refine_file(piece, tmp_path / "out", QUICK)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["status"] == "failed" and record["error"] == "it broke"
    assert "Traceback" in (tmp_path / "out" / "log.txt").read_text()


def test_finish_and_score_alone(piece: Path, tmp_path: Path) -> None:
    result = finish_file(piece, tmp_path / "out", QUICK)
    assert identities(result.out / "finished.cif") == identities(piece) == identities(result.out / "finished.pdb")
    assert json.loads((result.out / "run.json").read_text())["status"] == "done"
    row = score_file(piece, QUICK)
    assert row.name == "piece.pdb" and sum(row.terms.values()) == pytest.approx(row.score, abs=1e-3)


def test_several_networks_say_where_they_disagree(piece: Path) -> None:
    networks = load_networks()
    assert len(networks.priors) > 1
    settings = RunSettings(device="cpu")
    protein = prepare(piece).protein
    both = Engine(protein, networks, settings).score().per_residue
    assert both["disagreement"].shape == (30,) and (both["disagreement"] > 0).all()
    one = dataclasses.replace(networks, priors=networks.priors[:1])
    assert "disagreement" not in Engine(protein, one, settings).score().per_residue
    same = dataclasses.replace(networks, priors=(networks.priors[0], networks.priors[0]))
    assert np.abs(Engine(protein, same, settings).score().per_residue["disagreement"]).max() < 1e-5


def test_resume_makes_up_a_report_that_is_missing(run: pipeline.RunResult, piece: Path) -> None:
    (run.out / "report.html").unlink()
    again = refine_file(piece, run.out, QUICK, resume=True)
    assert again.skipped and (run.out / "report.html").is_file()
    assert json.loads((run.out / "run.json").read_text())["report"] == {"file": "report.html"}


def test_an_interrupted_input_stands_in_the_table_of_runs(tmp_path: Path) -> None:
    items = [batch.BatchItem(tmp_path / f"{name}.pdb", tmp_path / name) for name in "abc"]

    def work(item: batch.BatchItem, progress: Progress) -> pipeline.RunResult:
        if item.path.stem == "b":
            raise KeyboardInterrupt
        return pipeline.RunResult(item.out, (), True, "better", {})

    batch.run_all(items, work, lambda label: Progress())
    rows = list(csv.DictReader((tmp_path / "runs.csv").open()))
    assert [row["input"] for row in rows] == ["a.pdb", "b.pdb"] and "interrupted" in rows[1]["message"]


@pytest.mark.parametrize("fit", [True, False])
def test_the_mover_may_call_an_input_near_native_sooner_where_identities_fit(
    piece: Path, monkeypatch: pytest.MonkeyPatch, fit: bool
) -> None:
    protein, networks = prepare(piece).protein, load_networks()
    log_p = -2.0 if fit else -3.0  # 1.2 and 1.8 kcal/mol
    monkeypatch.setattr(AppliedNetworks, "likelihood", lambda _, coords: torch.full((*coords.shape[:2], 20), log_p))

    def wanted(by_priors: float, by_mover: float, mover: float = 0.6) -> float:
        engine = Engine(protein, networks, RunSettings(device="cpu", mover=mover))
        assert engine.applied is not None
        x = torch.tensor([1.0, 0.0, 0.0])
        fields = dataclasses.replace(engine.applied.fields(engine.coords), place=engine.coords[:, :, 1] + by_priors * x)
        with monkeypatch.context() as patch:
            patch.setattr(AppliedNetworks, "fields", lambda *_: fields)
            patch.setattr(Engine, "_place_by_mover", lambda _, coords: coords[:, :, 1] + by_mover * x)
            return engine.wanted_move

    assert wanted(0.2, 0.1) == pytest.approx(0.1 * SEEN_BY_MOVER if fit else 0.1, rel=1e-3)
    assert wanted(0.2, 0.3) == pytest.approx(0.3 * SEEN_BY_MOVER if fit else 0.2, rel=1e-3)
    assert wanted(0.2, 0.9) == pytest.approx(0.2, rel=1e-3)  # the mover makes no input worse than the priors do
    assert wanted(0.2, 0.1, mover=0.0) == pytest.approx(0.2, rel=1e-3)
    assert wanted(0.05, 0.01) == pytest.approx(0.05, rel=1e-3)


def test_the_mover_moves_by_its_share_and_takes_part_in_no_score(piece: Path) -> None:
    protein, settings = prepare(piece).protein, RunSettings(device="cpu")
    networks = load_networks()
    assert networks.mover is not None

    def forces(engine: Engine) -> torch.Tensor:
        return engine.far_drift.at(engine.coords).forces(engine.coords)[0]

    def shared(share: float) -> Engine:
        return Engine(protein, networks, dataclasses.replace(settings, mover=share))

    def of(*priors: Prior) -> Engine:
        return Engine(protein, dataclasses.replace(networks, priors=priors, mover=None), settings)

    two, mover = networks.priors, networks.mover
    assert torch.equal(forces(shared(0.0)), forces(of(*two)))
    assert torch.equal(forces(shared(1.0)), forces(of(mover)))
    torch.testing.assert_close(forces(shared(1 / 3)), forces(of(*two, mover)), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(forces(shared(0.5)), forces(of(*two, mover, mover)), atol=1e-3, rtol=1e-3)
    assert not torch.allclose(forces(shared(0.5)), forces(shared(1 / 3)), atol=1e-2)
    assert shared(0.5).score().terms == of(*two).score().terms
    with pytest.raises(InputError, match="mover"):
        RunSettings(mover=1.5)
