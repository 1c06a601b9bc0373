"""Manifest of crystal structures given as their own models: a run should leave them where they are.

    python benchmarks/native_manifest.py ../shared/data > natives.tsv
    refine bench natives.tsv --root ../shared/data --methods start,ours --out natives

Chains of the test split, of the best quality class, of 60 to 250 residues; the 20 whose id has the smallest SHA-256.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path

from refine.bench.manifest import Target

COUNT, SHORTEST, LONGEST, QUALITY = 20, 60, 250, "xray_2.5"


def natives(data: Path, split: str, count: int) -> list[Target]:
    """The chains of a split whose ids have the smallest hashes, each its own model, relative to ``data``."""
    with (data / "index.tsv").open(encoding="utf-8") as stream:
        rows = [r for r in csv.DictReader(stream, delimiter="\t") if r["split"] == split and r["quality"] == QUALITY]
    fitting = [r["id"] for r in rows if SHORTEST <= int(r["residues"]) <= LONGEST]
    chosen = sorted(fitting, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:count]
    files = [Path("chains") / f"{name}.bcif.gz" for name in chosen]
    return [Target(name, file, file) for name, file in zip(chosen, files, strict=True)]


def main() -> None:
    writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    writer.writerow(("target", "model", "native"))
    writer.writerows((t.name, t.model, t.native) for t in natives(Path(sys.argv[1]), "test", COUNT))


if __name__ == "__main__":
    main()
