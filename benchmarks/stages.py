"""What each stage of a run does to models of today and of the 2010s: the backbones of every stage, kept for analysis.

    python benchmarks/stages.py --bench BENCH_FOLDER --cache CACHE [--sets predicted,refined150-dev] [--networks small]

For every target of the tune halves (NMR natives of predicted.tsv apart) the folder CACHE/HASH gets one npz file: the
input as it came, the input relaxed as a run relaxes it, and the trajectories of one replica without noise that begin at
these two. ``lengths.py`` reads them; nothing is compared with a native here. Relaxed inputs do not depend on the
networks and are kept by their own settings.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from calibration_targets import engine_settings, relaxed
from numpy.typing import NDArray

from refine.accuracy.calibration import network_hashes
from refine.bench.manifest import Target, read_manifest, read_rows
from refine.engine import Engine, load_networks_of
from refine.networks.weights import Networks
from refine.propagation.propagate import propagate
from refine.settings import RunSettings
from refine.structure.protein import Protein

SETS = ("predicted", "refined150-dev")
STARTS = ("given", "relaxed")
"""Where trajectories begin."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A target with what its manifest says of it.

    Attributes:
        target: model and native; program: that made the model, ``server`` where the manifest does not say.
    """

    target: Target
    program: str


def tune_cases(bench: Path, chosen: str) -> list[Case]:
    """Targets of the tune half of ``predicted`` (predicted.tsv, NMR natives left out) or of a set of targets.tsv."""
    if chosen != "predicted":
        targets = read_manifest(bench / "targets.tsv", chosen_set=chosen, split="tune")
        return [Case(target, "server") for target in targets]
    path = bench / "predicted.tsv"
    facts = {row["target"]: row for row in read_rows(path, None)}
    targets = read_manifest(path, split="tune")
    return [Case(t, facts[t.name]["program"]) for t in targets if facts[t.name]["native_method"] != "NMR"]


def trajectory(
    protein: Protein, mobile: NDArray[np.bool_], networks: Networks, settings: RunSettings
) -> dict[str, Any]:
    """Backbones (S + 1, L, 4, 3) Å from the start on, and what the networks say of the start, by name."""
    engine = Engine(protein, networks, settings, pull=True)
    assert engine.applied is not None
    plan = dataclasses.replace(settings.propagation, replicas=1, noise=0.0, schedule="constant")
    path = propagate(engine.energy, engine.coords, plan, settings.seed, torch.from_numpy(mobile), engine.constraints)
    fields = engine.applied.fields(engine.coords)
    steps = torch.cat((engine.coords, path.snapshots[:, 0]))
    return {
        "path": steps.numpy(),
        "confidence": engine.accuracy(engine.coords)[0].confidence,
        "judged": engine.applied.judged(engine.coords)[0].numpy(),
        "expected": fields.lddt[0].numpy(),
        "shift_b": fields.shift_b[0].numpy(),
        "disagreement": fields.disagreement[0].numpy(),
        "place": fields.place[0].numpy(),
    }


def measure(case: Case, networks: Networks, settings: RunSettings, cache: Path) -> dict[str, NDArray[Any]]:
    """All stages of one target, by name."""
    prepared, finished = relaxed(case.target, settings, cache)
    protein = prepared.protein
    stages = {"given": protein, "relaxed": finished}
    arrays: dict[str, NDArray[Any]] = {f"coords/{name}": p.coords[0] for name, p in stages.items()}
    arrays |= {f"mask/{name}": p.mask for name, p in stages.items()}
    for name in STARTS:
        values = trajectory(stages[name], prepared.mobile, networks, settings)
        arrays |= {f"{name}/{key}": value for key, value in values.items()}
    return arrays


def folder_of(networks: Networks, settings: RunSettings, cache: Path) -> Path:
    """Where the stages of these networks and settings are kept."""
    key = json.dumps([network_hashes(networks.folder), dataclasses.asdict(settings)], sort_keys=True)
    return cache / hashlib.sha256(key.encode()).hexdigest()[:12]


def _save(path: Path, arrays: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".partial-{path.name}")
    np.savez(temporary, allow_pickle=False, **arrays)
    temporary.replace(path)


def options() -> argparse.ArgumentParser:
    """Options that all scripts over stages share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True, help="folder of targets.tsv and predicted.tsv")
    parser.add_argument("--cache", type=Path, required=True, help="where stages are kept")
    parser.add_argument("--networks", default="small", help="packaged name or folder")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--targets", default="", help="only these, separated by commas")
    return parser


def stages_of(arguments: argparse.Namespace) -> Iterator[tuple[str, Case, dict[str, NDArray[Any]]]]:
    """Set, case and stages of all targets, smallest first in each set; what is not in the cache is measured."""
    torch.set_num_threads(1)
    settings = engine_settings(arguments.networks)
    networks = load_networks_of(settings)
    assert networks is not None
    folder = folder_of(networks, settings, arguments.cache)
    names = set(filter(None, arguments.targets.split(",")))
    for chosen in arguments.sets.split(","):
        for case in sorted(tune_cases(arguments.bench, chosen), key=lambda c: c.target.model.stat().st_size):
            path = folder / f"{case.target.name}.npz"
            if names and case.target.name not in names:
                continue
            if not path.is_file():
                begun = time.process_time()
                _save(path, measure(case, networks, settings, arguments.cache))
                seconds = time.process_time() - begun
                print(f"{chosen} {case.target.name}, {seconds:.0f} CPU s", file=sys.stderr, flush=True)
            with np.load(path, allow_pickle=False) as file:
                yield chosen, case, dict(file)


if __name__ == "__main__":
    for _ in stages_of(options().parse_args()):
        pass
