"""Torsion density of alanine from `refine simulate-residue` against plain dynamics and umbrella windows; of glycine
against its mirror image.

    python benchmarks/seeds/simulate_residue.py [--ns 3] [--keep FOLDER] [--workers 5]

All of ACE-X-NME in ff14SB with OBC solvent at 300 K. With ``--keep`` what was sampled before is taken from there.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import openmm
import torch
from limits import write_result
from numpy.typing import NDArray

from refine.constants import BOLTZMANN
from refine.energy.torsion_density import TorsionDensity, write_density
from refine.physics.capped import capped_residue
from refine.physics.dynamics import Dynamics
from refine.sampling.residue import ResidueSettings, Samples, density, histogram, positive_phi, quality, sample
from refine.structure.arrays import dihedral
from refine.structure.reference import RamachandranTable

BINS, FINE = 24, 5
"""Bins of a side in which densities are compared, and points of a side of a bin."""
WINDOWS, STIFFNESS = 24, 20.0
"""Of the umbrella: windows about phi, and kcal/mol/rad² (thermal width 10°)."""
KCAL = BOLTZMANN * 300.0
LIMITS = {
    "kl_of_another_run": ("<=", 0.05),
    "kl_of_plain_dynamics_phi_below_0": ("<=", 0.05),
    "positive_phi_of_another_run_off_kcal": ("<=", 0.3),
    "positive_phi_off_umbrella_kcal": ("<=", 0.3),
    "glycine_asymmetry_rms_kt": ("<=", 0.3),
    "crossings": (">=", 10.0),
}

Array = NDArray[np.float64]


def kept(path: Path, make: Callable[[], Samples]) -> Samples:
    """Samples of a file, or made and kept there."""
    if not path.is_file():
        made = make()
        np.savez(path, q=made.q, bias=made.bias)
    with np.load(path, allow_pickle=False) as file:
        return Samples(file["q"], file["bias"])


def biased(name: str, seed: int, ns: float) -> Samples:
    """What ``refine simulate-residue`` averages."""
    return sample(capped_residue(name), ResidueSettings(ns=ns, seed=seed))


def plain(ns: float, seed: int, centre: float | None = None) -> Samples:
    """Dynamics of alanine from the extended state without a bias, or in the umbrella window about ``centre`` (radians);
    the first tenth is left out. ``bias`` is 0.
    """
    capped = capped_residue("ALA")
    if centre is not None:
        force = openmm.CustomTorsionForce("0.5*k*d^2; d=min(a,6.283185307179586-a); a=abs(theta-centre)")
        force.addGlobalParameter("k", 4.184 * STIFFNESS)
        force.addGlobalParameter("centre", centre)
        force.addTorsion(*capped.phi)
        capped.system.addForce(force)
    dynamics = Dynamics(capped.system, seed=seed)
    phase, q = dynamics.begin(capped.positions), []
    for k in range(10):
        block = dynamics.run(phase, k, round(ns * 25_000), 50)
        phase, x = block.end, block.frames.astype(np.float64)
        q.append(np.stack([dihedral(*(x[:, p] for p in atoms)) for atoms in (capped.phi, capped.psi)], 1))
    values = np.concatenate(q[1:])
    return Samples(values, np.zeros(len(values)))


def centres() -> Array:
    """(WINDOWS,) radians."""
    return (np.arange(WINDOWS) + 0.5) * 2 * np.pi / WINDOWS - np.pi


def umbrella(windows: Sequence[Samples]) -> Samples:
    """Samples of all windows with the weights of MBAR (Shirts & Chodera 2008) as if from a bias."""
    q = np.stack([one.q for one in windows])
    away = q[..., 0, None] - centres()
    away -= 2 * np.pi * np.rint(away / (2 * np.pi))
    boltzmann = np.exp(-0.5 * STIFFNESS * away.reshape(-1, WINDOWS) ** 2 / KCAL)
    partition = np.ones(WINDOWS)
    for _ in range(20_000):
        weight = 1.0 / (boltzmann / partition).sum(1)
        new = weight @ boltzmann
        new /= new[0]
        if np.abs(np.log(new / partition)).max() < 1e-9:
            break
        partition = new
    return Samples(q.reshape(-1, 2), np.log(1.0 / (boltzmann / partition).sum(1)))


def in_bins(energy: NDArray[np.float32]) -> Array:
    """(BINS, BINS) shares of a density of ``sampling.residue``."""
    nothing = np.zeros(1, np.float32)
    table = RamachandranTable(("",), -energy[None], nothing, nothing)
    angle = (torch.arange(BINS * FINE, dtype=torch.float64) + 0.5) * (2 * torch.pi / (BINS * FINE)) - torch.pi
    fine = table.interpolate(angle[:, None], angle[None], torch.zeros((), dtype=torch.int64)).exp().numpy()
    shares = fine.reshape(BINS, FINE, BINS, FINE).sum((1, 3))
    return np.asarray(shares / shares.sum())


def divergence(p: Array, q: Array) -> float:
    """Kullback–Leibler divergence of q from p, nats; both are normalised first."""
    p, q = p / p.sum(), q / q.sum()
    seen = p > 0
    return float((p[seen] * np.log(p[seen] / q[seen])).sum())


def asymmetry(energy: NDArray[np.float32]) -> float:
    """rms of F(phi, psi) − F(−phi, −psi) in kT, weighted by the density: rare states count as they occur."""
    mirror = np.roll(energy[::-1, ::-1], 1, (0, 1))
    p = np.exp(-energy.astype(np.float64)) + np.exp(-mirror.astype(np.float64))
    return float(np.sqrt((p * (energy - mirror) ** 2).sum() / p.sum()))


def compared(one: Samples, other: Samples, free: Samples, reference: Samples | None, width: float) -> dict[str, Any]:
    """Numbers of the limits that concern alanine, of a run, another, plain dynamics and the umbrella."""
    shares = in_bins(density(one, width))
    half = BINS // 2
    found: dict[str, Any] = {
        "kl_of_another_run": divergence(histogram(other, BINS), shares),
        "kl_of_plain_dynamics_phi_below_0": divergence(histogram(free, BINS)[:half], shares[:half]),
        "crossings": quality(one)["crossings"],
        "positive_phi_kt": [positive_phi(one), positive_phi(other)],
        "plain_phi_above_0": float((free.q[:, 0] > 0).mean()),
    }
    mine, theirs = positive_phi(one), positive_phi(other)
    known = None if reference is None else positive_phi(reference)
    found["positive_phi_umbrella_kt"] = known
    for name, value in (("of_another_run_off", theirs), ("off_umbrella", known)):
        found[f"positive_phi_{name}_kcal"] = None if value is None or mine is None else KCAL * abs(mine - value)
    return found


def measure(
    ns: float, keep: Path, workers: int, *, with_umbrella: bool = True
) -> tuple[dict[str, Any], TorsionDensity]:
    """All numbers, and the density of alanine (seed 0) with what it says of itself."""
    keep.mkdir(parents=True, exist_ok=True)
    work: dict[str, tuple[Any, ...]] = {
        "ala_0": (biased, "ALA", 0, ns), "ala_1": (biased, "ALA", 1, ns),
        "plain": (plain, ns, 7), "gly_0": (biased, "GLY", 0, ns),
    }  # fmt: skip
    windows = [f"window_{k}" for k in range(WINDOWS)] if with_umbrella else []
    work |= {name: (plain, ns / WINDOWS, 100 + k, centres()[k]) for k, name in enumerate(windows)}
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        jobs = {name: pool.submit(one_of, keep / f"{name}_{ns:g}ns.npz", *call) for name, call in work.items()}
        found = {name: job.result() for name, job in jobs.items()}
    settings = ResidueSettings(ns=ns)
    reference = umbrella([found[name] for name in windows]) if windows else None
    numbers = compared(found["ala_0"], found["ala_1"], found["plain"], reference, settings.width)
    glycine = density(found["gly_0"], settings.width)
    numbers |= {"glycine_asymmetry_rms_kt": asymmetry(glycine), "glycine_positive_phi_kt": positive_phi(found["gly_0"])}
    capped = capped_residue("ALA")
    facts = {
        "force_field": capped.force_field, "peptide": "ACE-ALA-NME", "settings": dataclasses.asdict(settings),
        **quality(found["ala_0"]), "openmm": openmm.version.short_version,
    }  # fmt: skip
    return numbers, TorsionDensity("ALA", density(found["ala_0"], settings.width), facts)


def one_of(path: Path, make: Callable[..., Samples], *arguments: Any) -> Samples:
    """One simulation of ``measure``, on one thread."""
    torch.set_num_threads(1)
    return kept(path, lambda: make(*arguments))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ns", type=float, default=3.0, help="of each averaged part")
    parser.add_argument("--keep", type=Path, help="folder of what is sampled, taken from there if present")
    parser.add_argument("--workers", type=int, default=5)
    parser.add_argument("--umbrella", action=argparse.BooleanOptionalAction, default=True, help="half of the cost")
    parser.add_argument("--density", type=Path, help="file for alanine's density")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        keep = options.keep or Path(temporary)
        numbers, made = measure(options.ns, keep, options.workers, with_umbrella=options.umbrella)
    if options.density:
        write_density(made, options.density)
    how: dict[str, Any] = {
        "command": f"python benchmarks/seeds/simulate_residue.py --{'' if options.umbrella else 'no-'}umbrella"
    }
    how |= {"ns": options.ns, "cpu_seconds_are_of": "this command, not of what was kept", "alanine": dict(made.facts)}
    return 0 if write_result("simulate_residue", numbers, LIMITS, how) else 1


if __name__ == "__main__":
    sys.exit(main())
