"""What other structures add to a run: a second model of the same protein, and a relative of known structure.

    python benchmarks/evidence_structures.py together --data DATA_FOLDER --out FOLDER [--count 5]
    python benchmarks/evidence_structures.py template --bench BENCH_FOLDER --out FOLDER [--count 6]

``together``: proteins of the valid split of DATA/predicted that have two models or more (no network was trained on
them); the two of highest CA lDDT are refined alone and together. ``template``: targets of
the tune halves for which the native of another tune target is a relative, by the rule of ``--template``; relatives with
95 % identity or more to the native are left out. One model a run, seed 0. FOLDER/PART.json keeps every number, and a
table is printed; what is there is not run again.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from evidence import table
from stages import SETS, tune_cases

from refine.assess.compare import compare
from refine.evidence.structures import alignments
from refine.networks.weights import Networks, load_networks
from refine.pipeline import refine_file
from refine.settings import RunSettings
from refine.structure.prepare import prepare
from refine.structure.read import read_structure

SAME = 0.95
"""Identity of a relative and the native from which on it is the native itself."""
LONGEST = 220
"""Residues of a protein at most, so that a run takes a minute."""


def run(model: Path, native: Path, place: Path, networks: Networks, **values: tuple[str, ...]) -> dict[str, Any]:
    """Scores of the input and of model 1 of one run, settings as given."""
    begun = time.process_time()
    settings = RunSettings(device="cpu", models=1, workers=1, **values)
    result = refine_file(model, place, settings, networks=networks, report=False, resume=True)
    truth = read_structure(native).protein
    scores = {}
    for name, path in (("input", model), ("model_1", result.models[0])):
        found = compare(read_structure(path).protein, truth)
        scores[name] = {"gdt_ha": found.gdt_ha, "lddt_ca": found.lddt_ca, "lddt": found.lddt}
    facts = result.record.get("evidence") or {}
    return {
        "scores": scores, "confidence": result.record["confidence"]["model_1"], "seconds": time.process_time() - begun,
        "length": result.record["length"], "factor": facts.get("factor"), "held_out": facts.get("held_out"),
        "files": facts.get("files"), "notes": [n["message"] for n in result.record["notes"] if n["kind"] == "evidence"],
    }  # fmt: skip


def pairs_of_models(data: Path) -> Iterator[tuple[str, Path, list[Path]]]:
    """Protein, native and its two best models, of the valid split, smallest first."""
    by_protein = defaultdict(list)
    folder = data / "predicted"
    with (folder / "index.tsv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            if row["split"] == "valid" and int(row["residues_model"]) <= LONGEST:
                by_protein[row["protein"]].append(row)
    for protein, rows in sorted(by_protein.items(), key=lambda item: int(item[1][0]["residues_model"])):
        if len(rows) > 1:
            best = sorted(rows, key=lambda row: -float(row["lddt_ca"]))[:2]
            yield protein, folder / protein / "native.pdb.gz", [folder / row["model"] for row in best]


def together(
    data: Path, out: Path, count: int, chosen: frozenset[str], networks: Networks
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Target, mode and numbers: each of two models alone and with the other; ``first`` is the better one."""
    found = (each for each in pairs_of_models(data) if not chosen or each[0] in chosen)
    for protein, native, models in itertools.islice(found, count):
        for name, own, other in (("first", *models), ("second", *reversed(models))):
            place = out / protein / name
            yield protein, f"{name} alone", run(own, native, place / "alone", networks)
            yield protein, f"{name} together", run(own, native, place / "both", networks, together=(str(other),))


def relatives(bench: Path) -> Iterator[tuple[str, Path, Path, Path]]:
    """Target, model, native and the native of the relative that is most alike, smallest first."""
    cases = [case.target for chosen in SETS for case in tune_cases(bench, chosen)]
    natives = {case.name: prepare(case.native).protein for case in cases}
    for case in sorted(cases, key=lambda c: len(natives[c.name])):
        own, found = natives[case.name], []
        for other in cases if len(own) <= LONGEST else ():
            (best,) = alignments(own, natives[other.name])[:1]
            if other.name != case.name and best.trusted and best.identity < SAME:
                found.append((best.identity, other.native))
        if found:
            yield case.name, case.model, case.native, max(found)[1]


def template(
    bench: Path, out: Path, count: int, chosen: frozenset[str], networks: Networks
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Target, mode and numbers: without and with the relative."""
    found = (each for each in relatives(bench) if not chosen or each[0] in chosen)
    for name, model, native, relative in itertools.islice(found, count):
        yield name, "without", run(model, native, out / name / "without", networks)
        yield name, "template", run(model, native, out / name / "template", networks, template=(str(relative),))


def main() -> int:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("together", "template"))
    parser.add_argument("--data", type=Path, help="folder with predicted/index.tsv")
    parser.add_argument("--bench", type=Path, help="folder of targets.tsv and predicted.tsv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=5, help="targets, smallest first")
    parser.add_argument("--targets", default="", help="only these, separated by commas")
    args = parser.parse_args()
    folder = args.data if args.part == "together" else args.bench
    if folder is None:
        parser.error("together needs --data, template needs --bench")
    torch.set_num_threads(1)
    part, found = together if args.part == "together" else template, {}
    chosen = frozenset(filter(None, args.targets.split(",")))
    for name, mode, numbers in part(folder, args.out / args.part, args.count, chosen, load_networks()):
        found.setdefault(name, {})[mode] = numbers
        print(name, mode, json.dumps(numbers), file=sys.stderr, flush=True)
        (args.out / f"{args.part}.json").write_text(json.dumps(found, indent=1) + "\n")
        modes = tuple(dict.fromkeys(mode for modes in found.values() for mode in modes))
    print(table(found, modes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
