"""``refine train``: structures in, trained files out."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from refine import __version__
from refine.constants import DEVICES
from refine.device import choose_device
from refine.errors import InputError
from refine.files import file_hash, json_text, write_text
from refine.networks.network import parameter_count
from refine.networks.weights import save_network
from refine.settings_file import build_settings, read_toml
from refine.training.card import write_card
from refine.training.evaluate import test_metrics
from refine.training.pack import Pack
from refine.training.packing import PackSettings, build_pack
from refine.training.pairs import read_pairs
from refine.training.real_models import RealModels
from refine.training.train import NETWORKS, TrainingSettings, build, data_hash, load_weights, train

log = logging.getLogger(__name__)

_OVERRIDES = ("network", "steps", "batch", "seed", "bf16")


def parser() -> argparse.ArgumentParser:
    """Options of ``refine train``."""
    options = argparse.ArgumentParser(
        prog="refine train",
        description="Train the local distributions. A run folder that holds a checkpoint is continued with its own "
        "settings.",
    )
    options.add_argument(
        "data", type=Path, metavar="DATA", help="folder of structure files, table of them (.tsv), or a pack"
    )
    options.add_argument(
        "--out",
        type=Path,
        required=True,
        help="run folder: settings, log, checkpoint, weights, and the pack if one is made",
    )
    options.add_argument("--network", choices=NETWORKS, help="what is trained (default prior)")
    options.add_argument(
        "--pairs", type=Path, metavar="PAIRS.tsv", help="homologue pairs: id, template_id, start, template_start, cigar"
    )
    options.add_argument("--steps", type=int, help="optimiser steps in all")
    options.add_argument("--batch", type=int, help="examples a step")
    options.add_argument("--seed", type=int, help="of the weights and the examples")
    options.add_argument(
        "--bf16", action=argparse.BooleanOptionalAction, default=None, help="matrix products in bfloat16 (default: yes)"
    )
    options.add_argument("--device", choices=DEVICES, default="auto", help="default auto: a GPU when there is one")
    options.add_argument(
        "--settings", type=Path, metavar="TRAIN.toml", help="settings of a new run; options given here win"
    )
    options.add_argument("--init", type=Path, metavar="WEIGHTS", help="weights.pt or .safetensors to start from")
    options.add_argument(
        "--no-resume", dest="resume", action="store_false", help="refuse a run folder that holds a checkpoint"
    )
    options.add_argument(
        "--real", type=Path, metavar="MODELS.npz", help="real models with their natives, for settings with real.share"
    )
    options.add_argument("--pack-only", action="store_true", help="make the pack, train nothing")
    options.add_argument(
        "--export",
        type=Path,
        metavar="MODEL",
        help="model folder, or a .safetensors file in one, for the trained weights",
    )
    options.add_argument(
        "--export-only", action="store_true", help="export the weights the run folder has, train nothing"
    )
    options.add_argument("--quiet", action="store_true", help="errors only")
    return options


def main(arguments: Sequence[str]) -> int:
    """Does what the options ask; returns the exit code 0.

    Raises:
        InputError, ModelError: the data, the settings or a file of the run cannot be used.
    """
    options = parser().parse_args(list(arguments))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    package = logging.getLogger("refine")
    level = package.level
    package.setLevel(logging.ERROR if options.quiet else logging.INFO)
    package.addHandler(handler)
    try:
        _run(options, arguments)
    finally:
        package.removeHandler(handler)
        package.setLevel(level)
    return 0


def _run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    pack = prepare(options.data, options.out)
    if options.pack_only:
        return
    settings = settings_of(options)
    device = str(choose_device(options.device))
    if not options.export_only:
        _record(options.out, described(arguments), options.init, data_hash(pack))
        train(pack, options.pairs, options.out, settings, device=device, init=options.init, real=options.real)
    if options.export is not None:
        real = RealModels(options.real) if options.real else None
        export(options.out, pack, options.pairs, settings, options.export, device, described(arguments), real)


def prepare(data: Path, out: Path) -> Path:
    """The pack of ``data``: itself, or the one made in ``out/pack``, which is used again when it is complete."""
    if (data / "chains.tsv").is_file() and (data / "backbone.npy").is_file():
        return data
    if not data.exists():
        raise InputError(
            "there are no such data", file=str(data), remedy="Give a folder of structures, a table of them, or a pack."
        )
    pack = out / "pack"
    if (pack / "manifest.json").is_file():
        log.info("using the pack made before in %s", pack)
        return pack
    return build_pack(data, pack, PackSettings())


def settings_of(options: argparse.Namespace) -> TrainingSettings:
    """Settings of the run folder when it holds a checkpoint, else of the file or the defaults; single options win.

    Raises:
        InputError: unknown settings, a checkpoint where none is wanted, or another network than the checkpoint's.
    """

    def built(values: Mapping[str, Any]) -> TrainingSettings:
        return build_settings(TrainingSettings, values)

    old = options.out / "settings.json"
    begun = (options.out / "checkpoint.pt").is_file() and old.is_file()
    if begun and not options.resume:
        raise InputError(
            "the run folder holds a checkpoint",
            file=str(options.out),
            remedy="Give another --out, or leave --no-resume out.",
        )
    if begun and options.settings:
        raise InputError(
            "a begun run keeps its own settings",
            file=str(options.settings),
            remedy="Leave --settings out or give another --out.",
        )
    if begun:
        settings = built(_without_contrastive(json.loads(old.read_text()), old))
        if options.network not in (None, settings.network):
            raise InputError(
                f"the run folder trains a {settings.network}", file=str(options.out), remedy="Give another --out."
            )
    else:
        settings = read_toml(options.settings, built) if options.settings else TrainingSettings()
    overrides = {name: getattr(options, name) for name in _OVERRIDES if getattr(options, name) is not None}
    return dataclasses.replace(settings, **overrides)


def _without_contrastive(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """Settings of a begun run; those of before the contrastive loss was removed name it, mostly as switched off."""
    if values.get("contrastive", {}).get("weight", 0) > 0:
        raise InputError(
            "the run was trained with the contrastive loss, which is no longer there",
            file=str(path),
            remedy="Train in another folder, with --init for its weights.pt.",
        )
    return {name: value for name, value in values.items() if name != "contrastive"}


def described(arguments: Sequence[str]) -> str:
    """The command, paths by their last part: where things lie on one machine is nobody's business."""

    def shortened(argument: str) -> str:
        flag, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
        return flag + equals + (Path(value).name if "/" in value else value)

    return shlex.join(("refine", "train", *map(shortened, arguments)))


def _record(out: Path, command: str, init: Path | None, data: str) -> None:
    """Adds a command, the weights it starts from and the data those have seen to ``run.json`` of the run folder."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "run.json"
    record: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"commands": [], "init": ""}
    record["commands"].append(command)
    record["data"] = data
    if init is not None and init.is_file():
        record["init"] = f"{init.name} (sha256 {file_hash(init)[:16]})"
        record["data_before"] = _data_seen(init)
        if set(record["data_before"]) - {data}:
            log.warning(
                "%s has been trained on other data, or on other splits of them: it may know chains of this pack's test "
                "split",
                init.name,
            )
    write_text(path, json_text(record))


def _data_seen(weights: Path) -> list[str]:
    """Hashes of the packs that weights were trained on, as far as their file or the record of their run tells."""
    if weights.suffix == ".safetensors":
        try:
            with safe_open(weights, framework="pt") as file:
                facts = json.loads((file.metadata() or {}).get("facts", "{}"))
        except SafetensorError:
            return []  # loading it will say what is wrong
        hashes = [*facts.get("data_before", []), facts.get("data", {}).get("hash", "")]
    else:
        path = weights.parent / "run.json"
        record = json.loads(path.read_text()) if path.is_file() else {}
        hashes = [*record.get("data_before", []), record.get("data", "")]
    return sorted({name for name in hashes if name})


def export(
    out: Path,
    pack_folder: Path,
    pairs: Path | None,
    settings: TrainingSettings,
    to: Path,
    device: str,
    command: str,
    real: RealModels | None = None,
) -> Path:
    """Measures the run's averaged weights on the test split; writes their file, which it returns, and the card.

    Raises:
        InputError: the pack has no manifest or no test chains.
        ModelError: the weights are missing or do not fit the settings.
    """
    manifest_path = pack_folder / "manifest.json"
    if not manifest_path.is_file():
        raise InputError(
            "the pack has no manifest.json",
            file=str(pack_folder),
            remedy="Make it with `refine train DATA --pack-only`.",
        )
    network = build(settings)
    load_weights(network, out / "weights.pt")
    network = network.to(device).eval()
    pack = Pack(pack_folder)
    groups = read_pairs(pairs, pack) if pairs else []
    metrics = test_metrics(network, pack, groups, settings)
    manifest = json.loads(manifest_path.read_text())
    record = json.loads((out / "run.json").read_text()) if (out / "run.json").is_file() else {}
    step, seconds = _progress(out)
    facts = {
        "data": {name: manifest[name] for name in ("hash", "chains", "residues", "splits", "settings")},
        "pairs": f"{sum(map(len, groups))} in {len(groups)} clusters" if groups else "",
        "real": "" if real is None else f"{len(real)} models (sha256 {real.hash[:16]})",
        "metrics": {name: round(value, 5) for name, value in metrics.items()},
        "training": dataclasses.asdict(settings),
        "steps": step,
        "seconds": round(seconds, 1),
        "parameters": parameter_count(network),
        "device": f"{device}, {torch.get_num_threads()} threads",
        "init": record.get("init", ""),
        "data_before": record.get("data_before", []),
        "commands": record.get("commands", []),
        "exported_by": command,
        "versions": {
            "refine": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    path = to if to.suffix == ".safetensors" else to / f"{settings.network}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_network(network, path, facts)
    card = write_card(path.parent)
    log.info("%s and %s written: %s", path, card.name, facts["metrics"])
    return path


def _progress(out: Path) -> tuple[int, float]:
    """Steps and seconds of the last line of the run's log; (0, 0) without a log."""
    path = out / "log.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    last = json.loads(lines[-1]) if lines else {}
    return int(last.get("step", 0)), float(last.get("seconds", 0.0))
