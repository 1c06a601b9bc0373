"""What charges beyond the learned cutoff change: moves of tune targets with and without the term, and what it costs.

    python benchmarks/electrostatics.py --bench BENCH_FOLDER --out FILE.json [--count 10] [--set refined150-dev]

One quiet replica of each target (smallest first) is propagated from the input as it came, with weights 0 and 1 of the
term "electrostatics" (pH 7, 0.15 mol/l, pKa values of groups in water or of propka, as a run has them), nothing is
finished. Told are GDT-HA and CA lDDT of where it arrives against the input, the energy of the term there and at the
input, and CPU seconds of a step.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stages import SETS, Case, tune_cases

from refine.assess.compare import compare
from refine.assess.validate import validate
from refine.bench.statistics import mean_interval
from refine.engine import Engine
from refine.networks.weights import Networks, load_networks
from refine.propagation.propagate import propagate
from refine.settings import RunSettings
from refine.structure.prepare import prepare
from refine.structure.read import read_structure
from refine.structure.ride import ride

WEIGHTS = (0.0, 1.0)


def arrived(case: Case, settings: RunSettings, networks: Networks) -> dict[str, float]:
    """Scores of where one quiet replica arrives, its energy of the term and CPU seconds of a step."""
    prepared = prepare(case.target.model)
    engine = Engine(prepared.protein, networks, settings, pull=True)
    begun = time.process_time()
    mobile = torch.from_numpy(prepared.mobile)
    ran = propagate(engine.drift, engine.coords, settings.propagation, 0, mobile, engine.constraints)
    seconds = (time.process_time() - begun) / settings.propagation.steps
    native = read_structure(case.target.native).protein
    before = compare(prepared.protein, native)
    model = ride(prepared.protein, ran.final.numpy())
    after = compare(model, native)
    facts = {
        "gdt_ha": after.gdt_ha - before.gdt_ha, "lddt_ca": after.lddt_ca - before.lddt_ca, "seconds": seconds,
        "residues": float(len(prepared.protein)), "favoured": validate(model).ramachandran_favoured,
    }  # fmt: skip
    if settings.electrostatics:
        facts |= {"start": engine.score().terms["electrostatics"]}
        facts |= {"end": float(ran.table.per_term["electrostatics"][0])}
    return facts


def with_weight(weight: float) -> RunSettings:
    """Settings of a run with this weight of the term."""
    settings = RunSettings(device="cpu")
    return dataclasses.replace(settings, energy=dataclasses.replace(settings.energy, electrostatics=weight))


def main() -> int:
    """Measure, print the differences in pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True, help="folder of targets.tsv and predicted.tsv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", dest="chosen", choices=SETS, default="refined150-dev")
    parser.add_argument("--count", type=int, default=10, help="targets, smallest first")
    args = parser.parse_args()
    torch.set_num_threads(1)
    networks, found = load_networks(), {}
    cases = sorted(tune_cases(args.bench, args.chosen), key=lambda case: case.target.model.stat().st_size)
    for case in itertools.islice(cases, args.count):
        rows = {str(weight): arrived(case, with_weight(weight), networks) for weight in WEIGHTS}
        found[case.target.name] = rows
        print(case.target.name, json.dumps(rows), file=sys.stderr, flush=True)
        args.out.write_text(json.dumps(found, indent=1) + "\n")
    print_pairs(found, ("gdt_ha", "lddt_ca", "seconds"), *map(str, WEIGHTS))
    return 0


def print_pairs(found: dict[str, Any], keys: Sequence[str], without: str, with_it: str) -> None:
    """Means of each of ``keys`` over targets by two ways of running, and of their differences in pairs."""
    for key in keys:
        off, on = (np.array([rows[name][key] for rows in found.values()]) for name in (without, with_it))
        change: Any = mean_interval(on - off)
        told = f"{change.value:+.4f} ({change.low:+.4f} … {change.high:+.4f})"
        print(f"{key}: {off.mean():+.4f} without, {on.mean():+.4f} with; {told}")


if __name__ == "__main__":
    sys.exit(main())
