"""What densities of simulations do in place of the Ramachandran term: moves of tune targets with and without them.

    python benchmarks/torsion_densities.py FILE [FILE ...] --bench BENCH_FOLDER --out FILE.json [--count 8]

FILE are densities of `refine simulate-residue`, or names of packaged ones (ALA). One quiet replica of each target
(smallest first) is propagated from the input as it came, nothing is finished. Told are GDT-HA and CA lDDT of where it
arrives against the input, and the percentage of residues in favoured regions (of crystal structures) there.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from pathlib import Path

import torch
from electrostatics import arrived, print_pairs
from stages import SETS, tune_cases

from refine.energy.torsion_density import densities_of
from refine.networks.weights import load_networks
from refine.settings import RunSettings


def main() -> int:
    """Measure, print the differences in pairs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("densities", nargs="+", metavar="FILE")
    parser.add_argument("--bench", type=Path, required=True, help="folder of targets.tsv and predicted.tsv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", dest="chosen", choices=SETS, default="refined150-dev")
    parser.add_argument("--count", type=int, default=8, help="targets, smallest first")
    parser.add_argument("--weight", type=float, default=0.1, help="of the Ramachandran term, in both")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), help="this part of so many, to share the work")
    args = parser.parse_args()
    torch.set_num_threads(1)
    letters = "".join(density.letter for density in densities_of(args.densities))
    plain = RunSettings(device="cpu")
    plain = dataclasses.replace(plain, energy=dataclasses.replace(plain.energy, ramachandran=args.weight))
    energy = dataclasses.replace(plain.energy, torsion_densities=tuple(args.densities))
    networks, found = load_networks(), {}
    cases = sorted(tune_cases(args.bench, args.chosen), key=lambda case: case.target.model.stat().st_size)
    for case in itertools.islice(cases, args.part[0], args.count, args.part[1]):
        rows = {
            "without": arrived(case, plain, networks),
            "with": arrived(case, dataclasses.replace(plain, energy=energy), networks),
        }
        found[case.target.name] = rows
        print(case.target.name, json.dumps(rows), file=sys.stderr, flush=True)
        args.out.write_text(json.dumps(found, indent=1) + "\n")
    print(f"densities of {letters}, {len(found)} targets")
    print_pairs(found, ("gdt_ha", "lddt_ca", "favoured"), "without", "with")
    return 0


if __name__ == "__main__":
    sys.exit(main())
