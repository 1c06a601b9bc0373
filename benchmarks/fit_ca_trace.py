"""Fit refine/structure/ca_trace.py: the turn of a peptide plane about its CA-CA axis from four consecutive CA atoms.

    python benchmarks/fit_ca_trace.py SHARED/data

Uses 400 training chains (index.tsv, split train, X-ray at 2.5 Å or better), prints the coefficients and the error on 60
validation chains.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

from refine.structure.ca_trace import peptide_features, peptide_frame
from refine.structure.read import read_structure


def quadruples(folder: Path, split: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """CA quadruples (M, 4, 3) around trans peptides, and the positions (M, 3) of the middle peptides' O."""
    with (folder / "index.tsv").open() as file:
        rows = [r for r in csv.DictReader(file, delimiter="\t") if r["split"] == split]
    rows = sorted(rows, key=lambda r: (r["quality"] != "xray_2.5", r["id"]))[:: 1 if split != "train" else 6][:number]
    ca, o = [], []
    for row in rows:
        protein = read_structure(folder / "chains" / f"{row['id']}.bcif.gz").protein
        x = protein.coords[0]
        for i in range(1, len(protein) - 2):
            whole = protein.mask[i - 1 : i + 3, :4].all() and protein.bonded[i - 1 : i + 2].all()
            if whole and 3.6 < np.linalg.norm(x[i, 1] - x[i + 1, 1]) < 4.0:
                ca.append(x[i - 1 : i + 3, 1])
                o.append(x[i, 3])
    return np.array(ca, np.float64), np.array(o, np.float64)


def main() -> None:
    folder = Path(sys.argv[1])
    ca, o = quadruples(folder, "train", 400)
    targets = turns(ca, o)
    features = peptide_features(ca)
    coefficients = np.linalg.lstsq(features, targets, rcond=None)[0]
    sys.stdout.write(np.array2string(coefficients.T, precision=3, separator=", ", max_line_width=140) + "\n")
    ca, o = quadruples(folder, "valid", 60)
    predicted = peptide_features(ca) @ coefficients
    ratio = (predicted[:, 0] + 1j * predicted[:, 1]) / (turns(ca, o) @ np.array([1, 1j]))
    error = np.degrees(np.abs(np.angle(ratio)))
    sys.stdout.write(
        f"validation: {len(ca)} peptides, median error {np.median(error):.1f}, "
        f"90 % below {np.quantile(error, 0.9):.1f} degrees\n"
    )


def turns(ca: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Cosine and sine (M, 2) of the angle of O about the CA-CA axis."""
    frame = peptide_frame(ca)
    local = np.einsum("mij,mi->mj", frame, o - ca[:, 1])
    return local[:, 1:] / np.linalg.norm(local[:, 1:], axis=1, keepdims=True)


if __name__ == "__main__":
    main()
