"""Whether the spread of a run's ensemble tells true errors better with ``--heat confidence`` than without.

    python benchmarks/heat.py --bench BENCH_FOLDER --out FILE.json [--count 8]

The smallest targets of the tune halves of predicted.tsv (NMR natives apart) and refined150-dev. Every run is a default
run up to its ensemble, but that the likelihood exerts no force (a quarter of the time); nothing is finished. Six
replicas with the default noise, without and with the temperatures of ``--heat confidence``, and six with fifty times
its variance (``noise = 0.01`` in ``[propagation]``): without, with them, and as a control with the same temperatures
shifted along the chain by a random number of residues. The true error of a residue is the distance of its CA from the
native's in the superposition of the TM-score, and 1 − its CA lDDT, of the ensemble's average. Reported are the mean
over targets of Spearman's correlation within each, for spread, temperature and predicted error, differences in pairs,
and how far the spread of each fifth of the residues is from its error, once both have the same mean square. Intervals
are 95 % bootstrap over targets.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from calibration_targets import engine_settings
from numpy.typing import NDArray
from scipy.stats import spearmanr
from stages import SETS, Case, tune_cases

from refine.assess.compare import compare
from refine.bench.control import seed_of
from refine.bench.statistics import mean_interval
from refine.engine import Engine, load_networks_of
from refine.files import json_text
from refine.finishing.parallel import FinishingPool
from refine.networks.weights import Networks
from refine.pipeline import HEATED, Propagated, Run
from refine.propagation.field import CONFIDENCE
from refine.propagation.settings import NOISE
from refine.run.folder import RunFolder
from refine.run.inputs import accuracy_of, prepared_for
from refine.run.opening import opened
from refine.settings import RunSettings
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.ride import ride

Array = NDArray[np.float64]
MODES = ("without", "heat", "wide without", "wide heat", "wide shifted")
WIDE = 0.01
"""Å², variance of the noise of the modes called wide."""
PAIRS = (("heat", "without"), ("wide heat", "wide without"), ("wide heat", "wide shifted"))
ERRORS = ("distance", "one_minus_lddt")
RESAMPLES, FIFTHS = 2000, 5


def settings_of(mode: str, base: RunSettings, heat: str) -> RunSettings:
    """Settings of a mode; ``heat`` are the temperatures of mode ``wide shifted``."""
    noise, field = (WIDE if "wide" in mode else NOISE), {"heat": CONFIDENCE, "shifted": heat, "without": ""}
    plan = dataclasses.replace(base.propagation, replicas=HEATED, noise=noise)
    return dataclasses.replace(base, propagation=plan, heat=field[mode.split()[-1]])


def shifted(protein: Protein, temperatures: Array, rng: np.random.Generator) -> str:
    """Temperatures (L,) K moved along the chain by a quarter of its length to three, as ``heat`` takes them."""
    size = len(temperatures)
    moved = np.roll(temperatures, int(rng.integers(size // 4, 3 * size // 4)))
    names = [f"{r.chain}:{r.number}{r.insertion}" for r in protein.residue_ids]
    return ";".join(f"{name}={kelvin:.2f}" for name, kelvin in zip(names, moved, strict=True))


def propagated(
    case: Case, settings: RunSettings, networks: Networks, start: Protein | None
) -> tuple[Propagated, Protein]:
    """The ensemble of a run with these settings, and the protein that it began from, ``start`` where that is known."""
    prepared = prepared_for(case.target.model, settings)
    engine = Engine(prepared.protein, networks, settings)
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(Path(place))
        with (
            opened(folder, prepared, settings, None) as (record, tell),
            FinishingPool(1, prepared.protein, settings.finishing, prepared.mobile) as pool,
        ):
            run = Run(prepared, engine, accuracy_of(prepared, engine), record, tell)
            if start is None:
                relaxed = run.relax(pool)
                start = prepared.protein if relaxed is None else relaxed.protein
            return run.propagate(start), start


def measure(case: Case, networks: Networks, base: RunSettings) -> dict[str, Any]:
    """Spread, errors and scores of every mode of a target, over the residues that the native has."""
    begun, native = time.process_time(), read_structure(case.target.native).protein
    found: dict[str, Any] = {"program": case.program}
    start, heat = None, ""
    for mode in MODES:
        made, start = propagated(case, settings_of(mode, base, heat), networks, start)
        compared = compare(ride(start, made.ensemble.proposal("average").backbone[None]), native)
        rows, columns = compared.matching.model_index, compared.matching.native_index
        of = {
            "spread": made.ensemble.spread[rows],
            "distance": compared.residue_distance[columns],
            "one_minus_lddt": 1 - compared.residue_lddt_ca[columns],
            "predicted_error": made.start.accuracy(made.start.coords)[0].error[rows],
        }
        if made.temperatures is not None:
            of["temperature"] = made.temperatures[rows]
        if mode == "wide heat":
            assert made.temperatures is not None
            heat = shifted(start, made.temperatures, seed_of(case.target.name, 0))
        values = {name: np.round(value.astype(np.float64), 4).tolist() for name, value in of.items()}
        found[mode] = values | {"gdt_ha": compared.gdt_ha, "lddt_ca": compared.lddt_ca}
    return found | {"cpu_seconds": round(time.process_time() - begun, 1)}


def within(found: Sequence[Mapping[str, Any]], mode: str, key: str, error: str) -> Array:
    """Spearman's correlation of ``key`` with the true error, of each target."""
    pairs = [(np.array(one[mode][key]), np.array(one[mode][error])) for one in found]
    return np.array([spearmanr(x[np.isfinite(y)], y[np.isfinite(y)]).statistic for x, y in pairs])


def miscalibration(found: Sequence[Mapping[str, Any]], mode: str) -> tuple[float, list[float]]:
    """Factor that gives the spread the mean square of the distances, and the ratio of the two in each fifth of the
    residues by spread, 1 where the spread tells the size of errors.
    """
    spread = np.concatenate([np.array(one[mode]["spread"]) for one in found])
    error = np.concatenate([np.array(one[mode]["distance"]) for one in found])
    known = np.isfinite(error)
    spread, error = spread[known], error[known]
    factor = float(np.sqrt((error**2).mean() / (spread**2).mean()))
    fifths = np.array_split(np.argsort(spread, kind="stable"), FIFTHS)
    ratio = [float(np.sqrt((error[k] ** 2).mean() / (spread[k] ** 2).mean())) / factor for k in fifths]
    return factor, ratio


def bootstrapped(found: Sequence[Mapping[str, Any]], of: Callable[[Sequence[Mapping[str, Any]]], float]) -> list[float]:
    """A figure of all targets with its 95 % interval over targets."""
    rng = np.random.default_rng(0)
    drawn = [of([found[k] for k in rng.integers(0, len(found), len(found))]) for _ in range(RESAMPLES)]
    return [round(float(v), 4) for v in (of(found), *np.percentile(drawn, [2.5, 97.5]))]


def summary(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of the module's text."""

    def away(mode: str) -> Callable[[Sequence[Mapping[str, Any]]], float]:
        return lambda some: float(np.abs(np.log(miscalibration(some, mode)[1])).mean())

    told: dict[str, Any] = {"n": len(found)}
    for error in ERRORS:
        rows = {f"spread, {mode}": within(found, mode, "spread", error) for mode in MODES}
        rows |= {key: within(found, "heat", key, error) for key in ("temperature", "predicted_error")}
        rows |= {f"spread, {a} − {b}": rows[f"spread, {a}"] - rows[f"spread, {b}"] for a, b in PAIRS}
        rows["spread, wide heat − predicted_error"] = rows["spread, wide heat"] - rows["predicted_error"]
        told[f"spearman with {error}"] = {
            name: [round(v, 4) for v in dataclasses.astuple(mean_interval(values))] for name, values in rows.items()
        }
    told["calibration"] = {
        mode: {
            "factor": round(miscalibration(found, mode)[0], 2),
            "error over spread by fifth": [round(v, 3) for v in miscalibration(found, mode)[1]],
            "mean log ratio": bootstrapped(found, away(mode)),
        }
        for mode in MODES
    }
    for key in ("gdt_ha", "lddt_ca"):
        for a, b in PAIRS:
            change = np.array([one[a][key] - one[b][key] for one in found])
            told[f"{key}, {a} − {b}"] = [round(v, 4) for v in dataclasses.astuple(mean_interval(change))]
    return told


def main() -> int:
    """Measure targets that ``--out`` lacks, and write it after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True, help="folder of targets.tsv and predicted.tsv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8, help="targets of each set, smallest first")
    parser.add_argument("--result", type=Path, metavar="FILE.json", help="where the summary is put, too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    base = dataclasses.replace(engine_settings(RunSettings().networks), likelihood_moves=False)
    networks = load_networks_of(base)
    assert networks is not None
    found: dict[str, dict[str, Any]] = json.loads(args.out.read_text()) if args.out.is_file() else {}
    told: dict[str, Any] = {}
    for chosen in SETS:
        of_set = found.setdefault(chosen, {})
        cases = sorted(tune_cases(args.bench, chosen), key=lambda c: c.target.model.stat().st_size)
        for case in cases[: args.count]:
            if case.target.name not in of_set:
                of_set[case.target.name] = measure(case, networks, base)
                print(chosen, case.target.name, of_set[case.target.name]["cpu_seconds"], file=sys.stderr, flush=True)
                args.out.write_text(json.dumps(found) + "\n")
        told[chosen] = summary(list(of_set.values()))
    told["both"] = summary([one for of_set in found.values() for one in of_set.values()])
    print(json_text(told), end="")
    if args.result:
        args.result.write_text(json_text(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
