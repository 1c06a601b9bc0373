"""Do the models of a bench come out as they went in? Read by Biopython and gemmi, compared with their inputs.

    PYTHONPATH=. python benchmarks/check_outputs.py BENCH_OUT MANIFEST [--root FOLDER] [--set NAME]

For every run of ours in BENCH_OUT/models: status in run.json, and model 1 in PDB and mmCIF read by Biopython and by
gemmi with the protein residues of the input: chain, number, insertion code and name, in order (modified residues as
their parents). Prints a line for each difference and a closing count; exits with 1 when there is one.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import gemmi
from Bio.PDB import MMCIFParser, PDBParser

from refine.constants import ONE_TO_THREE
from refine.structure.read import read_structure

Residues = list[tuple[str, str, str]]


def by_gemmi(path: Path, names: set[str]) -> Residues:
    """(chain, number with insertion code, name) of the residues that the input has."""
    structure = gemmi.read_structure(str(path))
    return [(chain.name.strip(), str(r.seqid), r.name) for chain in structure[0] for r in chain if r.name in names]


def by_biopython(path: Path, names: set[str]) -> Residues:
    """The same by Biopython."""
    parser = MMCIFParser(QUIET=True) if path.suffix == ".cif" else PDBParser(QUIET=True)
    model = next(iter(parser.get_structure("model", path)))
    return [(c.id.strip(), f"{r.id[1]}{r.id[2].strip()}", r.resname) for c in model for r in c if r.resname in names]


def expected(path: Path) -> Residues:
    """Residues of the input as our own reader, tested against many formats, sees them."""
    protein = read_structure(path).protein
    names = (ONE_TO_THREE[aa] for aa in protein.sequence)
    return [
        (rid.chain.strip(), f"{rid.number}{rid.insertion}", name)
        for rid, name in zip(protein.residue_ids, names, strict=True)
    ]


def differences(run: Path, source: Path) -> list[str]:
    """What is wrong with one run."""
    record = json.loads((run / "run.json").read_text())
    wrong = [] if record["status"] == "done" else [f"status {record['status']}"]
    want = expected(source)
    names = set(ONE_TO_THREE.values())
    for name in ("model_1.pdb", "model_1.cif"):
        for reader in (by_gemmi, by_biopython):
            have = reader(run / name, names)
            # mmCIF cannot hold a blank chain id: it is compared by order alone there.
            blank = name.endswith(".cif") and any(chain == "" for chain, _, _ in want)
            if ([r[1:] for r in have], len(have)) != ([r[1:] for r in want], len(want)) or (not blank and have != want):
                wrong.append(
                    f"{name} by {reader.__name__}: {len(have)} residues, {len(want)} expected, or other numbers"
                )
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--set")
    options = parser.parse_args()
    root = options.root or options.manifest.parent
    with options.manifest.open() as file:
        rows = [r for r in csv.DictReader(file, delimiter="\t") if options.set is None or r["set"] == options.set]
    bad = 0
    for row in rows:
        run = options.bench / "models" / row["target"] / "ours"
        wrong = differences(run, root / row["model"]) if (run / "run.json").is_file() else ["no run"]
        for line in wrong:
            sys.stdout.write(f"{row['target']}: {line}\n")
        bad += bool(wrong)
    sys.stdout.write(f"{len(rows) - bad} of {len(rows)} runs are whole\n")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
