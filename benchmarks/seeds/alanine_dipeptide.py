"""Free energy of alanine dipeptide, learned while it is sampled (leader and chaser), against plain dynamics.

    python benchmarks/seeds/alanine_dipeptide.py [--ns 5] [--keep FOLDER]

Two independent explorations over phi and psi at 300 K, ff99SB-ILDN with OBC solvent, and plain dynamics of the same
length, which costs less than one of them: its 13.7 CPU seconds a nanosecond are 20 under a bias and 25 with learning.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from limits import write_result
from plain_dynamics import SEQUENCE, phi_crossings, torsions, trajectory

from refine.constants import BOLTZMANN
from refine.sampling.exploration import Sampled, explore
from refine.sampling.reweight import weights_of
from refine.sampling.settings import FRAME_PS, ExploreSettings
from refine.sampling.subject import PeptideSubject
from refine.sampling.variables import backbone_torsions

KT = BOLTZMANN * 300.0
LIMITS = {
    "first_c7ax_ps": ("<=", 300.0),
    "phi_crossings_per_ns_second_ns": (">=", 8.0),
    "plain_phi_crossings_per_ns": ("<=", 1.0),
    "free_energy_difference_of_runs": ("<=", 1.0),
    "free_energy_difference_of_weights": ("<=", 1.0),
    "complementarity": (">=", 0.9),
    "kish": (">=", 50.0),
}


def right(phi: np.ndarray) -> np.ndarray:
    """Whether phi lies on the side of C7ax: 0 to 140 degrees."""
    return (phi > 0) & (phi < np.radians(140))


def of_run(run: Sampled, ns: float) -> dict[str, Any]:
    """What one exploration says."""
    phi = run.q[:, 0]
    inside = np.flatnonzero((phi > np.radians(40)) & (phi < np.radians(90)))
    second = phi[round(1000 / FRAME_PS) : round(2000 / FRAME_PS)] if ns >= 2 else phi[len(phi) // 2 :]
    learned = run.steering.leaders[0].free_energy.mean(0)
    grid = right(run.steering.axes[0][0].points())
    p = np.exp(-learned)
    weights = weights_of(run.bias[run.frozen])
    share = weights.values[right(phi[run.frozen])].sum()
    low = learned - learned.min() < 8
    bias = run.steering.biases[0]
    return {
        "first_c7ax_ps": float(inside[0] * FRAME_PS) if len(inside) else None,
        "phi_crossings": phi_crossings(phi),
        "phi_crossings_per_ns_second_ns": phi_crossings(second) / (len(second) * FRAME_PS / 1000),
        "free_energy_learned": float(-KT * np.log(p[grid].sum() / p[~grid].sum())),
        "free_energy_weighted": float(-KT * np.log(share / (1 - share))) if 0 < share < 1 else None,
        "complementarity": float(np.corrcoef(bias[low], -learned[low])[0, 1]),
        "bias_range_kt": float(np.ptp(bias)),
        "kish": weights.kish,
        "frozen_frames": int(run.frozen.sum()),
    }


def explored(seed: int, ns: float) -> dict[str, Any]:
    """One exploration, and its CPU seconds."""
    torch.set_num_threads(1)
    began, subject = time.process_time(), PeptideSubject(SEQUENCE)
    run = explore(subject, backbone_torsions(subject), ExploreSettings(seed=seed, ns=ns))
    return of_run(run, ns) | {"seed": seed, "cpu_seconds": round(time.process_time() - began, 1)}


def measure(ns: float, seeds: tuple[int, ...] = (0, 1)) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Numbers of the limits, worst over the seeds, and what each run says."""
    with ProcessPoolExecutor(len(seeds), get_context("spawn")) as pool:
        runs = list(pool.map(explored, seeds, [ns] * len(seeds)))
    learned = [one["free_energy_learned"] for one in runs]
    weighted = [one["free_energy_weighted"] for one in runs]
    known = all(w is not None for w in weighted)
    firsts = [one["first_c7ax_ps"] for one in runs]
    numbers = {
        "first_c7ax_ps": None if None in firsts else max(firsts),
        "free_energy_difference_of_runs": max(learned) - min(learned),
        "free_energy_difference_of_weights": max(abs(w - f) for w, f in zip(weighted, learned, strict=True))
        if known
        else None,
    }
    for name in ("phi_crossings_per_ns_second_ns", "complementarity", "kish"):
        numbers[name] = min(one[name] for one in runs)
    return numbers, runs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ns", type=float, default=5.0)
    parser.add_argument("--keep", type=Path, help="folder of plain trajectories, taken from there if present")
    options = parser.parse_args()
    torch.set_num_threads(1)
    numbers, runs = measure(options.ns)
    plain = torsions(trajectory(300.0, options.ns, 0, options.keep))[:, 0]
    numbers["plain_phi_crossings_per_ns"] = phi_crossings(plain) / options.ns
    how = {"command": "python benchmarks/seeds/alanine_dipeptide.py", "ns": options.ns, "runs": runs}
    return 0 if write_result("alanine_dipeptide", numbers, LIMITS, how) else 1


if __name__ == "__main__":
    sys.exit(main())
