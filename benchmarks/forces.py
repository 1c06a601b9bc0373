"""Whether the learned forces point to the native, and whether they are smooth: inputs of refined150-dev, not moved.

    python benchmarks/forces.py [--split tune|check] [--bench ../shared/bench] [--out benchmarks/results/forces.json]

Force cosine: between the force on a residue (its four backbone atoms together) and the true local error of its CA (the
native laid onto the 13 Å neighbourhood), mean over the residues that are 0.5–4 Å off; intervals by bootstrap over
targets. Control: the same forces dealt out to other residues of the target. "prior, region" is the prior whose
displacements lay the native onto each residue's region instead of the whole model. Smoothness: every atom moved by 0.01
Å in a random direction, the networks evaluated anew; the largest change of the force on any residue, and the median,
relative to the root mean square force of the target.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refine.accuracy.calibration import estimating_hashes
from refine.assess.matching import match_residues
from refine.bench.manifest import read_manifest
from refine.bench.statistics import mean_interval
from refine.energy.free_energy import FreeEnergy
from refine.energy.learned import AppliedNetworks, learned_terms
from refine.energy.system import System
from refine.engine import load_networks_of
from refine.networks.weights import Networks
from refine.settings import RunSettings
from refine.structure.prepare import prepare
from refine.structure.read import read_structure
from refine.training.targets import local_superpositions

ROOT = Path(__file__).resolve().parent.parent
LEAST, MOST, MOVE, SEED = 0.5, 4.0, 0.01, 0
REGION = "prior, region"
TERMS = {
    "prior": {"prior": 1.0},
    REGION: {"prior": 1.0},
    "mediated": {"mediated": 1.0},
    "likelihood": {"likelihood": 1.0},
    "default": RunSettings().learned,
}

Array = NDArray[np.float64]


def forces(networks: Networks, system: System, coords: torch.Tensor) -> dict[str, Array]:
    """Force (L, 3) kcal/mol/Å on each residue, by entry of ``TERMS``."""
    by_term = {}
    held = {
        whole: FreeEnergy(learned_terms(AppliedNetworks(networks, system, whole))).at(coords) for whole in (True, False)
    }
    for name, weights in TERMS.items():
        terms = tuple(term for term in held[name != REGION].terms if weights.get(term.name))
        one = FreeEnergy(terms, {term.name: weights[term.name] for term in terms})
        by_term[name] = one.forces(coords)[0][0].sum(1).double().cpu().numpy()
    return by_term


def cosine(a: Array, b: Array) -> Array:
    """Of vectors (n, 3)."""
    return (a * b).sum(-1) / np.maximum(np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1), 1e-12)


def main() -> None:
    shared = Path(os.environ.get("REFINE_SHARED") or ROOT.parent / "shared")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("tune", "check"), default="tune")
    parser.add_argument("--bench", type=Path, default=shared / "bench")
    parser.add_argument("--networks", default="small")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "forces.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings, rng = RunSettings(device="cpu", networks=args.networks), np.random.default_rng(SEED)
    networks = load_networks_of(settings)
    assert networks is not None
    pointing: dict[str, list[float]] = {name: [] for name in (*TERMS, "control")}
    weight: list[Any] = []
    largest: dict[str, Any] = {name: 0.0 for name in TERMS}
    median: dict[str, Any] = {name: [] for name in TERMS}
    for target in read_manifest(args.bench / "targets.tsv", chosen_set="refined150-dev", split=args.split):
        protein, native = prepare(target.model).protein, read_structure(target.native).protein
        match = match_residues(protein, native)
        rows, goal = match.model_index, native.coords[0, match.native_index, 1].astype(np.float64)
        ca = protein.coords[0, rows, 1].astype(np.float64)
        rot, shift = local_superpositions(goal, ca)
        error = (rot @ goal[..., None])[..., 0] + shift - ca
        size = np.linalg.norm(error, axis=-1)
        chosen = (size > LEAST) & (size < MOST)
        coords = torch.from_numpy(protein.coords[:, :, :4].copy())
        system = System.from_protein(protein)
        here = forces(networks, system, coords)
        direction = rng.normal(size=coords.shape)
        direction *= MOVE / np.linalg.norm(direction, axis=-1, keepdims=True)
        there = forces(networks, system, coords + torch.from_numpy(direction).to(coords))
        for name, force in here.items():
            pointing[name].append(float(cosine(force[rows], error)[chosen].mean()))
            change = np.linalg.norm(there[name] - force, axis=-1) / np.sqrt((force**2).sum(-1).mean())
            largest[name] = max(largest[name], float(change.max()))
            median[name].append(float(np.median(change)))
        dealt = here["default"][rows][rng.permutation(len(rows))]
        pointing["control"].append(float(cosine(dealt, error)[chosen].mean()))
        weight.append(int(chosen.sum()))
    figures = {
        "split": args.split,
        "targets": len(weight),
        "residues": int(np.sum(weight)),
        "networks": {k: v for k, v in estimating_hashes(networks.folder).items() if k != "judge.safetensors"},
        "force_cosine": {name: float(np.average(v, weights=weight)) for name, v in pointing.items()},
        "force_cosine_by_target": {
            name: dataclasses.asdict(mean_interval(np.array(v))) for name, v in pointing.items()
        },
        "largest_relative_change_of_force_for_0.01_A": largest,
        "median_relative_change_of_force_for_0.01_A": {name: float(np.median(v)) for name, v in median.items()},
    }
    halves = json.loads(args.out.read_text()) if args.out.is_file() else {}
    args.out.write_text(json.dumps({**halves, args.split: figures}, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
