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

COUNT, SHORTEST, LONGEST, QUALITY = 20, 60, 250, "xray_2.5"


def main() -> None:
    with (Path(sys.argv[1]) / "index.tsv").open(encoding="utf-8") as stream:
        rows = [r for r in csv.DictReader(stream, delimiter="\t") if r["split"] == "test" and r["quality"] == QUALITY]
    fitting = [r for r in rows if SHORTEST <= int(r["residues"]) <= LONGEST]
    chosen = sorted(fitting, key=lambda r: hashlib.sha256(r["id"].encode()).hexdigest())[:COUNT]
    writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    writer.writerow(("target", "model", "native"))
    writer.writerows((r["id"], f"chains/{r['id']}.bcif.gz", f"chains/{r['id']}.bcif.gz") for r in chosen)


if __name__ == "__main__":
    main()
