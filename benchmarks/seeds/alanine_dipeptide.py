"""Free energy of alanine dipeptide, learned while it is sampled (leader and chaser), against plain dynamics.

    python benchmarks/seeds/alanine_dipeptide.py [--ns 5] [--keep FOLDER]

Two independent explorations over phi and psi at 300 K, ff99SB-ILDN with OBC solvent, and 5 ns of plain dynamics. With
``--keep`` an interrupted measurement goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
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
from refine.explore.run import explore_file
from refine.sampling.reweight import weights_of
from refine.sampling.settings import FRAME_PS, ExploreSettings

KT = BOLTZMANN * 300.0
PLAIN_NS = 5.0
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
    """Whether phi, in degrees, lies on the side of C7ax."""
    return (phi > 0) & (phi < 140)


def right_above_left(share: float) -> float | None:
    """Free energy (kcal/mol) of the side of C7ax above the other; None where one of them was never seen."""
    return float(-KT * np.log(share / (1 - share))) if 0 < share < 1 else None


def of_run(folder: Path, ns: float) -> dict[str, Any]:
    """What one exploration says, from the files of its folder."""
    with np.load(folder / "trajectory.npz") as arrays:
        phi, bias_of_frames, frozen = arrays["q"][:, 0], arrays["bias"], arrays["frozen"]
    with np.load(folder / "pmf.npz") as arrays:
        learned, bias, axis = arrays["grid1_free_energy"] / KT, arrays["grid1_bias"] / KT, arrays["grid1_axis1"]
    inside = np.flatnonzero((phi > np.radians(40)) & (phi < np.radians(90)))
    second = phi[round(1000 / FRAME_PS) : round(2000 / FRAME_PS)] if ns >= 2 else phi[len(phi) // 2 :]
    grid, p = right(axis), np.nan_to_num(np.exp(-learned))
    weights = weights_of(bias_of_frames[frozen])
    share = weights.values[right(np.degrees(phi[frozen]))].sum()
    low = np.nan_to_num(learned, nan=np.inf) < 8
    return {
        "first_c7ax_ps": float(inside[0] * FRAME_PS) if len(inside) else None,
        "phi_crossings": phi_crossings(phi),
        "phi_crossings_per_ns_second_ns": phi_crossings(second) / (len(second) * FRAME_PS / 1000),
        "free_energy_learned": right_above_left(p[grid].sum() / p.sum()),
        "free_energy_weighted": right_above_left(share),
        "complementarity": float(np.corrcoef(bias[low], -learned[low])[0, 1]),
        "bias_range_kt": float(np.ptp(bias)),
        "kish": weights.kish,
        "frozen_frames": int(frozen.sum()),
    }


def explored(seed: int, ns: float, keep: Path) -> dict[str, Any]:
    """One exploration by the function of ``refine explore``, and its CPU seconds (of what was not there already)."""
    torch.set_num_threads(1)
    began, out = time.process_time(), keep / f"explored_{ns:g}ns_{seed}"
    result = explore_file(None, out, ExploreSettings(seed=seed, ns=ns), sequence=SEQUENCE, resume=True)
    seconds = round(time.process_time() - began, 1)
    states = [(m["population"], m["population_error"], m["variables"]) for m in result.record["models"]]
    return of_run(out, ns) | {"seed": seed, "cpu_seconds": seconds, "states": states, "verdict": result.verdict}


def measure(ns: float, keep: Path, seeds: tuple[int, ...] = (0, 1)) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Numbers of the limits, worst over the seeds, and what each run says."""
    with ProcessPoolExecutor(len(seeds), get_context("spawn")) as pool:
        runs = list(pool.map(explored, seeds, [ns] * len(seeds), [keep] * len(seeds)))
    learned = [one["free_energy_learned"] for one in runs]
    weighted = [one["free_energy_weighted"] for one in runs]
    firsts = [one["first_c7ax_ps"] for one in runs]
    known = None not in learned
    numbers = {
        "first_c7ax_ps": None if None in firsts else max(firsts),
        "free_energy_difference_of_runs": max(learned) - min(learned) if known else None,
        "free_energy_difference_of_weights": max(abs(w - f) for w, f in zip(weighted, learned, strict=True))
        if known and None not in weighted
        else None,
    }
    for name in ("phi_crossings_per_ns_second_ns", "complementarity", "kish"):
        numbers[name] = min(one[name] for one in runs)
    return numbers, runs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ns", type=float, default=5.0)
    parser.add_argument("--keep", type=Path, help="folder of what is sampled, taken from there if present")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        numbers, runs = measure(options.ns, options.keep or Path(temporary))
    plain = torsions(trajectory(300.0, PLAIN_NS, 0, options.keep))[:, 0]
    numbers["plain_phi_crossings_per_ns"] = phi_crossings(plain) / PLAIN_NS
    how = {"command": "python benchmarks/seeds/alanine_dipeptide.py", "ns": options.ns, "runs": runs}
    return 0 if write_result("alanine_dipeptide", numbers, LIMITS, how) else 1


if __name__ == "__main__":
    sys.exit(main())
