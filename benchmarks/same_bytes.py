"""Do runs give the same bytes as before a change that should move nothing?

    python benchmarks/same_bytes.py write BEFORE INPUT...
        refines the inputs into BEFORE (with the old code)
    python benchmarks/same_bytes.py compare BEFORE AFTER INPUT...
        refines them into AFTER, and compares the folders

Compared are all files of results; what holds times or versions (run.json, log.txt, progress.jsonl, report.html) is not.
Of run.json the models, verdict and notes are. Prints a line for each input and exits with 1 when one differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

UNSTABLE = frozenset({"run.json", "log.txt", "progress.jsonl", "report.html"})
STABLE_KEYS = ("status", "models", "verdict", "judgement", "confidence", "notes", "sampling", "residues", "chains")
TIMES = ("seconds", "setup_seconds", "stages")


def refine(inputs: list[Path], out: Path) -> None:
    """Run each input into a folder of its name, by the command of the package that Python finds."""
    for path in inputs:
        subprocess.run(
            [sys.executable, "-m", "refine", "run", str(path), "--out", str(out / path.stem), "--seed", "0", "--quiet"],
            check=True,
        )


def stable_record(folder: Path) -> dict[str, object]:
    """What run.json says that does not change from run to run."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    for model in record["models"]:
        for key in TIMES:
            model["finishing"].pop(key, None)
    return {key: record[key] for key in STABLE_KEYS}


def differences(before: Path, after: Path) -> list[str]:
    """Names of results that one run has and the other lacks, or whose bytes differ."""
    names = {p.name for folder in (before, after) for p in folder.iterdir()} - UNSTABLE
    pairs = {name: (before / name, after / name) for name in sorted(names)}
    differing = [
        name for name, (a, b) in pairs.items() if not (a.is_file() and b.is_file() and a.read_bytes() == b.read_bytes())
    ]
    return differing + (["run.json"] if stable_record(before) != stable_record(after) else [])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("write", "compare"))
    parser.add_argument("before", type=Path)
    parser.add_argument("paths", type=Path, nargs="+", help="inputs; for compare the new folder comes first")
    args = parser.parse_args()
    if args.what == "write":
        refine(args.paths, args.before)
        return 0
    after, inputs = args.paths[0], args.paths[1:]
    refine(inputs, after)
    differing = {path.stem: differences(args.before / path.stem, after / path.stem) for path in inputs}
    for name, files in differing.items():
        print(f"{name}: {'differs in ' + ', '.join(files) if files else 'the same bytes'}")
    return 1 if any(differing.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
