"""The ranking benchmark on decoys made from the example."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.bench.consensus import COLUMNS, add_consensus
from refine.bench.decoys import find_decoys
from refine.bench.rank import SUMMARY, RankingBench, run_ranking, target_summary
from refine.bench.scoring import scores
from refine.errors import InputError
from refine.networks.weights import save_network
from refine.settings import RunSettings
from refine.structure.read import read_structure
from refine.structure.ride import ride
from refine.structure.write import write_pdb
from refine.training.decoys import jittered, restore_bonds
from tests.conftest import ROOT
from tests.networks.small import likelihood, prior

NATIVE = ROOT / "examples" / "1a8o_native.pdb"


@pytest.fixture(scope="module")
def decoys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A target with its native and six decoys, worse and worse."""
    folder = tmp_path_factory.mktemp("decoys")
    (folder / "one").mkdir()
    native = read_structure(NATIVE).protein
    write_pdb(native, folder / "one" / "native.pdb")
    for k in range(1, 7):
        backbone = jittered(native.coords[0, :, :4], np.random.default_rng(k), 0.2 * k)
        write_pdb(ride(native, restore_bonds(backbone, native.bonded)[None]), folder / "one" / f"decoy{k}.pdb")
    return folder


def test_a_folder_of_decoys_is_scored_and_ranked(decoys: Path, tmp_path: Path) -> None:
    ranking = RankingBench(find_decoys(decoys), RunSettings(networks="none"), tmp_path / "out", "test")
    summary = run_ranking(ranking)
    of = summary["targets"]["one"]
    assert (summary["scored"], of["decoys"]) == (7, 6)
    energy = of["columns"]["energy"]
    assert energy["spearman_bb_lddt"] > 0.7 and energy["native_rank"] == 1.0 and energy["roc_auc"] > 0.7
    assert energy["top1_loss_oligo_gdtts"] >= 0
    assert {"sterics", "ramachandran", "clashscore", "compactness", "confidence", "consensus"} <= set(of["columns"])
    assert of["columns"]["consensus"]["spearman_bb_lddt"] > 0.7 and "judge_consensus" not in of["columns"]
    assert "likelihood" not in of["columns"]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "scores").rglob("*.json")}
    again = run_ranking(ranking, resume=True)
    assert {p: p.stat().st_mtime_ns for p in before} == before and again["targets"] == summary["targets"]
    assert json.loads((tmp_path / "out" / SUMMARY).read_text())["label"] == "test"


def test_consensus_is_of_the_decoys_alone(decoys: Path, tmp_path: Path) -> None:
    """The native does not vote, and the judge's part is there where networks are."""
    tasks = RankingBench(find_decoys(decoys), RunSettings(networks="none"), tmp_path / "out").tasks()
    plain = [
        {"target": "one", "decoy": t.decoy.name, "native": t.decoy.is_native, "scores": {}, "judged": None}
        for t in tasks
    ]
    length = len(read_structure(NATIVE).protein)
    judged = [row | {"judged": [0.9 - 0.1 * k] * length} for k, row in enumerate(plain)]
    scores_of = {row["decoy"]: row["scores"] for row in add_consensus(tasks, judged)}
    assert scores_of["native"] == {} and set(scores_of["decoy1"]) == set(COLUMNS)
    without = [row for row in judged if not row["native"]]
    assert {row["decoy"]: row["scores"] for row in add_consensus(tasks, without)} == {
        name: values for name, values in scores_of.items() if name != "native"
    }
    by_likeness = {row["decoy"]: row["scores"] for row in add_consensus(tasks, plain)}
    assert set(by_likeness["decoy1"]) == {"consensus"}
    assert by_likeness["decoy1"]["consensus"] > by_likeness["decoy6"]["consensus"]


def test_a_learned_term_that_the_run_switches_off_is_judged_too(decoys: Path, tmp_path: Path) -> None:
    """The likelihood has a row of its own at weight 1, and no part in the energy."""
    (tmp_path / "nets").mkdir()
    save_network(prior(torch.float32), tmp_path / "nets" / "prior.safetensors", {})
    save_network(likelihood(torch.float32), tmp_path / "nets" / "likelihood.safetensors", {})
    (decoy, *_) = find_decoys(decoys)
    by_weight = {}
    for weight in (0.0, 1.0):
        settings = RunSettings(networks=str(tmp_path / "nets"), learned={"likelihood": weight})
        values = scores(RankingBench((decoy,), settings, tmp_path / "out").tasks()[0])
        by_weight[weight] = values["scores"]
        assert 100 * np.mean(values["judged"]) == pytest.approx(values["scores"]["judge"], abs=0.01)
    off, on = by_weight[0.0], by_weight[1.0]
    assert off["likelihood"] == pytest.approx(on["likelihood"]) and off["likelihood"] > 1.0
    assert off["energy"] == pytest.approx(on["energy"] - on["likelihood"], abs=0.01)


def test_a_target_without_a_native_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "decoy.pdb").write_text("x")
    with pytest.raises(InputError, match="native"):
        find_decoys(tmp_path)


def test_a_decoy_that_cannot_be_read_is_told(decoys: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one").symlink_to(decoys / "one")
    (tmp_path / "in" / "two").mkdir()
    (tmp_path / "in" / "two" / "native.pdb").write_bytes((decoys / "one" / "native.pdb").read_bytes())
    (tmp_path / "in" / "two" / "bad.pdb").write_text("not a structure\n")
    summary = run_ranking(
        RankingBench(find_decoys(tmp_path / "in", names=("two",)), RunSettings(networks="none"), tmp_path / "out")
    )
    assert summary["scored"] == 1 and len(summary["failed"]) == 1 and "two bad" in summary["failed"][0]


def row(name: str, gdt: float, energy: float, native: bool = False) -> dict:
    return {
        "target": "t",
        "decoy": name,
        "native": native,
        "closeness": {"bb_lddt": gdt / 100, "oligo_gdtts": gdt},
        "scores": {"energy": energy},
    }


def test_energies_count_downwards_and_the_choice_of_the_best_is_judged() -> None:
    rows = [row("a", 80, -1), row("b", 60, -2), row("c", 40, 0), row("n", 100, -1.5, native=True)]
    energy = target_summary(rows, 50.0)["columns"]["energy"]
    assert energy["top1_loss_oligo_gdtts"] == 20 and energy["native_rank"] == 2
    assert energy["spearman_oligo_gdtts"] == pytest.approx(0.5) and energy["roc_auc"] == 1.0
