"""What priors alone do to the inputs of both tune sets as they came: direction, gain of a few moves, expected lDDT.

    python benchmarks/first_moves.py WEIGHTS [WEIGHTS ...] --bench BENCH_FOLDER [--moves 4] [--out targets.csv]

WEIGHTS is a .safetensors file of a prior, or weights.pt beside the settings.json of its training; of several the mean
move is made. For each set: the cosine of the first move with the error (residues 0.5 to 4 Å off), the changes after
``--moves`` moves of 0.4 and after half of that displacement, and the correlation within targets of the expected with
the true CA lDDT. Nothing is finished. ``--out`` has a row for each target.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import torch
from lengths import Aligned, aligned
from numpy.typing import NDArray
from stages import SETS, Case, tune_cases

from refine.bench.statistics import mean_interval
from refine.energy.learned import AppliedNetworks
from refine.energy.system import System
from refine.files import csv_text
from refine.networks.prior import Prior
from refine.networks.weights import Networks, load_network, load_networks
from refine.settings_file import build_settings
from refine.structure.prepare import prepare
from refine.training.targets import lddt_ca
from refine.training.train import TrainingSettings, build, load_weights
from refine.training.unrolled import moved

FRACTION = 0.4


def prior_of(path: Path) -> Prior:
    """A trained prior."""
    if path.suffix == ".safetensors":
        network, _ = load_network(path, "prior")
    else:
        settings = build_settings(TrainingSettings, json.loads((path.parent / "settings.json").read_text()))
        network = build(settings)
        load_weights(network, path)
    assert isinstance(network, Prior)
    return network.eval().requires_grad_(False)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One target: cosine of the first move and residues it counts; changes of GDT-HA (points) and CA lDDT (0–1) after
    the moves and after half of them; mean displacement (Å); correlation of expected and true lDDT; by how far the
    priors would move the input at once (Å, mean).
    """

    cosine: float
    counted: int
    whole: tuple[float, float]
    half: tuple[float, float]
    size: float
    correlation: float
    wanted: float


def outcome(case: Case, networks: Networks, moves: int) -> Outcome:
    """The moves of ``networks``, the mean of their priors', on a case."""
    protein = prepare(case.target.model).protein
    ca = aligned(case, protein.coords[0])
    model = AppliedNetworks(networks, System.from_protein(protein))
    start = torch.from_numpy(protein.coords[:, :, :4].copy())
    x, first, expected = start, np.zeros((0, 3)), np.zeros(0)
    with torch.no_grad():
        for k in range(moves):
            outputs = model.outputs(x)
            new = torch.stack([moved(x, output, FRACTION, whole=True) for output in outputs]).mean(0)
            if k == 0:
                first = (new - x)[0, ca.rows, 1].double().numpy()
                expected = torch.stack([o.lddt[0, ca.rows] for o in outputs]).mean(0).double().numpy()
            x = new
    displacement = ca.displacement(x[0, :, 1].double().numpy())
    cosine, counted = ca.cosine(first)
    return Outcome(
        cosine, counted, _change(ca, displacement), _change(ca, 0.5 * displacement),
        float(np.linalg.norm(displacement, axis=1).mean()),
        float(np.corrcoef(expected, lddt_ca(ca.native, ca.start))[0, 1]),
        float((model.fields(start).place - start[:, :, 1]).norm(dim=-1).mean()),
    )  # fmt: skip


def _change(ca: Aligned, displacement: NDArray[np.float64]) -> tuple[float, float]:
    after, before = ca.scores(ca.start + displacement), ca.scores(ca.start)
    return after[0] - before[0], after[1] - before[1]


def _flat(one: Outcome) -> dict[str, float]:
    values = dataclasses.asdict(one)
    for part in ("whole", "half"):
        values[f"{part}_gdt_ha"], values[f"{part}_lddt"] = values.pop(part)
    return values


def line(name: str, outcomes: list[Outcome]) -> str:
    """One row of the table."""
    weights = np.array([o.counted for o in outcomes])
    seen = weights > 0
    cosine = np.average(np.array([o.cosine for o in outcomes])[seen], weights=weights[seen])
    cells = []
    for changes in ([o.whole for o in outcomes], [o.half for o in outcomes]):
        ha, trace = (mean_interval(np.array(changes)[:, k]) for k in (0, 1))
        cells.append(f"{ha.value:+.2f} ({ha.low:+.2f} … {ha.high:+.2f})")
        cells.append(f"{trace.value:+.4f} ({trace.low:+.4f} … {trace.high:+.4f})")
    size, correlation = (float(np.nanmean([getattr(o, k) for o in outcomes])) for k in ("size", "correlation"))
    return f"| {name} | {len(outcomes)} | {cosine:+.3f} | {' | '.join(cells)} | {size:.2f} | {correlation:.2f} |"


def main() -> int:
    """Print a row for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, help="csv with a row for each target")
    parser.add_argument("--bench", type=Path, required=True, help="folder of targets.tsv and predicted.tsv")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--moves", type=int, default=4)
    args = parser.parse_args()
    torch.set_num_threads(1)
    priors = tuple(prior_of(path) for path in args.weights)
    networks = dataclasses.replace(load_networks(), priors=priors, judge=None)
    rows = []
    print("| set | n | cosine | ΔGDT-HA | ΔlDDT Cα | half ΔGDT-HA | half ΔlDDT Cα | Å | r |\n|---|" + "---|" * 8)
    for chosen in args.sets.split(","):
        cases = tune_cases(args.bench, chosen)
        outcomes = [outcome(case, networks, args.moves) for case in cases]
        print(line(chosen, outcomes), flush=True)
        rows += [{"set": chosen, "target": c.target.name, **_flat(o)} for c, o in zip(cases, outcomes, strict=True)]
    if args.out:
        args.out.write_text(csv_text(list(rows[0]), [list(row.values()) for row in rows]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
