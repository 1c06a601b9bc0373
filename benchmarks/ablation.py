"""What each part of the engine adds, on the tune half of refined150-dev: the table "What does what" of the results.

    python benchmarks/ablation.py --bench BENCH_FOLDER --out benchmarks/results/ablation.json [--rows NAME,NAME]
    python benchmarks/ablation.py --bench BENCH_FOLDER --out FILE --rows default,torsions [--count N]

Engine only: every row starts from the input finished as in a run (one row from the input as it came), nothing is
finished afterwards, and the mean change of CA GDT-HA and lDDT against the input as it came is shown. Rows of one
replica have no noise unless they say so. Rows that are in ``--out`` already with the same networks, settings and count
are not measured again; of a row beside "default" there, the difference from it in pairs of targets is written too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from calibration_targets import engine_settings, relaxed
from numpy.typing import NDArray

from refine.accuracy.calibration import network_hashes
from refine.assess.compare import compare
from refine.bench.control import move_sizes, random_direction, seed_of
from refine.bench.manifest import Target, read_manifest
from refine.bench.statistics import mean_interval
from refine.energy.assemble import assemble
from refine.energy.learned import AppliedNetworks, learned_terms
from refine.energy.system import System
from refine.engine import load_networks_of, moving
from refine.ensemble.ensemble import ensemble_of
from refine.networks.weights import Networks
from refine.propagation.constraints import Constraints
from refine.propagation.propagate import propagate
from refine.propagation.settings import NOISE
from refine.settings import RunSettings
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.ride import ride


@dataclasses.dataclass(frozen=True)
class Row:
    """One row: what differs from the default with one replica and no noise.

    Attributes:
        label: as the table shows it.
        learned: weights of the learned terms; None for those of the default that exert a force.
        mover: its share in where residues are moved; None for the default's.
        propagation: changed settings of the propagation.
        energy: changed settings of the static terms.
        gradient: of the learned terms.
        region: displacements towards the native laid onto each residue's region.
        start: "relaxed" or "given".
        mean: the average of the replicas instead of the mean over them.
        random: as far as this row would move, but in a random smooth direction.
        pull_by_confidence: kcal/mol/Å^2 of the pull to the start where the priors expect an lDDT of 1, falling to 0 at
            one half.
    """

    label: str
    learned: Mapping[str, float] | None = None
    mover: float | None = None
    propagation: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    energy: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    gradient: str = "central"
    region: bool = False
    start: str = "relaxed"
    mean: bool = False
    random: bool = False
    pull_by_confidence: float = 0.0


_OFF = {"prior": 0.0, "mediated": 0.0, "likelihood": 0.0}
_NOISY = {"replicas": 6, "noise": NOISE, "schedule": "annealing"}
ROWS = {
    "relaxed": Row("input finished, engine not run", propagation={"steps": 0}),
    "random": Row("random direction, as far as the default moves", random=True),
    "default": Row("default: priors and mover, 12 steps, up to 18 more where settled"),
    "static": Row("static terms alone", _OFF),
    "prior": Row("density of frames alone", _OFF | {"prior": 1.0}),
    "mediated": Row("mediated alone", _OFF | {"mediated": 1.0}),
    "likelihood": Row("likelihood exerts a force, too", RunSettings().learned),
    "priors": Row("priors without the mover", mover=0.0),
    "mover": Row("mover without the priors", mover=1.0),
    "steps_5": Row("5 steps", propagation={"steps": 5}),
    "none_further": Row("12 steps, none further", propagation={"further": 0}),
    "steps_30": Row("30 steps", propagation={"steps": 30}),
    "given": Row("from the input as it came", start="given"),
    "region": Row("native laid on each residue's region instead of the whole model", region=True),
    "mediated_1": Row("mediated at 1", {"prior": 1.0, "mediated": 1.0}),
    "full": Row("full gradient, through the surroundings too", gradient="full"),
    "pull": Row("pull to the start, 1 kcal/mol/Å²", energy={"start_pull": 1.0}),
    "pull_confidence": Row("pull to the start by confidence, up to 2 kcal/mol/Å²", pull_by_confidence=2.0),
    "noise": Row("annealed noise, mean of 6 replicas", propagation=_NOISY),
    "constant_noise": Row("constant noise, mean of 6 replicas", propagation=_NOISY | {"schedule": "constant"}),
    "average": Row("annealed noise, average of 6 replicas", propagation=_NOISY, mean=True),
    "torsions": Row("steps in phi, psi and omega", propagation={"space": "torsions"}),
}


def moved(
    row: Row, protein: Protein, mobile: NDArray[np.bool_], networks: Networks, settings: RunSettings
) -> NDArray[np.float32]:
    """Backbones (R, L, 4, 3) Å that a row makes of a protein."""
    system = System.from_protein(protein)
    start = torch.from_numpy(protein.coords[:, :, :4].copy())
    movers, shares = moving(networks, settings.mover if row.mover is None else row.mover)
    model = AppliedNetworks(movers, system, whole=not row.region, shares=shares)
    felt = {
        name: weight for name, weight in settings.learned.items() if settings.likelihood_moves or name != "likelihood"
    }
    weights = _OFF | felt if row.learned is None else dict(row.learned)
    static = dataclasses.replace(settings.energy, **row.energy)
    pull = None
    if row.pull_by_confidence > 0:
        expected = model.fields(start).lddt[0]
        pull = row.pull_by_confidence * (2 * expected - 1).clamp_min(0)
    energy = assemble(
        system, static, start[0], pull, learned=learned_terms(model, row.gradient), learned_weights=weights
    )
    quiet = {"replicas": 1, "noise": 0.0, "schedule": "constant"}
    plan = dataclasses.replace(settings.propagation, **{**quiet, **row.propagation})
    free, constraints = torch.from_numpy(mobile), Constraints.of(system)
    trajectory = propagate(energy, start, plan, settings.seed, free, constraints)
    if row.mean:
        return ensemble_of(trajectory, energy, start, free, constraints).proposal("average").backbone[None]
    return trajectory.final.cpu().numpy()


def measure(row: Row, target: Target, networks: Networks, settings: RunSettings, cache: Path) -> tuple[float, float]:
    """Change of GDT-HA (points) and of CA lDDT against the input as it came, mean over replicas."""
    prepared, begun = relaxed(target, settings, cache)
    protein = prepared.protein if row.start == "given" else begun
    native = read_structure(target.native).protein
    backbones = moved(row, protein, prepared.mobile, networks, settings)
    if row.random:
        sizes = move_sizes(backbones[0, :, 1], protein.coords[0, :, 1])
        backbones = random_direction(protein, sizes, seed_of(target.name, settings.seed))
    models = ride(protein, backbones)
    before = compare(prepared.protein, native).totals()
    after = [compare(models.replica(k), native).totals() for k in range(models.replicas)]
    ha, lddt = (float(np.mean([a[key] for a in after]) - before[key]) for key in ("gdt_ha", "lddt_ca"))
    return ha, lddt


def minus_default(values: NDArray[np.float64], rows: Mapping[str, Any]) -> dict[str, Any]:
    """Differences in pairs of targets from the row "default", where it was measured on the same; values are (n, 2)."""
    default = np.array(rows.get("default", {}).get("values", []))
    if default.shape != values.shape:
        return {}
    names = ("gdt_ha_minus_default", "lddt_minus_default")
    return {name: dataclasses.asdict(mean_interval((values - default)[:, k])) for k, name in enumerate(names)}


def fresh(args: argparse.Namespace, mark: Mapping[str, Any]) -> dict[str, Any]:
    """What ``--out`` holds of the same networks and settings."""
    if args.out.is_file():
        measured: dict[str, Any] = json.loads(args.out.read_text())
        if {k: measured.get(k) for k in mark} == mark:
            return measured
    return {**mark, "rows": {}}


def main(
    arguments: list[str] | None = None,
    tell: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
) -> int:
    """Measure the rows that are missing and write them after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, default=Path("../shared/bench"), help="folder of targets.tsv")
    parser.add_argument("--cache", type=Path, default=Path("ablation_cache"), help="where relaxed inputs are kept")
    parser.add_argument("--networks", default="small")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--count", type=int, help="targets with the smallest files (default: all)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    settings = engine_settings(args.networks)
    networks = load_networks_of(settings)
    assert networks is not None
    targets = read_manifest(args.bench / "targets.tsv", chosen_set="refined150-dev", split="tune")
    if args.count:
        targets = sorted(targets, key=lambda t: t.model.stat().st_size)[: args.count]
    hashes = {
        name: value for name, value in network_hashes(networks.folder).items() if name != "judge.safetensors"
    }  # no part of the engine
    mark = {"networks": hashes, "settings": json.loads(json.dumps(dataclasses.asdict(settings)))}
    mark |= {"count": args.count} if args.count else {}
    results = fresh(args, mark)
    for name in args.rows.split(","):
        if name in results["rows"]:
            continue
        begun = time.process_time()
        values = np.array([measure(ROWS[name], target, networks, settings, args.cache) for target in targets])
        means = [dataclasses.asdict(mean_interval(values[:, k])) for k in (0, 1)]
        results["rows"][name] = {
            "label": ROWS[name].label, "n": len(values), "gdt_ha": means[0], "lddt": means[1],
            "improved_percent": float((values[:, 0] > 0).mean() * 100), "worst": float(values[:, 0].min()),
            "cpu_seconds": round((time.process_time() - begun) / len(values), 2), "values": values.tolist(),
        } | minus_default(values, results["rows"])  # fmt: skip
        args.out.write_text(json.dumps(results, indent=1) + "\n")
        tell(f"{name}: {results['rows'][name]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
