"""Reliability measured: odd inputs, kills, full disks, damaged weights and folders; one table of how each ended.

    python benchmarks/reliability.py                   # everything, hours
    python benchmarks/reliability.py --quick           # a fiftieth of it, nothing written
    python benchmarks/reliability.py --only readers    # one section

Sections are modules ``reliability_NAME.py`` with a function ``rows(seed, quick)``; each writes
results/reliability_NAME.csv when it ends, and the table of all that are there goes to results/reliability.md.
Everything tried is generated from the seed; nothing is stored.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from reliability_rows import Row

from refine.bench.tables import table
from refine.files import csv_rows, csv_text, write_text

SECTIONS = ("readers", "processes")
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run the sections; gives 1 when anything crashed or hung."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a small part of each section; writes no results")
    parser.add_argument("--only", choices=SECTIONS, help="one section")
    options = parser.parse_args()
    failed = False
    for name in [options.only] if options.only else SECTIONS:
        rows: list[Row] = importlib.import_module(f"reliability_{name}").rows(options.seed, options.quick)
        failed = failed or any(row.crashed or row.hung for row in rows)
        header, lines = cells(rows)
        if options.quick:
            sys.stdout.write(markdown(header, lines))
        else:
            write_text(RESULTS / f"reliability_{name}.csv", csv_text(header, lines))
            write_text(RESULTS / "reliability.md", markdown(header, stored()))
    if not options.quick:
        sys.stdout.write((RESULTS / "reliability.md").read_text())
    return int(failed)


def stored() -> list[tuple[object, ...]]:
    """The lines of the sections that have run."""
    paths = [path for name in SECTIONS if (path := RESULTS / f"reliability_{name}.csv").is_file()]
    return [tuple(row.values()) for path in paths for row in csv_rows(path.read_text().splitlines())]


def cells(rows: Sequence[Row]) -> tuple[list[str], list[tuple[object, ...]]]:
    """Header and lines of the table."""
    return [field.name for field in dataclasses.fields(Row)], [dataclasses.astuple(row) for row in rows]


def markdown(header: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """The table as text."""
    return table(list(header), [[str(cell) for cell in line] for line in lines]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
