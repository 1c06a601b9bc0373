"""One result: what one method made of one target, as a small JSON file that appears whole or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refine.accuracy.calibration import network_hashes
from refine.bench.manifest import Target
from refine.bench.methods import Method
from refine.files import file_hash, json_text, write_text
from refine.networks.weights import Networks

FORMAT = 1
"""Raised when results of an older version must be computed again."""
DONE, FAILED = "done", "failed"
RESULTS = "results"


@dataclasses.dataclass(frozen=True)
class Result:
    """What one method made of one target.

    Attributes:
        target, method, kind: which.
        fingerprint: of everything the result depends on; a result with another one is computed again.
        status: ``done`` or ``failed``; error: what failed.
        residues: of the native.
        seconds, cpu_seconds: of the method alone, its own start-up included, measuring left out.
        models: a row of metrics for each model, best first (model 1 is the submitted one), with ``file``.
        details: what the method says of itself; residue numbers and scores of model 1 under ``per_residue``; how
            residues were matched.
    """

    target: str
    method: str
    kind: str
    fingerprint: str
    status: str
    residues: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    models: tuple[Mapping[str, Any], ...] = ()
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    error: str = ""


def fingerprint(target: Target, method: Method, seed: int, networks: Networks | None, like: str = "") -> str:
    """Hash of the structures, the method, the trained files and, for random, the result it imitates."""
    trained = {} if networks is None else network_hashes(networks.folder)
    what = {
        "format": FORMAT,
        "model": file_hash(target.model),
        "native": file_hash(target.native),
        "method": dataclasses.asdict(method),
        "trained": trained if method.kind in ("ours", "random") else {},
        "seed": seed if method.kind == "random" else None,
        "like": like,
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def result_path(folder: Path, target: str, method: str) -> Path:
    return folder / RESULTS / target / f"{method}.json"


def write_result(folder: Path, result: Result) -> None:
    """Write the result's file in one step."""
    path = result_path(folder, result.target, result.method)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json_text(dataclasses.asdict(result)))


def read_result(folder: Path, target: str, method: str) -> Result | None:
    """The result, or None when there is none that can be read."""
    try:
        values = json.loads(result_path(folder, target, method).read_text(encoding="utf-8"))
        values["models"] = tuple(values["models"])
        return Result(**values)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_results(folder: Path, targets: Sequence[Target], methods: Sequence[Method]) -> list[Result]:
    """All results there are, by target and method in the given order."""
    results = (read_result(folder, target.name, method.name) for target in targets for method in methods)
    return [result for result in results if result is not None]
