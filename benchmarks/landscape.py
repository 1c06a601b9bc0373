"""Whether minima of the free energy learned from a run's ensemble are better models than what the run submits.

    python benchmarks/landscape.py --bench BENCH_FOLDER --cache CACHE --out FILE.json [--count 12]

For the smallest targets of the tune half of refined150-dev an ensemble is made: replicas with constant noise from the
finished input, burn-in cut away as in a run. Two principal components of its CA coordinates are the variables, whose
free energy is learned (``sampling.density``); each minimum proposes the snapshot nearest to it and the mean of the ten
nearest, bonds restored. Compared with the native, before the last finishing, in pairs with what the run submits, the
end of one quiet replica. Beside: the lowest energy of all of these (how minima would compete in a run), a random
direction as far as the lowest minimum lies from the submitted, and the best minimum, picked with the native. The same
network learned by a pairwise contrastive loss (sample against sample with noise) is judged by the log-likelihood of
held-out snapshots.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from calibration_targets import engine_settings, relaxed
from numpy.typing import NDArray
from stages import Case, tune_cases
from torch import Tensor

from refine.assess.compare import compare
from refine.bench.control import move_sizes, random_direction, seed_of
from refine.bench.statistics import mean_interval
from refine.engine import Engine, load_networks_of
from refine.ensemble.average import average
from refine.ensemble.candidates import RESTORING_SWEEPS
from refine.ensemble.ensemble import Ensemble, ensemble_of
from refine.files import json_text
from refine.networks.weights import Networks
from refine.propagation.propagate import propagate
from refine.propagation.settings import NOISE
from refine.sampling.density import DensitySettings, FreeEnergyNetwork, learn_density
from refine.sampling.landscape import Landscape, landscape
from refine.settings import RunSettings
from refine.structure.arrays import superposed
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.ride import ride

COMPONENTS, NEAREST = 2, 10
NOISY = {"replicas": 8, "steps": 30, "schedule": "constant", "noise": NOISE}
DENSITY = DensitySettings(epochs=8, batches=50, rate=3e-3, batch=256, chains=256, chain_steps=5, average=0.98)
CONTRAST = 0.5
"""Standard deviations of the noise that makes the other half of a contrastive pair."""
HELD_OUT = 0.25
GRID, REACH = 80, 5.0
"""Points an axis and standard deviations to either side, over which densities are normalised."""
ROWS = {
    "noisy_average": "average of the noisy replicas",
    "snapshot": "snapshot at the lowest minimum",
    "mean_of_ten": "mean of the ten snapshots nearest to it",
    "competing": "lowest energy of the submitted and both proposals of every minimum",
    "random": "random direction, as far as the snapshot at the lowest minimum",
    "oracle": "best proposal of a minimum, picked with the native (no result)",
}


def components(snapshots: NDArray[np.float32]) -> NDArray[np.float64]:
    """(F, COMPONENTS) Å, leading principal components of the CA coordinates of snapshots (F, L, 4, 3)."""
    ca = snapshots[:, :, 1].astype(np.float64)
    middle = ca[-1]
    for _ in range(3):
        ca = superposed(ca, np.broadcast_to(middle, ca.shape))
        middle = ca.mean(0)
    flat = (ca - middle).reshape(len(ca), -1)
    axes = np.linalg.svd(flat, full_matrices=False)[2][:COMPONENTS]
    return flat @ axes.T / math.sqrt(ca.shape[1])


def learn_contrastive(samples: Tensor, settings: DensitySettings, generator: torch.Generator) -> FreeEnergyNetwork:
    """The network of ``learn_density``, trained so that a sample lies lower than the same with noise: pairwise
    contrastive loss −ln σ(F(noisy) − F(sample)).
    """
    network = FreeEnergyNetwork(samples.mean(0), samples.std(0))
    optimiser = torch.optim.Adam(network.net.parameters(), lr=settings.rate)
    scaled = network.scaled(samples)
    for _ in range(settings.epochs * settings.batches):
        batch = scaled[torch.randint(len(scaled), (settings.batch,), generator=generator)]
        noisy = batch + CONTRAST * torch.randn(batch.shape, generator=generator, dtype=batch.dtype)
        loss = torch.nn.functional.softplus(network.of_scaled(batch) - network.of_scaled(noisy)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network


def log_likelihood(network: FreeEnergyNetwork, held_out: Tensor) -> float:
    """Mean nat of held-out samples (N, COMPONENTS) under exp(−F), in units of the samples' spread."""
    line = torch.linspace(-REACH, REACH, GRID, dtype=held_out.dtype)
    grid = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1).reshape(-1, COMPONENTS)
    with torch.no_grad():
        volume = float((line[1] - line[0]) ** COMPONENTS)
        log_z = float(torch.logsumexp(-network.of_scaled(grid), 0)) + math.log(volume)
        return float(-network(held_out).mean()) - log_z


def densities(q: NDArray[np.float64], seed: int) -> tuple[FreeEnergyNetwork, dict[str, float]]:
    """The free energy learned from three quarters of the samples, and what both rules give the others."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    samples = torch.from_numpy(q).float()
    order = torch.randperm(len(samples), generator=generator)
    held, shown = order[: round(HELD_OUT * len(q))], order[round(HELD_OUT * len(q)) :]
    normal = -0.5 * float((((samples[held] - samples[shown].mean(0)) / samples[shown].std(0)) ** 2).sum(1).mean())
    learned = learn_density(samples[shown], DENSITY, generator)
    judged = {
        "density": log_likelihood(learned, samples[held]),
        "contrastive": log_likelihood(learn_contrastive(samples[shown], DENSITY, generator), samples[held]),
        "gaussian": normal - 0.5 * COMPONENTS * math.log(2 * math.pi),
    }
    return learned, judged


def proposed(
    ensemble: Ensemble, q: NDArray[np.float64], found: Landscape, engine: Engine, mobile: Tensor
) -> dict[str, NDArray[np.float32]]:
    """Backbones (M, L, 4, 3) Å of the minima: ``snapshot`` and ``mean_of_ten``."""
    near = np.linalg.norm(q[None] - found.minima[:, None], axis=2).argsort(1, kind="stable")[:, :NEAREST]
    snapshots = ensemble.snapshots[near[:, 0]]
    means = np.stack([average(ensemble.snapshots[row]) for row in near])
    with torch.no_grad():
        restored = engine.constraints.restore(torch.from_numpy(means), mobile, RESTORING_SWEEPS).numpy()
    return {"snapshot": snapshots, "mean_of_ten": restored}


def ensemble_and_submitted(
    engine: Engine, origin: Engine, settings: RunSettings, mobile: NDArray[np.bool_]
) -> tuple[Ensemble, NDArray[np.float32]]:
    """The noisy ensemble, and the backbone (L, 4, 3) Å that a run with default settings submits before finishing."""
    free, made = torch.from_numpy(mobile), []
    for changes in (NOISY, {}):
        plan = dataclasses.replace(settings.propagation, **changes)
        path = propagate(engine.drift, engine.coords, plan, settings.seed, free, engine.constraints)
        one = ensemble_of(path, engine.energy, engine.coords, free, engine.constraints, origin.coords, origin.length)
        made.append(one)
    return made[0], made[1].proposal("average").backbone


def energies(engine: Engine, backbones: NDArray[np.float32]) -> NDArray[np.float64]:
    """(R,) kcal/mol of backbones (R, L, 4, 3) Å, one after another: networks take memory."""
    values = []
    for one in torch.from_numpy(backbones):
        with torch.no_grad():
            values.append(float(engine.energy.at(one[None])(one[None]).total))
    return np.array(values)


def measure(case: Case, networks: Networks, settings: RunSettings, cache: Path) -> dict[str, Any]:
    """Scores of every row of one target, minima and log-likelihoods."""
    begun = time.process_time()
    prepared, finished = relaxed(case.target, settings, cache)
    origin = Engine(prepared.protein, networks, settings, pull=True)
    protein = prepared.protein if origin.nearly_right else finished
    engine = Engine(protein, networks, settings, pull=True)
    ensemble, submitted = ensemble_and_submitted(engine, origin, settings, prepared.mobile)
    q = components(ensemble.snapshots)
    network, judged = densities(q, settings.seed)
    found = landscape(network, torch.from_numpy(q).float())
    minima = proposed(ensemble, q, found, engine, torch.from_numpy(prepared.mobile))
    every = np.concatenate((submitted[None], *minima.values()))
    lowest = int(energies(engine, every).argmin())
    carrier = ride(protein, submitted[None])
    sizes = move_sizes(minima["snapshot"][0][:, 1], submitted[:, 1])
    rows = {
        "submitted": submitted,
        "noisy_average": ensemble.proposal("average").backbone,
        "snapshot": minima["snapshot"][0],
        "mean_of_ten": minima["mean_of_ten"][0],
        "competing": every[lowest],
        "random": random_direction(carrier, sizes, seed_of(case.target.name, settings.seed))[0],
    }
    native = read_structure(case.target.native).protein
    scores = {name: _score(protein, backbone, native) for name, backbone in rows.items()}
    oracle = [_score(protein, backbone, native) for backbone in every[1:]]
    scores["oracle"] = max(oracle, key=lambda one: one["gdt_ha"])
    totals = compare(prepared.protein, native).totals()
    scores["input"] = {key: totals[key] for key in ("gdt_ha", "lddt_ca")}
    return {
        "scores": scores, "log_likelihood": judged, "minima": len(found.minima),
        "free_energy": found.free_energy, "length": origin.length, "snapshots": len(q),
        "sampling": ensemble.sampling.facts(), "chosen": ["submitted", "minimum"][lowest > 0],
        "moved": float(sizes.mean()), "cpu_seconds": round(time.process_time() - begun, 1),
    }  # fmt: skip


def _score(protein: Protein, backbone: NDArray[np.float32], native: Protein) -> dict[str, float]:
    totals = compare(ride(protein, backbone[None]), native).totals()
    return {key: float(totals[key]) for key in ("gdt_ha", "lddt_ca")}


def table(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Mean changes against the submitted backbone, with 95 % bootstrap intervals."""
    rows: dict[str, Any] = {}
    for name in ROWS:
        change = {
            key: np.array([one["scores"][name][key] - one["scores"]["submitted"][key] for one in found.values()])
            for key in ("gdt_ha", "lddt_ca")
        }
        rows[name] = {
            "label": ROWS[name],
            **{key: dataclasses.asdict(mean_interval(values)) for key, values in change.items()},
            "improved_percent": float(100 * (change["gdt_ha"] > 0).mean()),
        }
    for key in ("density", "contrastive", "gaussian"):
        values = np.array([one["log_likelihood"][key] for one in found.values()])
        rows[f"log_likelihood_{key}"] = dataclasses.asdict(mean_interval(values))
    pairs = [one["log_likelihood"]["density"] - one["log_likelihood"]["contrastive"] for one in found.values()]
    rows["log_likelihood_density_minus_contrastive"] = dataclasses.asdict(mean_interval(np.array(pairs)))
    gain = [one["scores"]["submitted"]["gdt_ha"] - one["scores"]["input"]["gdt_ha"] for one in found.values()]
    rows["submitted_against_input_gdt_ha"] = dataclasses.asdict(mean_interval(np.array(gain)))
    return rows


def main() -> int:
    """Measure targets that ``--out`` lacks, and write it after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True, help="folder of targets.tsv")
    parser.add_argument("--cache", type=Path, required=True, help="where relaxed inputs are kept")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=12, help="targets, smallest first")
    parser.add_argument("--networks", default="small")
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = engine_settings(args.networks)
    networks = load_networks_of(settings)
    assert networks is not None
    found: dict[str, Any] = json.loads(args.out.read_text())["targets"] if args.out.is_file() else {}
    cases = sorted(tune_cases(args.bench, "refined150-dev"), key=lambda c: c.target.model.stat().st_size)
    for case in cases[: args.count]:
        if case.target.name not in found:
            found[case.target.name] = measure(case, networks, settings, args.cache)
            result = {"command": "python benchmarks/landscape.py", "n": len(found), "rows": table(found)}
            args.out.write_text(json_text(result | {"targets": found}))
            print(case.target.name, found[case.target.name], file=sys.stderr, flush=True)
    print(json_text(table(found)), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
