"""Medians of the bonds and angles across the peptide bond in crystal structures at 1.3 Å or better: makes
oracles/peptides.csv.

python tests/assess/oracles/peptide_medians.py ../shared/data > tests/assess/oracles/peptides.csv
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from refine.assess.torsions import torsions
from refine.constants import ATOM14
from refine.structure.protein import Protein
from refine.structure.read import read_structure

CHAINS, RESOLUTION = 150, 1.3
ROWS = (("<C", "N"), ("<CA", "<C", "N"), ("<O", "<C", "N"), ("<C", "N", "CA"))


def value(points: list[np.ndarray]) -> float:
    if len(points) == 2:
        return float(np.linalg.norm(points[0] - points[1]))
    u, v = points[0] - points[1], points[2] - points[1]
    return float(np.degrees(np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))))


def collect(protein: Protein, into: dict[tuple[str, str], list[float]]) -> None:
    omega = torsions(protein).omega
    for i in np.flatnonzero(protein.bonded) + 1:
        aa, cis = protein.sequence[i], abs(omega[i]) < np.radians(30)
        if cis and aa != "P":
            continue
        key = "P cis" if cis else aa if aa in "GP" else "*"
        for row in (*ROWS, ("<C", "N", "CD")) if aa == "P" else ROWS:
            residues = [(i - 1, name[1:]) if name[0] == "<" else (i, name) for name in row]
            slots = [(k, ATOM14[protein.sequence[k]].index(name)) for k, name in residues]
            if all(protein.mask[slot] for slot in slots):
                into[key, " ".join(row)].append(value([protein.coords[0][slot].astype(np.float64) for slot in slots]))


def main() -> None:
    data = Path(sys.argv[1])
    with (data / "index.tsv").open(newline="") as handle:
        rows = [
            r for r in csv.DictReader(handle, delimiter="\t") if r["split"] == "train" and r["quality"] == "xray_2.5"
        ]
    good = [r["id"] for r in rows if r["resolution_A"] and float(r["resolution_A"]) <= RESOLUTION][:CHAINS]
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for name in good:
        collect(read_structure(data / "chains" / f"{name}.bcif.gz").protein, found)
    print(f"# peptide_medians.py, {len(good)} chains at {RESOLUTION} A or better")
    print("residue,atoms,n,median")
    for (residue, atoms), values in sorted(found.items()):
        print(f"{residue},{atoms},{len(values)},{np.median(values):.3f}")


if __name__ == "__main__":
    main()
