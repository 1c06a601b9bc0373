"""How well missing side chains are built: take them from structures, build them, compare.

    python benchmarks/side_chains.py [--shared ../shared] [--count 8] [--lost 1.0]

Structures: natives and models of refined150-dev, every (150 / count)-th target, without their hetero atoms;
``--lost`` is the share of side-chain atoms taken away at random. Printed are means: chi1 within 40 degrees of what it
was, rmsd of side-chain atoms, clashscore, rotamer outliers in per cent, bond and angle outliers per 100 residues,
chirality outliers, and seconds for each structure.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from refine.assess.torsions import torsions
from refine.assess.validate import validate
from refine.structure.protein import Protein
from refine.structure.read import read_structure
from refine.structure.side_chains import complete_side_chains

COLUMNS = ("chi1", "rmsd", "clashscore", "rotamers", "bonds", "angles", "chirality", "seconds")


def stripped(protein: Protein, lost: float) -> Protein:
    """The protein without a share of its side-chain atoms."""
    mask = protein.mask.copy()
    mask[:, 4:] &= np.random.default_rng(0).random((len(protein), 10)) >= lost
    coords = np.where(mask[None, :, :, None], protein.coords, np.float32(0))
    return protein.with_coords(coords, oxt=protein.oxt, mask=mask)


def measures(protein: Protein, lost: float) -> tuple[float, ...]:
    """``COLUMNS`` for one structure."""
    bare = stripped(protein, lost)
    begun = time.perf_counter()
    built = complete_side_chains(bare).protein
    seconds = time.perf_counter() - begun
    change = torsions(built).chi[:, 0] - torsions(protein).chi[:, 0]
    error = np.abs(np.degrees(np.angle(np.exp(1j * change))))
    due = np.isfinite(error) & (protein.mask & ~bare.mask).any(1)
    both = protein.mask & built.mask & (np.arange(14) >= 4)
    square = ((protein.coords - built.coords)[0] ** 2).sum(-1)[both]
    quality = validate(built)
    per_residue = 100 / len(protein)
    return (
        float((error[due] < 40).mean()),
        float(np.sqrt(square.mean())),
        quality.clashscore,
        quality.rotamer_outliers,
        quality.bond_outliers * per_residue,
        quality.angle_outliers * per_residue,
        quality.chirality_outliers,
        seconds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--lost", type=float, default=1.0)
    args = parser.parse_args()
    folders = sorted(p for p in (args.shared / "bench" / "refined150-dev").iterdir() if p.is_dir())
    rows = []
    for folder in folders[:: max(1, len(folders) // args.count)][: args.count]:
        for name in ("native.pdb", "model.pdb"):
            protein = read_structure(folder / name).protein.with_hetero(())
            if protein.mask[:, :4].all():
                rows.append(measures(protein, args.lost))
    sys.stdout.write(f"{len(rows)} structures\n")
    for column, value in zip(COLUMNS, np.mean(rows, axis=0), strict=True):
        sys.stdout.write(f"{column:>12} {value:8.2f}\n")


if __name__ == "__main__":
    main()
