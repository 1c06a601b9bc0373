"""What evidence is worth: complete runs with distances of the natives, some of them wrong, against runs without.

    python benchmarks/evidence.py --bench BENCH_FOLDER --out FOLDER [--set refined150-dev] [--count 10] [--noise 1]

Of refined150-dev (tune half, smallest first) every target gets L/2 distances between random CA pairs of its native,
sigma 1 Å, with Gaussian noise of ``--noise`` Å; the same with a fifth of them replaced by distances of other pairs; and
the distogram of its own run without evidence. Of ``predicted`` L/4 true distances of pairs that the model has wrong by
more than 2 Å. Everything is drawn from a seed of the target's name. One model a run. FOLDER/SET.json keeps every
number, and a table is printed; what is there is not run again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stages import SETS, Case, tune_cases

from refine.assess.compare import compare
from refine.assess.matching import match_residues
from refine.bench.control import seed_of
from refine.bench.statistics import mean_interval
from refine.networks.weights import Networks, load_networks
from refine.pipeline import refine_file
from refine.settings import RunSettings
from refine.structure.prepare import prepare
from refine.structure.read import read_structure

MODES = {"refined150-dev": ("without", "true", "fifth_wrong", "own_distogram"), "predicted": ("without", "wrong_pairs")}
APART = 3
WRONG_BY = 2.0  # Å
CLOSEST, REACH = 3.0, 3.7
"""Å, between which values are kept: at least, and at most for each residue along the chain."""


def rows_of(case: Case, mode: str, noise: float) -> list[tuple[str, str, float]]:
    """Atoms and distance (Å) of the rows of a mode."""
    model, native = prepare(case.target.model).protein, read_structure(case.target.native).protein
    matching = match_residues(model, native)
    both = native.mask[matching.native_index, 1]
    rows, columns = matching.model_index[both], matching.native_index[both]
    i, j = np.triu_indices(len(rows), APART)
    now, true = (_distances(x, i, j) for x in (model.coords[0, rows, 1], native.coords[0, columns, 1]))
    rng = seed_of(case.target.name, 0)
    most = REACH * (rows[j] - rows[i])  # Å, of an extended chain; more is a gap of the native that the model bridges
    eligible = np.flatnonzero((true < most) & ((mode != "wrong_pairs") | (np.abs(now - true) > WRONG_BY)))
    count = len(model) // (4 if mode == "wrong_pairs" else 2)
    chosen = rng.choice(eligible, min(count, len(eligible)), replace=False)
    values = true[chosen] + noise * rng.standard_normal(len(chosen))
    if mode == "fifth_wrong":
        wrong = rng.choice(len(chosen), len(chosen) // 5, replace=False)
        values[wrong] = true[rng.choice(len(true), len(wrong))]
    values = np.clip(values, CLOSEST, most[chosen])
    names = [f"{model.residue_ids[r]} CA" for r in rows]
    return [(names[i[k]], names[j[k]], float(v)) for k, v in zip(chosen, values, strict=True)]


def _distances(ca: NDArray[np.float32], i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.linalg.norm(ca[i].astype(np.float64) - ca[j], axis=1)
    return distance


def run(case: Case, mode: str, noise: float, folder: Path, networks: Networks) -> dict[str, Any]:
    """Scores of the input and of model 1, and what the run says of the evidence."""
    place = folder / case.target.name / mode
    settings = RunSettings(device="cpu", models=1, workers=1)
    files: tuple[str, ...] = ()
    if mode == "own_distogram":
        files = (str(folder / case.target.name / "without" / "run" / "rpdd.npz"),)
    elif mode != "without":
        rows = rows_of(case, mode, noise)
        place.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{a}\t{b}\t{value:.3f}\t1\n" for a, b, value in rows)
        (place / "evidence.tsv").write_text("first\tsecond\tvalue\tsigma\n" + text)
        files = (str(place / "evidence.tsv"),) if rows else ()
    begun = time.process_time()
    settings = RunSettings(**(vars(settings) | {"evidence": files}))
    result = refine_file(case.target.model, place / "run", settings, networks=networks, report=False, resume=True)
    native = read_structure(case.target.native).protein
    scores = {}
    for name, path in (("input", case.target.model), ("model_1", result.models[0])):
        found = compare(read_structure(path).protein, native)
        scores[name] = {"gdt_ha": found.gdt_ha, "lddt_ca": found.lddt_ca, "lddt": found.lddt}
    facts = result.record.get("evidence") or {}
    quality = result.scores.loc["model_1"]
    return {
        "scores": scores, "seconds": time.process_time() - begun, "length": result.record["length"],
        "factor": facts.get("factor"), "held_out": facts.get("held_out"), "files": facts.get("files"),
        "clashscore": float(quality["clashscore"]), "rama": float(quality["ramachandran_favoured"]),
    }  # fmt: skip


def table(found: dict[str, dict[str, Any]], modes: tuple[str, ...]) -> str:
    """A row for each mode: mean changes against the input with 95 % bootstrap intervals."""
    lines = ["| run | n | ΔGDT-HA | ΔlDDT Cα | ΔlDDT all atoms | improved | worst | rows held before → after |"]
    lines.append("|---|" + "---|" * 7)
    for mode in modes:
        results = [modes_of[mode] for modes_of in found.values() if mode in modes_of]
        if not results:
            continue
        change = {
            key: np.array([r["scores"]["model_1"][key] - r["scores"]["input"][key] for r in results])
            for key in ("gdt_ha", "lddt_ca", "lddt")
        }
        ha, ca, every = (mean_interval(values) for values in change.values())
        files = [file for r in results for file in r["files"] or ()]
        rows, before, after = (sum(f[k] for f in files) for k in ("rows", "input_holds", "model_1_holds"))
        held = f"{before / rows:.0%} → {after / rows:.0%}" if rows else "–"
        lines.append(
            f"| {mode} | {len(results)} | {ha.value:+.2f} ({ha.low:+.2f} … {ha.high:+.2f}) | "
            f"{ca.value:+.4f} ({ca.low:+.4f} … {ca.high:+.4f}) | {every.value:+.4f} | "
            f"{(change['gdt_ha'] > 0).mean():.0%} | {change['gdt_ha'].min():+.2f} | {held} |"
        )
    return "\n".join(lines)


def cases_of(bench: Path, chosen: str) -> Iterator[Case]:
    """Targets of a set, smallest first; of predicted.tsv those with as many wrong pairs as are asked for."""
    for case in sorted(tune_cases(bench, chosen), key=lambda c: c.target.model.stat().st_size):
        wanted = len(prepare(case.target.model).protein) // 4
        if chosen != "predicted" or len(rows_of(case, "wrong_pairs", 0.0)) >= wanted:
            yield case


def main() -> int:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, required=True, help="folder of targets.tsv and predicted.tsv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", dest="chosen", choices=SETS, default="refined150-dev")
    parser.add_argument("--modes", default="", help="only these, separated by commas")
    parser.add_argument("--count", type=int, default=10, help="targets, smallest first")
    parser.add_argument("--noise", type=float, default=1.0, help="Å, of the distances of refined150-dev")
    args = parser.parse_args()
    torch.set_num_threads(1)
    networks = load_networks()
    modes = tuple(filter(None, args.modes.split(","))) or MODES[args.chosen]
    noise = args.noise if args.chosen == "refined150-dev" else 0.0
    path = args.out / f"{args.chosen}.json"
    found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else {}
    for case in itertools.islice(cases_of(args.bench, args.chosen), args.count):
        of_target = found.setdefault(case.target.name, {})
        for mode in modes:
            if mode not in of_target:
                of_target[mode] = run(case, mode, noise, args.out, networks)
                path.write_text(json.dumps(found, indent=1) + "\n")
                print(case.target.name, mode, json.dumps(of_target[mode]), file=sys.stderr, flush=True)
    print(table(found, modes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
