"""Whether novelty chooses snapshots of a run better than chance and lowest energy do, at equal cost.

    python benchmarks/seeds/promoted_models.py BENCH_FOLDER --keep FOLDER [--targets 8] [--count 4] [--ps 5]

The smallest targets of the tune half of refined150-dev are refined with six replicas in strong noise, as the snapshots
of quiet replicas are all alike. Of the snapshots ``--count`` are
simulated in each of three ways: as ``refine promote`` chooses, at random, and of lowest energy. ``--keep`` holds runs
and simulations; an interrupted measurement goes on there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from limits import write_result
from scipy.spatial.distance import cdist

from refine.assess.compare import compare
from refine.bench.control import seed_of
from refine.bench.manifest import Target, read_manifest
from refine.files import json_text, write_text
from refine.networks.weights import Networks, load_networks
from refine.pipeline import refine_file
from refine.promotable import FinishedRun
from refine.promote import simulate
from refine.propagation.settings import PropagationSettings
from refine.run.folder import RUN_FILE
from refine.sampling.promotion import Candidates, PromotionSettings, promote
from refine.settings import RunSettings
from refine.structure.read import read_structure

SETTINGS = RunSettings(
    device="cpu",
    models=1,
    workers=1,
    propagation=PropagationSettings(replicas=6, noise=0.01, schedule="constant", steps=30),
)
ARMS = ("novelty", "random", "energy")
LIMITS = {"coverage_over_random": ("<=", 1.0), "best_gain_over_random": (">=", 0.0)}
"""Covering radius of the snapshots, and GDT-HA of the best model, against random choices."""


def chosen(candidates: Candidates, count: int, name: str) -> dict[str, list[int]]:
    """Snapshots by arm."""
    sound = np.flatnonzero(candidates.sound)
    random = seed_of(name, 0).permutation(sound)[:count]
    lowest = sound[np.argsort(candidates.energy[sound], kind="stable")][:count]
    novel = [one.index for one in promote(candidates, count, PromotionSettings())]
    return {"novelty": novel, "random": [int(k) for k in random], "energy": [int(k) for k in lowest]}


def measured(target: Target, count: int, ps: float, keep: Path, networks: Networks) -> dict[str, Any]:
    """GDT-HA and score of every simulated snapshot, by arm, with those of input and model 1."""
    folder, native = keep / target.name / "run", read_structure(target.native).protein
    if not (folder / RUN_FILE).is_file():
        refine_file(target.model, folder, SETTINGS, networks=networks, report=False, resume=True)
    run = FinishedRun(folder)
    candidates = run.candidates()
    arms = chosen(candidates, count, target.name)
    kept = keep / target.name / f"simulated_{ps:g}.json"
    done: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    for k in dict.fromkeys(itertools.chain.from_iterable(arms.values())):
        if str(k) not in done:
            begun = time.process_time()
            one = simulate(run, k, ps, seed=k)
            gdt = compare(one.protein, native).gdt_ha
            done[str(k)] = {"gdt_ha": gdt, "score": one.total, "moved": one.moved, "cpu": time.process_time() - begun}
            write_text(kept, json_text(done))
    first = run.record["models"][0]
    row: dict[str, Any] = {
        "input": compare(run.prepared.protein, native).gdt_ha,
        "model_1": compare(read_structure(folder / "model_1.cif").protein, native).gdt_ha,
        "model_1_score": first["score"],
        "snapshots": len(candidates),
        "residues": len(run.prepared.protein),
    }
    for arm, rows in arms.items():
        results = [done[str(k)] for k in rows]
        row[arm] = {
            "radius": float(cdist(candidates.latent, candidates.latent[rows]).min(1).max()),
            "best": max(row["model_1"], *(r["gdt_ha"] for r in results)),
            "mean": float(np.mean([r["gdt_ha"] for r in results])),
            "first": min(results, key=lambda r: r["score"])["gdt_ha"],
            "first_score": min(r["score"] for r in results),
            "cpu": float(sum(r["cpu"] for r in results)),
        }
    return row


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Means over targets."""
    keys = ("radius", "best", "mean", "first", "cpu")
    of = {arm: {key: np.array([r[arm][key] for r in rows.values()]) for key in keys} for arm in ARMS}
    first = np.array([r["model_1"] for r in rows.values()])
    out = {
        "targets": len(rows),
        "coverage_over_random": float((of["novelty"]["radius"] / of["random"]["radius"]).mean()),
        "coverage_energy_over_random": float((of["energy"]["radius"] / of["random"]["radius"]).mean()),
        "best_gain_over_random": float((of["novelty"]["best"] - of["random"]["best"]).mean()),
        "best_gain_over_energy": float((of["novelty"]["best"] - of["energy"]["best"]).mean()),
    }
    for arm in ARMS:
        out[f"best_gain_over_model_1_{arm}"] = float((of[arm]["best"] - first).mean())
        out[f"first_gain_over_model_1_{arm}"] = float((of[arm]["first"] - first).mean())
        out[f"mean_gain_over_model_1_{arm}"] = float((of[arm]["mean"] - first).mean())
        out[f"cpu_seconds_{arm}"] = float(of[arm]["cpu"].mean())
    out["first_gain_over_model_1"] = out["first_gain_over_model_1_novelty"]
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--targets", type=int, default=8)
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--ps", type=float, default=5.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    networks, rows = load_networks(), {}
    targets = read_manifest(options.bench / "targets.tsv", chosen_set="refined150-dev", split="tune")
    for target in sorted(targets, key=lambda t: t.model.stat().st_size)[: options.targets]:
        rows[target.name] = measured(target, options.count, options.ps, options.keep, networks)
        print(target.name, rows[target.name], file=sys.stderr, flush=True)
    how = {"command": "python benchmarks/seeds/promoted_models.py BENCH_FOLDER --keep FOLDER",
           "count": options.count, "ps": options.ps, "rows": rows}  # fmt: skip
    return 0 if write_result("promoted_models", summary(rows), LIMITS, how) else 1


if __name__ == "__main__":
    sys.exit(main())
