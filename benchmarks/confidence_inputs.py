"""Inputs with natives on which the confidence of inputs is fitted and judged: measured once, and kept in a cache.

Part of benchmarks/confidence.py.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from native_manifest import natives
from numpy.typing import NDArray

from refine.accuracy.calibration import estimating_hashes
from refine.accuracy.features import Features
from refine.accuracy.input_accuracy import input_features
from refine.assess.compare import compare
from refine.assess.matching import match_residues
from refine.bench.manifest import Target, read_manifest
from refine.errors import RefineError
from refine.files import replacing
from refine.networks.weights import Networks
from refine.structure.file_estimate import FileEstimate
from refine.structure.prepare import prepare
from refine.structure.read import read_structure

LONGEST = 250
"""Residues of the largest model of ``data/predicted`` that is used."""
MOST_PER_PROGRAM = 33
"""Models of one program in a split of it; those whose name has the smallest SHA-256."""
NATIVES = 12
"""Natives of the tune half of refined150-dev given as inputs."""
FORMAT = "1"
"""Raised when what a measured input holds changes."""


@dataclasses.dataclass(frozen=True)
class Case:
    """An input with its native.

    Attributes:
        group: what it is for, see ``cases``.
        program: what made it; family: of proteins that are related, for leaving out.
    """

    target: Target
    group: str
    program: str
    family: str


@dataclasses.dataclass(frozen=True)
class Measured:
    """One input at the n residues that its native has.

    Attributes:
        features: name → (n,), of ``input_features`` at the input as it came.
        estimate: the file's own, as recognised, of these residues.
        lddt: (n,) true CA lDDT, 0–1; distance: (n,) Å of the CA from the native's, whole models superposed.
        gdt_ha: of the input, 0–100.
    """

    case: Case
    features: Features
    estimate: FileEstimate
    lddt: NDArray[np.float64]
    distance: NDArray[np.float64]
    gdt_ha: float


def cases(shared: Path, groups: Sequence[str]) -> list[Case]:
    """The inputs of ``groups``: ``train`` and ``valid`` of data/predicted, ``tune`` and ``check`` of predicted.tsv
    without NMR natives, ``servers tune``, ``servers check`` and ``natives`` (of the tune half) of refined150-dev.
    """
    bench = shared / "bench"
    chosen = [*_predicted(shared / "data" / "predicted", "train"), *_predicted(shared / "data" / "predicted", "valid")]
    with (bench / "predicted.tsv").open(encoding="utf-8") as stream:
        rows = {row["target"]: row for row in csv.DictReader(stream, delimiter="\t")}
    for target in read_manifest(bench / "predicted.tsv"):
        if rows[target.name]["native_method"] != "NMR":
            chosen.append(Case(target, target.split, rows[target.name]["program"], target.name))
    for target in read_manifest(bench / "targets.tsv", chosen_set="refined150-dev"):
        chosen.append(Case(target, f"servers {target.split}", "servers of the 2010s", target.name))
    for target in natives(bench, "tune", NATIVES):
        absolute = Target(target.name, bench / target.model, bench / target.native)
        chosen.append(Case(absolute, "natives", "crystal", target.name.removesuffix("_native")))
    return [case for case in chosen if case.group in groups]


def _predicted(folder: Path, split: str) -> Iterable[Case]:
    with (folder / "index.tsv").open(encoding="utf-8") as stream:
        rows = [r for r in csv.DictReader(stream, delimiter="\t") if r["split"] == split]
    counts = Counter[str]()
    for row in sorted(rows, key=lambda r: hashlib.sha256(r["model"].encode()).hexdigest()):
        program = row["program"]
        if int(row["residues_model"]) > LONGEST or counts[program] >= MOST_PER_PROGRAM:
            continue
        counts[program] += 1
        name = row["model"].removesuffix(".pdb.gz").replace("/", "-")
        target = Target(name, folder / row["model"], folder / row["protein"] / "native.pdb.gz")
        yield Case(target, split, program, row["cluster30"])


def measured(chosen: Sequence[Case], networks: Networks, cache: Path) -> list[Measured]:
    """Every case that can be read; those in ``cache`` are not measured again."""
    key = json.dumps([FORMAT, estimating_hashes(networks.folder)], sort_keys=True)
    folder = cache / hashlib.sha256(key.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for count, case in enumerate(chosen, start=1):
        path = folder / f"{case.group.replace(' ', '_')}-{case.target.name}.npz"
        try:
            if not path.is_file():
                _save(_measure(case, networks), path)
                print(
                    f"{count}/{len(chosen)} {path.stem}, {time.process_time():.0f} CPU s", file=sys.stderr, flush=True
                )
            found.append(_restore(path, case))
        except RefineError as error:
            print(f"{case.target.name} is left out: {error}", file=sys.stderr, flush=True)
    return found


def _measure(case: Case, networks: Networks) -> Measured:
    prepared = prepare(case.target.model)
    native = read_structure(case.target.native).protein
    comparison, matching = compare(prepared.usual, native), match_residues(prepared.usual, native)
    rows, columns = matching.model_index, matching.native_index
    estimate = dataclasses.replace(prepared.estimate, values=prepared.estimate.values[rows])
    features = {name: values[rows] for name, values in input_features(prepared.usual, networks).items()}
    lddt, distance = comparison.residue_lddt_ca[columns], comparison.residue_distance[columns]
    return Measured(case, features, estimate, lddt, distance, comparison.gdt_ha)


def _save(m: Measured, path: Path) -> None:
    words = {k: getattr(m.estimate, k) for k in ("kind", "name", "scale", "reason")}
    features = {f"features/{k}": v for k, v in m.features.items()}
    with replacing(path) as temporary:
        np.savez(
            temporary, allow_pickle=False, stated=m.estimate.values, lddt=m.lddt, distance=m.distance,
            text=np.array(json.dumps({**words, "gdt_ha": m.gdt_ha})), **features,
        )  # fmt: skip


def _restore(path: Path, case: Case) -> Measured:
    with np.load(path, allow_pickle=False) as file:
        arrays = {k: file[k] for k in file.files}
    words = json.loads(str(arrays["text"]))
    gdt_ha = words.pop("gdt_ha")
    features = {k.removeprefix("features/"): v for k, v in arrays.items() if k.startswith("features/")}
    estimate = FileEstimate(**words, values=arrays["stated"])
    return Measured(case, features, estimate, arrays["lddt"], arrays["distance"], gdt_ha)
