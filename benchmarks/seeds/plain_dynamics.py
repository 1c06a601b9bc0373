"""Plain dynamics of alanine dipeptide, which other scripts of this folder learn from; they call ``trajectory``.

python benchmarks/seeds/plain_dynamics.py --temperature 500 --ns 2.5 --seed 0 --keep FOLDER
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refine.physics.dynamics import Dynamics, peptide_system
from refine.physics.peptide import peptide
from refine.structure.arrays import dihedral

SEQUENCE = "ACE-ALA-NME"
FRAME_PS = 0.2
PHI, PSI = (4, 6, 8, 10), (6, 8, 10, 16)
"""Atoms of both torsions."""


def trajectory(temperature: float, ns: float, seed: int, keep: Path | None = None) -> NDArray[np.float32]:
    """Frames (F, 22, 3) Å, one in 0.2 ps, the first 100 ps left out; kept in and taken from the folder ``keep``."""
    path = None if keep is None else keep / f"ala_{temperature:g}K_{ns:g}ns_{seed}.npy"
    if path is not None and path.is_file():
        return np.load(path)
    built = peptide(SEQUENCE)
    dynamics = Dynamics(peptide_system(built.topology), temperature=temperature, seed=seed)
    phase, frames = dynamics.begin(built.positions), []
    for k in range(round(10 * ns)):
        block = dynamics.run(phase, k, 25_000, 50)
        phase = block.end
        frames.append(block.frames)
    path_of_frames = np.concatenate(frames[1:])
    if path is not None:
        np.save(path, path_of_frames)
    return path_of_frames


def torsions(frames: NDArray[np.floating]) -> NDArray[np.float64]:
    """phi and psi (F, 2) in radians."""
    x = frames.astype(np.float64)
    return np.stack([dihedral(*(x[:, p] for p in atoms)) for atoms in (PHI, PSI)], 1)


def phi_crossings(phi: NDArray[np.floating]) -> int:
    """Times that phi went from below −20° to between 0° and 120°, or back; what lies between counts for neither."""
    side = np.where((phi > 0) & (phi < np.radians(120)), 1, np.where(phi < np.radians(-20), -1, 0))
    side = side[side != 0]
    return int((side[1:] != side[:-1]).sum())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--temperature", type=float, default=300.0)
    parser.add_argument("--ns", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, required=True)
    options = parser.parse_args()
    phi = torsions(trajectory(options.temperature, options.ns, options.seed, options.keep))[:, 0]
    print(f"{len(phi)} frames, {phi_crossings(phi)} crossings of phi, {np.mean(phi > 0):.3f} with phi above 0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
