"""Manifest of crystal structures given as their own models: a run should leave them where they are.

    python benchmarks/native_manifest.py ../shared/bench > natives.tsv
    refine bench natives.tsv --root ../shared/bench --methods start,ours --out natives

Natives of refined150-dev, to which no chain of the training data is related, of 60 to 250 residues and of one half of
its targets: check for the benchmark, tune for the calibration. The 20 (12) whose target has the smallest SHA-256.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path

from refine.bench.manifest import Target

COUNT, SHORTEST, LONGEST = 20, 60, 250
SET = "refined150-dev"


def natives(bench: Path, split: str, count: int) -> list[Target]:
    """The natives of a half's targets whose names have the smallest hashes, each its own model, relative to
    ``bench``.
    """
    with (bench / "targets.tsv").open(encoding="utf-8") as stream:
        rows = [
            r
            for r in csv.DictReader(stream, delimiter="\t")
            if r["set"] == SET and SHORTEST <= int(r["native_residues"]) <= LONGEST
        ]
    targets = [Target(r["target"], Path(r["model"]), Path(r["native"])) for r in rows]
    chosen = sorted(
        (t for t in targets if t.split == split), key=lambda t: hashlib.sha256(t.name.encode()).hexdigest()
    )[:count]
    return [Target(f"{t.name}_native", t.native, t.native) for t in chosen]


def main() -> None:
    writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    writer.writerow(("target", "model", "native"))
    writer.writerows((t.name, t.model, t.native) for t in natives(Path(sys.argv[1]), "check", COUNT))


if __name__ == "__main__":
    main()
