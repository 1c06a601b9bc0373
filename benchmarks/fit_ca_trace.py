"""Fit refine/structure/ca_trace.py: the turn of a peptide plane about its CA-CA axis from four consecutive CA atoms;
and refine/structure/embed.py: what tells the hand of a CA trace.

    python benchmarks/fit_ca_trace.py SHARED/data

Uses 400 training chains (index.tsv, split train, X-ray at 2.5 Å or better), prints the coefficients and the error on 60
validation chains; for the hand, 100 chains each.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from refine.structure.arrays import dihedral
from refine.structure.ca_trace import peptide_features, peptide_frame
from refine.structure.embed import hand_features
from refine.structure.protein import Protein
from refine.structure.read import read_structure


def chains(folder: Path, split: str, number: int, every: int) -> Iterator[Protein]:
    """``number`` chains of a split, crystal structures at 2.5 Å or better first; of train ``every``-th."""
    with (folder / "index.tsv").open() as file:
        rows = [r for r in csv.DictReader(file, delimiter="\t") if r["split"] == split]
    rows = sorted(rows, key=lambda r: (r["quality"] != "xray_2.5", r["id"]))
    for row in rows[:: every if split == "train" else 1][:number]:
        yield read_structure(folder / "chains" / f"{row['id']}.bcif.gz").protein


def quadruples(folder: Path, split: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """CA quadruples (M, 4, 3) around trans peptides, and the positions (M, 3) of the middle peptides' O."""
    ca, o = [], []
    for protein in chains(folder, split, number, 6):
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
    fit_hand(folder)


def virtual_dihedrals(protein: Protein) -> np.ndarray:
    """Of four consecutive bonded CA atoms (M,), radians."""
    ca, bonded = protein.coords[0, :, 1].astype(np.float64), protein.bonded
    turn = dihedral(ca[:-3], ca[1:-2], ca[2:-1], ca[3:])
    return turn[bonded[:-3] & bonded[1:-2] & bonded[2:-1]]


def fit_hand(folder: Path) -> None:
    """Logistic regression of virtual dihedrals against those of the mirror images."""
    features = hand_features(np.concatenate([virtual_dihedrals(p) for p in chains(folder, "train", 100, 20)]))
    weights = minimize(lambda w: np.logaddexp(0, -features @ w).mean(), np.zeros(features.shape[1])).x
    scores = [hand_features(virtual_dihedrals(p)).sum(0) @ weights for p in chains(folder, "valid", 100, 1)]
    sys.stdout.write(f"hand: {np.round(weights, 3)}, right in {sum(s > 0 for s in scores)} of {len(scores)} chains\n")


def turns(ca: np.ndarray, o: np.ndarray) -> np.ndarray:
    """Cosine and sine (M, 2) of the angle of O about the CA-CA axis."""
    frame = peptide_frame(ca)
    local = np.einsum("mij,mi->mj", frame, o - ca[:, 1])
    return local[:, 1:] / np.linalg.norm(local[:, 1:], axis=1, keepdims=True)


if __name__ == "__main__":
    main()
