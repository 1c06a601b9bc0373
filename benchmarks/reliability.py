"""Reliability measured: odd inputs, kills, full disks, damaged weights and folders; one table of how each ended.

    python benchmarks/reliability.py                   # everything, hours; writes results/reliability.csv and .md
    python benchmarks/reliability.py --quick           # a fiftieth of it, nothing written
    python benchmarks/reliability.py --only readers

Sections are modules ``reliability_NAME.py`` with a function ``rows(seed, quick)``. Everything tried is generated from
the seed; nothing is stored.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from reliability_rows import Row

from refine.bench.tables import table
from refine.files import csv_text, write_text

SECTIONS = ("readers", "processes")
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run the sections; gives 1 when anything crashed or hung."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a small part of each section; writes no results")
    parser.add_argument("--only", choices=SECTIONS, help="one section; writes no results")
    options = parser.parse_args()
    rows: list[Row] = []
    for name in [options.only] if options.only else SECTIONS:
        if importlib.util.find_spec(f"reliability_{name}") is None:
            sys.stderr.write(f"there is no section {name}\n")
            continue
        rows += importlib.import_module(f"reliability_{name}").rows(options.seed, options.quick)
    text = markdown(rows)
    sys.stdout.write(text)
    if not options.quick and not options.only:
        write_text(RESULTS / "reliability.md", text)
        write_text(RESULTS / "reliability.csv", csv_text(*cells(rows)))
    return int(any(row.crashed or row.hung for row in rows))


def cells(rows: Sequence[Row]) -> tuple[list[str], list[tuple[object, ...]]]:
    """Header and lines of the table."""
    return [field.name for field in dataclasses.fields(Row)], [dataclasses.astuple(row) for row in rows]


def markdown(rows: Sequence[Row]) -> str:
    """The table as text."""
    header, lines = cells(rows)
    return table(header, [[str(cell) for cell in line] for line in lines]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
