"""Training: examples are functions of their number, resume is exact, what is exported comes back, and the command does
it all.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.errors import InputError, ModelError
from refine.networks.weights import load_network, load_networks, save_network
from refine.training import command, evaluate
from refine.training import train as training
from refine.training.examples import KINDS, Examples, ExampleSettings, collate
from refine.training.own_moves import OwnMovesSettings
from refine.training.pack import Pack
from refine.training.packing import PackSettings, build_pack
from refine.training.train import TrainingSettings, build, load_weights, train
from tests.networks.small import (
    JUDGE,
    LIKELIHOOD,
    PRIOR,
    Structure,
    compact_protein,
    judge,
    likelihood,
    prior,
    small_pack,
    write_structures,
)

TINY = TrainingSettings(
    steps=6, batch=2, warmup=2, cooldown=2, every=3, bf16=False, prior=PRIOR, likelihood=LIKELIHOOD, judge=JUDGE
)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_pack(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sets of rivals, or eight examples, to validate on."""
    monkeypatch.setattr(training, "VALIDATION_EXAMPLES", 8)


def test_an_example_is_a_function_of_seed_and_number(pack: Path) -> None:
    first = Examples(Pack(pack), [], "train", ExampleSettings(), 3, 10)
    again = Examples(Pack(pack), [], "train", ExampleSettings(), 3, 10)
    again[7]
    for n in (0, 4):
        one, two = first[n], again[n]
        assert all(np.array_equal(one[key], two[key]) for key in one)
    other = Examples(Pack(pack), [], "train", ExampleSettings(), 4, 10)
    assert not np.array_equal(first[0]["start"], other[0]["start"])
    batch = collate([first[0], first[1]])
    assert batch["start"].shape == (2, 44, 4, 3) and batch["mask"].all()


@pytest.mark.parametrize(("network", "share"), [("prior", 0.0), ("prior", 0.5), ("likelihood", 0.0), ("judge", 0.0)])
def test_resume_equals_an_uninterrupted_run(
    network: str, share: float, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(TINY, network=network, own_moves=OwnMovesSettings(share=share, moves=2))
    train(pack, None, tmp_path / "whole", settings)
    rate = training.rate

    def interrupted(step: int, s: TrainingSettings) -> float:
        if step == 4:
            raise KeyboardInterrupt
        return rate(step, s)

    monkeypatch.setattr(training, "rate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(pack, None, tmp_path / "parts", settings)
    assert torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["step"] == 3
    monkeypatch.setattr(training, "rate", rate)
    train(pack, None, tmp_path / "parts", settings)
    one, two = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts"))
    assert len(one["pool"]) == len(two["pool"]) and (share == 0) == (len(one["pool"]) == 0)
    assert one["step"] == two["step"] == 6 and one["running"] == two["running"] and one["data"] == two["data"] != ""
    for part in ("network", "averaged"):
        assert all(torch.equal(one[part][key], two[part][key]) for key in one[part])
    for key, state in one["optimiser"]["state"].items():
        assert all(torch.equal(value, two["optimiser"]["state"][key][name]) for name, value in state.items())
    logs = [validations(tmp_path / name) for name in ("whole", "parts")]
    assert logs[0] == logs[1] and [row["step"] for row in logs[0]] == [3, 6]
    figures = {name for name in logs[0][-1] if "/" in name}
    assert figures and all(np.isfinite([row[name] for name in figures]).all() for row in logs[0])
    start = build(settings).state_dict()
    assert any(not torch.equal(one["network"][key], start[key]) for key in start)


def validations(folder: Path) -> list[dict[str, float]]:
    """Rows of the log without their times."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_validation_averages_over_examples_of_a_kind(pack: Path) -> None:
    examples = Examples(Pack(pack), [], "valid", ExampleSettings(natives=0.5), 1, 8)
    network, settings = likelihood(torch.float32), dataclasses.replace(TINY, network="likelihood")
    averages = training.validate(network, examples, settings)
    by_kind: dict[str, list[float]] = {}
    for n in range(8):
        kind = KINDS[int(examples[n]["kind"])]
        _, figures, _ = training.loss_of(network, collate([examples[n]]), settings)
        for name, value in figures.items():
            by_kind.setdefault(f"{kind}/{name}", []).append(value)
    assert averages == pytest.approx({name: float(np.mean(values)) for name, values in by_kind.items()})
    assert len({name.split("/")[0] for name in averages}) > 1 and network.training


def test_checkpoint_of_other_data_is_refused(pack: Path, tmp_path: Path) -> None:
    short = dataclasses.replace(TINY, steps=1)
    train(pack, None, tmp_path, short)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    torch.save(state | {"data": "another"}, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match="other data"):
        train(pack, None, tmp_path, short)
    torch.save({"step": 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(ModelError, match="does not fit"):
        train(pack, None, tmp_path, short)


def test_safetensors_round_trip_and_refusals(tmp_path: Path) -> None:
    network, path = prior(torch.float32), tmp_path / "prior.safetensors"
    save_network(network, path, {"metrics": {"error_ratio": 0.9}})
    back, facts = load_network(path, "prior")
    assert facts == {"metrics": {"error_ratio": 0.9}} and back.settings == PRIOR
    assert all(torch.equal(v, back.state_dict()[k]) for k, v in network.state_dict().items())
    warm = build(dataclasses.replace(TINY, network="prior"))
    load_weights(warm, path)
    assert torch.equal(warm.state_dict()["trunk.node_in.weight"], network.state_dict()["trunk.node_in.weight"])
    with pytest.raises(ModelError, match="not a likelihood"):
        load_network(path, "likelihood")
    with pytest.raises(ModelError, match="missing"):
        load_networks(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be read"):
        load_network(path, "prior")
    with pytest.raises(ModelError, match="cannot be used"):
        load_weights(warm, path)
    with pytest.raises(ModelError, match="no model"):
        load_networks(tmp_path / "none")


def test_a_model_may_have_a_judge(tmp_path: Path) -> None:
    save_network(prior(torch.float32), tmp_path / "prior.safetensors", {})
    save_network(likelihood(torch.float32), tmp_path / "likelihood.safetensors", {})
    assert load_networks(tmp_path).judge is None
    save_network(judge(torch.float32), tmp_path / "judge.safetensors", {"metrics": {"order": 0.9}})
    networks = load_networks(tmp_path)
    assert (
        networks.judge is not None
        and networks.judge.settings == JUDGE
        and networks.facts["judge"] == {"metrics": {"order": 0.9}}
    )
    begun = build(dataclasses.replace(TINY, network="judge"))
    load_weights(begun, tmp_path / "prior.safetensors")
    assert torch.equal(
        begun.state_dict()["trunk.node_in.weight"], prior(torch.float32).state_dict()["trunk.node_in.weight"]
    )


def test_likelihood_metrics_count_right(pack: Path) -> None:
    network = likelihood(torch.float32)
    with torch.no_grad():
        network.read_out[-1].weight.zero_()
        network.read_out[-1].bias.zero_()
        network.read_out[-1].bias[0] = 5.0  # always alanine
    metrics = evaluate.test_metrics(network, Pack(pack))
    rows = [k for k, c in enumerate(Pack(pack).chains) if c.split == "test"]
    share = float(np.mean(np.concatenate([Pack(pack).residue(k) for k in rows]) == 0))
    assert metrics["top1"] == pytest.approx(share) and metrics["chains"] == 2 and metrics["residues"] == 88
    expected = np.log(np.exp(5) + 19) - 5 * share
    assert metrics["cross_entropy"] == pytest.approx(expected, abs=1e-5)


def test_command_trains_resumes_and_exports_with_a_card(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = tmp_path / "train.toml"
    toml.write_text(
        'network = "likelihood"\nsteps = 2\nbatch = 2\nbf16 = false\n'
        "[likelihood.trunk]\nwidth = 16\nlayers = 2\nidentities = false\n"
    )
    out, model = tmp_path / "run", tmp_path / "tiny"
    assert (
        command.main(
            [
                str(pack),
                "--out",
                str(out),
                "--settings",
                str(toml),
                "--device",
                "cpu",
                "--export",
                str(model),
                "--quiet",
            ]
        )
        == 0
    )
    network, facts = load_network(model / "likelihood.safetensors", "likelihood")
    manifest = json.loads((pack / "manifest.json").read_text())
    assert facts["data"]["hash"] == manifest["hash"] and facts["steps"] == 2 and 0 <= facts["metrics"]["top1"] <= 1
    card = (model / "CARD.md").read_text()
    assert (
        manifest["hash"] in card
        and "cross_entropy" in card
        and str(tmp_path) not in card
        and "Not measured here" in card
    )
    settings = json.loads((out / "settings.json").read_text())
    (out / "settings.json").write_text(json.dumps(settings | {"contrastive": {"weight": 0.0, "sharpness": 4.0}}))
    assert command.main([str(pack), "--out", str(out), "--steps", "3", "--device", "cpu", "--quiet"]) == 0
    assert torch.load(out / "checkpoint.pt", weights_only=True)["step"] == 3
    (out / "settings.json").write_text(json.dumps(settings | {"contrastive": {"weight": 1.0}}))
    with pytest.raises(InputError, match="no longer there"):
        command.main([str(pack), "--out", str(out), "--quiet"])
    (out / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="holds a checkpoint"):
        command.main([str(pack), "--out", str(out), "--no-resume", "--quiet"])
    with pytest.raises(InputError, match="trains a likelihood"):
        command.main([str(pack), "--out", str(out), "--network", "prior", "--quiet"])
    toml.write_text("colour = 1\n")
    with pytest.raises(InputError, match="unknown setting colour"):
        command.main([str(pack), "--out", str(tmp_path / "other"), "--settings", str(toml), "--quiet"])


def test_weights_that_have_seen_other_data_are_named(
    pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a run folder and from an exported file, through a further run; the same data give no warning."""
    table = write_structures(tmp_path / "files")
    table.write_text(table.read_text().replace("\ttest\t", "\tvalid\t").replace("\tvalid\t", "\ttest\t", 2))
    other = build_pack(table, tmp_path / "pack", PackSettings(workers=1))
    toml = tmp_path / "tiny.toml"
    toml.write_text(
        'network = "likelihood"\nsteps = 1\nbatch = 2\nevery = 1\n'
        "[likelihood.trunk]\nwidth = 16\nlayers = 1\nidentities = false\n"
    )

    def run(data: Path, out: str, *more: str) -> str:
        assert (
            command.main([str(data), "--out", str(tmp_path / out), "--settings", str(toml), "--device", "cpu", *more])
            == 0
        )
        return capsys.readouterr().err

    assert "other data" not in run(pack, "a", "--export", str(tmp_path / "a.safetensors"))
    assert "other data" not in run(pack, "b", "--init", str(tmp_path / "a" / "weights.pt"))
    for k, init in enumerate((tmp_path / "a" / "weights.pt", tmp_path / "a.safetensors")):
        assert f"{init.name} has been trained on other data" in run(other, f"c{k}", "--init", str(init))
    assert "other data" in run(
        other, "d", "--init", str(tmp_path / "c0" / "weights.pt"), "--export", str(tmp_path / "d")
    )
    assert training.data_hash(pack) in (tmp_path / "d" / "CARD.md").read_text()


def test_a_deeper_network_begins_as_the_smaller_one(tmp_path: Path) -> None:
    structure = Structure(compact_protein(), torch.float32)
    small = prior(torch.float32)
    save_network(small, tmp_path / "prior.safetensors", {})
    deeper = dataclasses.replace(PRIOR, trunk=dataclasses.replace(PRIOR.trunk, layers=4))
    network = build(dataclasses.replace(TINY, prior=deeper))
    with pytest.raises(ModelError, match="cannot be used"):
        load_weights(network, tmp_path / "prior.safetensors")
    load_weights(network, tmp_path / "prior.safetensors", grown=True)
    one, two = (n(structure.backbone, *structure.labels()) for n in (small, network))
    assert torch.equal(one.shift, two.shift) and torch.equal(one.delta, two.delta) and one.shift.abs().max() > 1e-2
    save_network(network, tmp_path / "deeper.safetensors", {})
    with pytest.raises(ModelError, match="cannot be used"):
        load_weights(small, tmp_path / "deeper.safetensors", grown=True)


def test_a_likelihood_without_atoms_can_be_gone_on_with(tmp_path: Path) -> None:
    structure = Structure(compact_protein(), torch.float32)
    old = likelihood(torch.float32)
    torch.save(
        {name: value for name, value in old.state_dict().items() if not name.startswith("atoms.")}, tmp_path / "old.pt"
    )
    network = build(dataclasses.replace(TINY, network="likelihood"))
    load_weights(network, tmp_path / "old.pt", grown=True)
    inputs = (structure.side_chain, structure.present, *structure.labels())
    before, after = old(structure.backbone, *inputs), network(structure.backbone, *inputs)
    old.atoms.begin_as_identity()
    assert not torch.equal(before, after)
    torch.testing.assert_close(old(structure.backbone, *inputs), after)
