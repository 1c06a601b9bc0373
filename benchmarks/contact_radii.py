"""Contact radii of the steric term (refine/energy/sterics.py), derived from the shared training structures.

    python benchmarks/contact_radii.py [--shared ../shared] [--chains 400]

Sites: N, CA, C, O, CB and the centroid of the side chain (all its heavy atoms; residues with atoms beyond CB). For
every kind of pair at least two residues apart the contact distance is the 0.5 % quantile of all distances below 8 Å.
Backbone radii are the least-squares split of the backbone contact distances; a centroid's radius is what remains of its
own contact distances with the backbone sites. Source: train split, X-ray at 2.0 Å or better, one chain per 30 %
cluster, in the order of index.tsv.
"""

from __future__ import annotations

import argparse
import csv
import gzip
from pathlib import Path

import numpy as np
from biotite.structure.io.pdbx import BinaryCIFFile
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.constants import AMINO_ACIDS, ATOM14, THREE_TO_ONE

RANGE, QUANTILE, MAX_RESOLUTION = 8.0, 0.005, 2.0
BACKBONE = ("N", "CA", "C", "O", "CB")


def sites(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Positions (S, 3), kinds (S,) (0–4 backbone and CB, 5 + amino acid for centroids) and residue numbers (S,) of a
    chain.
    """
    with gzip.open(path) as handle:
        site = BinaryCIFFile.read(handle).block["atom_site"]
    name, comp = site["label_atom_id"].as_array(), site["label_comp_id"].as_array()
    number, code = site["auth_seq_id"].as_array(), site["pdbx_PDB_ins_code"].as_array()
    xyz = np.stack([site[f"Cartn_{axis}"].as_array() for axis in "xyz"], -1).astype(np.float64)
    residue = np.concatenate([[0], np.cumsum((number[1:] != number[:-1]) | (code[1:] != code[:-1]))])
    positions, kinds, owners = [], [], []
    for i in range(residue[-1] + 1):
        rows = np.flatnonzero(residue == i)
        aa = THREE_TO_ONE.get(comp[rows[0]])
        atoms = {str(name[k]): xyz[k] for k in rows}
        if aa is None or set(atoms) - {"OXT"} != set(ATOM14[aa]):
            continue
        sites = [(atoms[a], k) for k, a in enumerate(BACKBONE) if a in atoms]
        side = [atoms[a] for a in ATOM14[aa][4:]]
        if len(side) > 1:
            sites.append((np.mean(side, 0), 5 + AMINO_ACIDS.index(aa)))
        for position, kind in sites:
            positions.append(position)
            kinds.append(kind)
            owners.append(i)
    return np.array(positions), np.array(kinds), np.array(owners)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--chains", type=int, default=400)
    options = parser.parse_args()
    with (options.shared / "data" / "index.tsv").open(newline="") as handle:
        rows = [
            r for r in csv.DictReader(handle, delimiter="\t") if r["split"] == "train" and r["quality"] == "xray_2.5"
        ]
    rows = [r for r in rows if float(r["resolution_A"] or 99) <= MAX_RESOLUTION]
    chosen = list({r["cluster30"]: r for r in reversed(rows)}.values())[-options.chains :]
    distances: dict[tuple[int, int], list[NDArray[np.float64]]] = {}
    for row in chosen:
        x, kind, owner = sites(options.shared / "data" / "chains" / f"{row['id']}.bcif.gz")
        pairs = cKDTree(x).query_pairs(RANGE, output_type="ndarray")
        pairs = pairs[np.abs(owner[pairs[:, 0]] - owner[pairs[:, 1]]) >= 2]
        d = np.linalg.norm(x[pairs[:, 0]] - x[pairs[:, 1]], axis=1)
        code = np.sort(kind[pairs], axis=1) @ np.array([32, 1])
        for value in np.unique(code):
            distances.setdefault((int(value) // 32, int(value) % 32), []).append(d[code == value])
    contact = {key: float(np.quantile(np.concatenate(value), QUANTILE)) for key, value in distances.items()}
    keys = [key for key in contact if key[1] < 5]
    design = np.zeros((len(keys), 5))
    for row_index, (a, b) in enumerate(keys):
        design[row_index, a] += 1
        design[row_index, b] += 1
    radius = np.linalg.lstsq(design, np.array([contact[key] for key in keys]), rcond=None)[0]
    print(len(chosen), "chains")
    print("backbone contacts", {f"{BACKBONE[a]}-{BACKBONE[b]}": round(contact[a, b], 2) for a, b in sorted(keys)})
    print("backbone radii", dict(zip(BACKBONE, radius.round(2).tolist(), strict=True)))
    own = {
        aa: np.mean([contact[k, 5 + i] - radius[k] for k in range(5)])
        for i, aa in enumerate(AMINO_ACIDS)
        if (0, 5 + i) in contact
    }
    print("centroid radii", {aa: round(float(r), 2) for aa, r in own.items()})
    both = [
        (contact[key] - own[AMINO_ACIDS[key[0] - 5]] - own[AMINO_ACIDS[key[1] - 5]]) for key in contact if key[0] >= 5
    ]
    print("centroid pairs: measured minus sum of radii", np.quantile(both, [0.05, 0.5, 0.95]).round(2))


if __name__ == "__main__":
    main()
