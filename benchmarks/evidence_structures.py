"""What other structures add to a run: a second model of the same protein, and a relative of known structure.

    python benchmarks/evidence_structures.py predictors --data DATA_FOLDER --out FOLDER [--count 8]
    python benchmarks/evidence_structures.py homology --data DATA_FOLDER --out FOLDER [--count 6]
    python benchmarks/evidence_structures.py template --bench BENCH_FOLDER --out FOLDER [--count 8]

``predictors``: proteins of DATA/predicted with a model by AlphaFold2 and one by ESMFold (not by variants of AlphaFold2,
some of which saw the native's backbone). ``homology``: chains with homology models of two templates or more, one chain
of each cluster that training kept out of its pairs of relatives; the two models of highest CA lDDT. In both each of the
two is refined alone and with the other; ``first`` is the one of higher CA lDDT. ``template``: targets of the
tune halves for which the native of another target of any set is a relative, by the rule of ``--template``; relatives
with 95 % identity or more to the native are left out. Smallest first, ``refine run --fast``, seed 0. As controls START
and the input moved as far as the run with the other structure moved it, in a random smooth direction (not finished).
FOLDER/PART.json keeps every number, and a table is printed; what is there is not run again.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stages import SETS, tune_cases

from refine.assess.compare import compare
from refine.bench.control import move_sizes, random_direction, seed_of
from refine.bench.manifest import read_manifest
from refine.bench.statistics import mean_interval
from refine.evidence.structures import alignments
from refine.files import json_text
from refine.networks.weights import Networks, load_networks
from refine.pipeline import refine_file
from refine.settings import RunSettings, fast
from refine.structure.prepare import prepare
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.ride import ride
from refine.structure.write import write_pdb
from refine.training.pack import ABSENT, COORDINATE_UNIT
from refine.training.pairs import cluster_held_out

SAME = 0.95
"""Identity of a relative and the native from which on it is the native itself."""
LONGEST = 270
"""Residues of a protein at most, so that a run takes a minute."""
PREDICTORS = ("AlphaFold2", "ESMFold")
SCORES = ("gdt_ha", "lddt_ca", "lddt")
OTHER = ("together", "template")
"""Settings that name other structures, and the modes that have them."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, its native, and what is known besides: ``other`` as the setting ``kind``, ``name`` of the target and
    ``which`` of its models this is.
    """

    name: str
    which: str
    model: Path
    native: Path
    kind: str
    other: Path


def scored(protein: Protein, native: Protein) -> dict[str, float]:
    totals = compare(protein, native).totals()
    return {key: totals[key] for key in SCORES}


def run(case: Case, place: Path, networks: Networks, *, known: bool) -> dict[str, Any]:
    """Scores of the input and of model 1 of one run, with the other structure where it is ``known``, and then of the
    input moved at random.
    """
    begun = time.process_time()
    settings = fast(RunSettings(device="cpu", workers=1))
    if known:
        settings = dataclasses.replace(settings, **{case.kind: (str(case.other),)})
    result = refine_file(case.model, place, settings, networks=networks, report=False, resume=True)
    native, start = read_structure(case.native).protein, prepare(case.model).protein
    model = read_structure(result.models[0]).protein
    scores = {"input": scored(read_structure(case.model).protein, native), "model_1": scored(model, native)}
    if known:
        sizes = move_sizes(model.coords[0, :, 1], start.coords[0, :, 1])
        scores["random"] = scored(ride(start, random_direction(start, sizes, seed_of(case.name, 0))), native)
    facts = result.record.get("evidence") or {}
    return {
        "scores": scores, "confidence": result.record["confidence"]["model_1"], "seconds": time.process_time() - begun,
        "length": result.record["length"], "factor": facts.get("factor"), "held_out": facts.get("held_out"),
        "files": facts.get("files"), "notes": [n["message"] for n in result.record["notes"] if n["kind"] == "evidence"],
    }  # fmt: skip


def both_ways(name: str, native: Path, models: list[Path]) -> Iterator[Case]:
    """Each of two models with the other; the one of higher CA lDDT is given first."""
    for which, own, other in (("first", *models), ("second", *reversed(models))):
        yield Case(name, which, own, native, "together", other)


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def predictors(data: Path, out: Path) -> Iterator[Case]:
    """The best model of each of ``PREDICTORS`` of a protein, smallest proteins first."""
    folder, by_protein = data / "predicted", defaultdict(list)
    for row in table_of(folder / "index.tsv"):
        if row["program"] in PREDICTORS and int(row["residues_model"]) <= LONGEST:
            by_protein[row["protein"]].append(row)
    for protein, rows in sorted(by_protein.items(), key=lambda item: int(item[1][0]["residues_model"])):
        rows.sort(key=lambda row: -float(row["lddt_ca"]))
        best = {row["program"]: row for row in reversed(rows)}
        if len(best) == len(PREDICTORS):
            pair = sorted(best.values(), key=lambda row: -float(row["lddt_ca"]))
            yield from both_ways(protein, folder / protein / "native.pdb.gz", [folder / row["model"] for row in pair])


def homology(data: Path, out: Path) -> Iterator[Case]:
    """The two best homology models of a chain of each cluster kept out of training's pairs, smallest first."""
    by_chain = defaultdict(list)
    for row in table_of(data / "models" / "index.tsv"):
        if cluster_held_out(row["cluster30"]) and int(row["residues"]) <= LONGEST:
            by_chain[row["id"]].append(row)
    seen: set[str] = set()
    for chain, rows in sorted(by_chain.items(), key=lambda item: int(item[1][0]["residues"])):
        if len(rows) < 2 or rows[0]["cluster30"] in seen:
            continue
        seen.add(rows[0]["cluster30"])
        native = data / "chains" / f"{chain}.bcif.gz"
        best = sorted(rows, key=lambda row: -float(row["lddt_ca"]))[:2]
        models = [_homology_model(data, native, row["template_id"], out / chain) for row in best]
        yield from both_ways(chain, native, models)


def _homology_model(data: Path, native: Path, template: str, place: Path) -> Path:
    """A stored homology model as a PDB file."""
    chain = read_structure(native).protein
    with np.load(data / "models" / "npz" / f"{place.name}.npz", allow_pickle=False) as file:
        stored = file[template]
    mask = (stored != ABSENT).all(-1)
    coords = np.where(mask[..., None], stored * COORDINATE_UNIT, 0.0).astype(np.float32)
    built = np.flatnonzero(mask[:, :4].all(1))
    path = place / f"{template}.pdb"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pdb(chain.with_hetero([]).with_coords(coords[None], mask=mask).select(built), path)
    return path


def template(bench: Path, out: Path) -> Iterator[Case]:
    """Targets of the tune halves with the native that shares most residues without being the same, smallest first."""
    cases = [case.target for chosen in SETS for case in tune_cases(bench, chosen)]
    every = [
        t
        for chosen in ("refined150-dev", "perturbed-40")
        for t in read_manifest(bench / "targets.tsv", chosen_set=chosen)
    ]
    every += read_manifest(bench / "predicted.tsv")
    natives = {target.name: prepare(target.native).protein for target in every}
    for case in sorted(cases, key=lambda c: len(natives[c.name])):
        own, found = natives[case.name], []
        for other in every if len(own) <= LONGEST else ():
            (best,) = alignments(own, natives[other.name])[:1]
            if other.name != case.name and best.trusted and best.identity < SAME:
                found.append((best.identity * len(best.own), other.native))
        if found:
            yield Case(case.name, "target", case.model, case.native, "template", max(found)[1])


PARTS: dict[str, Callable[[Path, Path], Iterator[Case]]] = {
    "predictors": predictors, "homology": homology, "template": template,
}  # fmt: skip


Side = tuple[dict[str, Any], str]
"""A run and which of its structures."""


def compared(found: dict[str, dict[str, Any]], modes: tuple[str, ...]) -> dict[str, list[tuple[Side, Side]]]:
    """What is compared in pairs: each mode with the other structure with the one without, random direction with START,
    and of two models refined together and of the two alone the one of higher confidence.
    """
    pairs: dict[str, list[tuple[Side, Side]]] = {}
    for mode in modes:
        which, _, known = mode.partition(" ")
        if known in OTHER:
            of = [runs for runs in found.values() if mode in runs]
            pairs[f"{mode} − alone"] = [((runs[mode], "model_1"), (runs[f"{which} alone"], "model_1")) for runs in of]
            pairs[f"{mode}, random − START"] = [((runs[mode], "random"), (runs[mode], "input")) for runs in of]
    if "second together" in modes:
        whole = [runs for runs in found.values() if "second together" in runs]
        pairs["chosen by confidence, together − alone"] = [
            ((_chosen(runs, "together"), "model_1"), (_chosen(runs, "alone"), "model_1")) for runs in whole
        ]
    return pairs


def _chosen(runs: dict[str, Any], known: str) -> dict[str, Any]:
    of: dict[str, Any] = max((runs[f"{which} {known}"] for which in ("first", "second")), key=lambda r: r["confidence"])
    return of


def rows(found: dict[str, dict[str, Any]], modes: tuple[str, ...]) -> dict[str, Any]:
    """What each mode changes against START, then the comparisons of ``compared``: means with 95 % intervals."""
    pairs = {mode: [((runs[mode], "model_1"), (runs[mode], "input")) for runs in found.values() if mode in runs]
             for mode in modes} | compared(found, modes)  # fmt: skip
    told: dict[str, Any] = {}
    for name, of in pairs.items():
        change = {
            key: np.array([a["scores"][i][key] - b["scores"][j][key] for (a, i), (b, j) in of]) for key in SCORES[:2]
        }
        told[name] = {key: dataclasses.asdict(mean_interval(values)) for key, values in change.items()}
        told[name] |= {"n": len(of), "improved_percent": float(100 * (change["gdt_ha"] > 0).mean())}
    return told


def printed(told: dict[str, Any]) -> str:
    """``rows`` as a table."""
    lines = ["| run | n | ΔGDT-HA | ΔlDDT Cα | improved |", "|---|---|---|---|---|"]
    for name, row in told.items():
        ha, ca = (row[key] for key in SCORES[:2])
        lines.append(
            f"| {name} | {row['n']} | {ha['value']:+.2f} ({ha['low']:+.2f} … {ha['high']:+.2f}) | "
            f"{ca['value']:+.4f} ({ca['low']:+.4f} … {ca['high']:+.4f}) | {row['improved_percent']:.0f} % |"
        )
    return "\n".join(lines)


def main() -> int:
    """Run what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--data", type=Path, help="folder with predicted, models and chains")
    parser.add_argument("--bench", type=Path, help="folder of targets.tsv and predicted.tsv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8, help="proteins, smallest first")
    parser.add_argument("--result", type=Path, metavar="FILE.json", help="where the means of the part are put, too")
    args = parser.parse_args()
    folder = args.bench if args.part == "template" else args.data
    if folder is None:
        parser.error("template needs --bench, the others --data")
    torch.set_num_threads(1)
    networks, path, place = load_networks(), args.out / f"{args.part}.json", args.out / args.part
    found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else {}
    by_name = itertools.groupby(PARTS[args.part](folder, place), key=lambda case: case.name)
    for name, cases in itertools.islice(by_name, args.count):
        of_target = found.setdefault(name, {})
        for case in cases:
            for known in (False, True):
                mode = f"{case.which} {case.kind if known else 'alone'}"
                if mode not in of_target:
                    of_target[mode] = run(case, place / name / mode.replace(" ", "_"), networks, known=known)
                    print(name, mode, json.dumps(of_target[mode]), file=sys.stderr, flush=True)
                    path.write_text(json.dumps(found, indent=1) + "\n")
    modes = tuple(dict.fromkeys(mode for of_target in found.values() for mode in of_target))
    told = rows(found, modes)
    print(printed(told))
    if args.result:
        whole = json.loads(args.result.read_text(encoding="utf-8")) if args.result.is_file() else {}
        args.result.write_text(json_text(whole | {args.part: {"proteins": list(found), "rows": told}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
