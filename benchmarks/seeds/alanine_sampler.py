"""A sampler of alanine dipeptide learned from OpenMM's energies and forces alone (reverse KL), in internal coordinates.

    python benchmarks/seeds/alanine_sampler.py [--seeds 0,1]

ff96 with OBC solvent at 330 K, as in the paper, against plain dynamics of the same. No frame of the dynamics is seen in
training.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from limits import write_result
from numpy.typing import NDArray
from plain_dynamics import SEQUENCE, torsions

from refine.files import json_text, write_text
from refine.physics.dynamics import Dynamics, peptide_system
from refine.physics.peptide import peptide
from refine.sampling.peptide_sampler import SETTINGS, TEMPERING, Learned, PeptideLaw, learn

KELVIN, FORCE_FIELD = 330.0, ("amber96.xml", "amber96_obc.xml")
REFERENCE_NS = 2.0
FINAL_UPDATES = 400
SAMPLES = 2000
LIMITS = {
    "heavy_bond_error": ("<=", 0.02),
    "hydrogen_bond_error": ("<=", 0.03),
    "radius_of_gyration_error": ("<=", 0.05),
    "share_alpha": (">=", 0.03),
    "share_beta": (">=", 0.03),
    "decode_encode_rms": ("<=", 0.1),
    "circular_correlation": (">=", 0.7),
    "turned_most_are_phi_and_psi": ("==", 1),
}


def reference(ns: float, keep: Path | None = None) -> NDArray[np.float32]:
    """Frames (F, 22, 3) Å of plain dynamics, one in 0.2 ps, the first 100 ps left out; kept in the folder ``keep``."""
    path = None if keep is None else keep / f"alanine_ff96_{ns:g}ns.npy"
    if path is not None and path.is_file():
        return np.asarray(np.load(path))
    built = peptide(SEQUENCE)
    dynamics = Dynamics(peptide_system(built.topology, FORCE_FIELD), temperature=KELVIN, seed=0)
    phase, frames = dynamics.begin(built.positions), []
    for k in range(round(10 * ns)):
        block = dynamics.run(phase, k, 25_000, 50)
        phase = block.end
        frames.append(block.frames)
    whole = np.concatenate(frames[1:])
    if path is not None:
        np.save(path, whole)
    return whole


def shares(phi_psi: NDArray[np.floating]) -> dict[str, float]:
    """Parts in the basins alpha and beta, and with phi above 0, of (F, 2) radians."""
    phi, psi = np.degrees(np.angle(np.exp(1j * phi_psi))).T
    alpha = (phi < 0) & (psi > -120) & (psi < 50)
    return {"alpha": float(alpha.mean()), "beta": float(((phi < 0) & ~alpha).mean()), "left": float((phi >= 0).mean())}


def circular_correlation(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Of two angles (F,) in radians (Jammalamadaka & SenGupta 2001)."""
    first, second = (np.sin(v - np.angle(np.exp(1j * v).mean())) for v in (a, b))
    return float(abs((first * second).sum()) / np.sqrt((first**2).sum() * (second**2).sum()))


def _bonds(x: NDArray[np.floating], law: PeptideLaw) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Mean length (B,) Å of every bond, and whether it is one to hydrogen."""
    pairs = [(a.index, b.index, "H" in (a.element.symbol, b.element.symbol)) for a, b in law.topology.bonds()]
    means = [np.linalg.norm(x[:, a].astype(np.float64) - x[:, b], axis=-1).mean() for a, b, _ in pairs]
    return np.array(means), np.array([light for _, _, light in pairs])


def _gyration(x: NDArray[np.floating]) -> float:
    centred = x.astype(np.float64) - x.mean(1, keepdims=True)
    return float(np.sqrt((centred**2).sum(-1).mean(-1)).mean())


def judged_against(learned: Learned, frames: NDArray[np.float32]) -> dict[str, Any]:
    """Numbers of a sampler beside those of the dynamics."""
    law, model = learned.law, learned.model
    x, z = learned.sample(SAMPLES, 100)
    positions = law.positions(x).numpy()
    own, light = _bonds(positions, law)
    error = np.abs(own - _bonds(frames, law)[0])
    with torch.no_grad():
        decoded = model.decoded(z)
        again = model.encoded(decoded)
    columns = {r.kind: k for k, r in enumerate(law.rotations) if r.kind in ("phi", "psi")}
    turned = learned.turned()
    correlations = {
        kind: circular_correlation(*(law.torsions(v)[:, k].numpy() for v in (x, decoded)))
        for kind, k in columns.items()
    }
    sampled, true = shares(torsions(positions)), shares(torsions(frames))
    return {
        "heavy_bond_error": float(error[~light].max()),
        "hydrogen_bond_error": float(error[light].max()),
        "radius_of_gyration_error": abs(_gyration(positions) / _gyration(frames) - 1),
        **{f"share_{name}": value for name, value in sampled.items()},
        **{f"share_{name}_dynamics": value for name, value in true.items()},
        "decode_encode_rms": float((again - z).square().mean().sqrt()),
        "circular_correlation": max(correlations.values()),
        **{f"circular_correlation_{kind}": value for kind, value in correlations.items()},
        "turned_most_are_phi_and_psi": int({r.kind for r, _ in turned[:2]} == {"phi", "psi"}),
        "turned": [(r.kind, r.residue, round(s, 3)) for r, s in turned],
        "components": len(learned.model.components),
        "component_shares": learned.model.shares.tolist(),
        "mean_energy_kt": float(law.energy(x).mean()),
        "temperatures": len(learned.history),
        "updates": sum(t.updates for t in learned.history),
        "kish_last": learned.history[-1].kish,
        "divergence_last": learned.history[-1].divergence,
    }


def one(seed: int, frames: NDArray[np.float32], keep: Path | None) -> dict[str, Any]:
    """Numbers of a seed, from the folder ``keep`` where they are there."""
    path = None if keep is None else keep / f"alanine_{seed}.json"
    if path is not None and path.is_file():
        numbers: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return numbers
    torch.set_num_threads(1)
    begun = time.process_time()
    law = PeptideLaw(SEQUENCE, KELVIN, FORCE_FIELD)
    numbers = judged_against(learn(law, seed, final_updates=FINAL_UPDATES), frames)
    numbers["cpu_seconds"] = round(time.process_time() - begun, 1)
    if path is not None:
        write_text(path, json_text(numbers))
    return numbers


def worst(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The numbers of the limits, worst over seeds."""
    return {name: (max if way == "<=" else min)(row[name] for row in rows) for name, (way, _) in LIMITS.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder of what is done, taken from there if present")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    frames = reference(REFERENCE_NS, options.keep)
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        rows = list(pool.map(one, seeds, [frames] * len(seeds), [options.keep] * len(seeds)))
    how = {
        "command": "python benchmarks/seeds/alanine_sampler.py",
        "settings": dataclasses.asdict(SETTINGS),
        "tempering": dataclasses.asdict(TEMPERING),
        "seeds": [{"seed": seed} | row for seed, row in zip(seeds, rows, strict=True)],
    }
    return 0 if write_result("alanine_sampler", worst(rows), LIMITS, how) else 1


if __name__ == "__main__":
    sys.exit(main())
