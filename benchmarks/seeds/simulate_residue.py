"""Torsion density of alanine from `refine simulate-residue` against plain dynamics and umbrella windows; of glycine
against its mirror image.

    python benchmarks/seeds/simulate_residue.py [--ns 3] [--keep FOLDER] [--workers 5]

All of ACE-X-NME in ff14SB with OBC solvent at 300 K. With ``--keep`` what was sampled before is taken from there.
The umbrella exchanges its windows (Sugita, Kitao & Okamoto 2000), as psi takes 30 ps and more to change its basin.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import openmm
import torch
from limits import write_result
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation
from scipy.special import logsumexp

from refine.constants import BOLTZMANN
from refine.energy.torsion_density import TorsionDensity, write_density
from refine.physics.capped import CappedResidue, capped_residue
from refine.physics.dynamics import Dynamics
from refine.sampling.residue import ResidueSettings, Samples, density, histogram, positive_phi, quality, sample
from refine.structure.arrays import dihedral
from refine.structure.reference import RamachandranTable

BINS, FINE = 24, 5
"""Bins of a side in which densities are compared, and points of a side of a bin."""
WINDOWS, SPACING, FIRST, STIFFNESS = 28, 10.0, -185.0, 50.0
"""Of the umbrella: windows about phi, degrees between them and of the first, kcal/mol/rad² (thermal width 6°). They go
from basin to basin over 0°; above 90° is nothing (14 kT and more). At 0° the potential of mean force is curved by some
−27: windows softer than that lie on both sides of the top and never on it."""
UMBRELLA_PARTS, EXCHANGE_STEPS, FRAME_STEPS = 12, 100, 50
"""Length of all windows in ``--ns``; steps between exchanges and between frames."""
KCAL = BOLTZMANN * 300.0
LIMITS = {
    "kl_of_another_run": ("<=", 0.05),
    "kl_of_plain_dynamics_phi_below_0": ("<=", 0.05),
    "positive_phi_of_another_run_off_kcal": ("<=", 0.3),
    "positive_phi_off_umbrella_kcal": ("<=", 0.3),
    "umbrella_halves_off_kcal": ("<=", 0.3),
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


def torsions(capped: CappedResidue, x: Array) -> Array:
    """(F, 2) phi and psi in radians of positions (F, n, 3)."""
    return np.stack([dihedral(*(x[:, p] for p in atoms)) for atoms in (capped.phi, capped.psi)], 1)


def plain(ns: float, seed: int) -> Samples:
    """Dynamics of alanine from the extended state without a bias; the first tenth is left out. ``bias`` is 0."""
    capped = capped_residue("ALA")
    dynamics = Dynamics(capped.system, seed=seed)
    phase, q = dynamics.begin(capped.positions), []
    for k in range(10):
        block = dynamics.run(phase, k, round(ns * 25_000), FRAME_STEPS)
        phase = block.end
        q.append(torsions(capped, block.frames.astype(np.float64)))
    values = np.concatenate(q[1:])
    return Samples(values, np.zeros(len(values)))


def centres() -> Array:
    """(WINDOWS,) radians."""
    return np.radians(FIRST + SPACING * np.arange(WINDOWS))


def window_energy(phi: Array) -> Array:
    """(..., WINDOWS) kT of phi in each window."""
    away = phi[..., None] - centres()
    away -= 2 * np.pi * np.rint(away / (2 * np.pi))
    return np.asarray(0.5 * STIFFNESS * away**2 / KCAL)


def turned(capped: CappedResidue, phi: float, psi: float) -> Array:
    """(n, 3) Å: the capped residue with phi and psi (radians), by turning both ends."""
    x = capped.positions.copy()
    atoms = list(capped.topology.atoms())
    for torsion, angle, cap, beside in ((capped.phi, phi, 0, "H"), (capped.psi, psi, 2, "O")):
        end = [a.index for a in atoms if a.residue.index == cap or (a.residue.index == 1 and a.name == beside)]
        fixed, axis = x[torsion[1]], x[torsion[2]] - x[torsion[1]]
        by = angle - dihedral(*x[list(torsion)])
        # Seen along the bond the front end turns against the sense in which the rear one would.
        spin = Rotation.from_rotvec((-by if cap == 0 else by) * axis / np.linalg.norm(axis))
        x[end] = spin.apply(x[end] - fixed) + fixed
    return x


def in_window(capped: CappedResidue, centre: float, seed: int) -> Dynamics:
    """Dynamics with phi held at ``centre`` (radians)."""
    force = openmm.CustomTorsionForce("0.5*k*d^2; d=a-6.283185307179586*floor(a/6.283185307179586+0.5); a=theta-centre")
    force.addGlobalParameter("k", 4.184 * STIFFNESS)
    force.addGlobalParameter("centre", centre)
    force.addTorsion(*capped.phi)
    system = copy.deepcopy(capped.system)
    system.addForce(force)
    return Dynamics(system, seed=seed)


def umbrella(ns: float, seed: int) -> Samples:
    """Alanine in windows about phi that exchange with their neighbours, with the weights of MBAR as if from a bias.

    Every window begins at its own phi, with psi of beta and alpha in turns; the first tenth is left out. ``ns``: of all
    windows together.
    """
    capped, rng = capped_residue("ALA"), np.random.default_rng(seed)
    windows = [in_window(capped, centre, seed + k) for k, centre in enumerate(centres())]
    phases = [
        window.begin(turned(capped, centre, np.radians(-40.0 if k % 2 else 140.0)))
        for k, (window, centre) in enumerate(zip(windows, centres(), strict=True))
    ]
    rounds, found = round(ns * 250_000 / WINDOWS / EXCHANGE_STEPS), []
    for n in range(rounds):
        blocks = [
            window.run(phase, n, EXCHANGE_STEPS, FRAME_STEPS) for window, phase in zip(windows, phases, strict=True)
        ]
        found.append(np.stack([torsions(capped, block.frames.astype(np.float64)) for block in blocks]))
        phases = [blocks[k].end for k in exchanged(found[-1][:, -1, 0], n % 2, rng)]
    q = np.concatenate(found[rounds // 10 :]).reshape(-1, 2)
    return unbiased(q)


def unbiased(q: Array) -> Samples:
    """Frames (F, 2) of the umbrella, as many of every window, with weights."""
    return Samples(q, as_bias(window_energy(q[:, 0])))


def exchanged(phi: Array, parity: int, rng: np.random.Generator) -> list[int]:
    """Replica that each window goes on with: neighbours, from ``parity`` on, exchange by Metropolis.

    Args:
        phi: (WINDOWS,) radians, of the replica in each window.
    """
    energy, order = window_energy(phi), list(range(WINDOWS))
    for i in range(parity, WINDOWS - 1, 2):
        j = i + 1
        if np.log(rng.random()) < energy[i, i] + energy[j, j] - energy[i, j] - energy[j, i]:
            order[i], order[j] = j, i
    return order


def as_bias(energy: Array) -> Array:
    """(N,) kT, whose Boltzmann factor is the weight by MBAR (Shirts & Chodera 2008) of samples with energies (N, W) kT
    in windows of as many samples each.
    """
    windows = energy.shape[1]

    def objective(free: Array) -> tuple[float, Array]:
        mixture = logsumexp(free - energy, axis=1)
        shares = np.exp(free - energy - mixture[:, None]).mean(0)
        return float(mixture.mean() - free.mean()), shares - 1 / windows

    exact = {"maxiter": 5000, "gtol": 1e-9, "ftol": 1e-15}
    free = minimize(objective, np.zeros(windows), jac=True, method="L-BFGS-B", options=exact)
    return np.asarray(-logsumexp(free.x - energy, axis=1))


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
    if reference is not None:
        halves = [positive_phi(unbiased(q)) for q in np.array_split(reference.q, 2)]
        found["umbrella_halves_kt"] = halves
        found["umbrella_halves_off_kcal"] = None if None in halves else KCAL * abs(halves[0] - halves[1])
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
    if with_umbrella:
        work["umbrella"] = (umbrella, UMBRELLA_PARTS * ns, 100)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        jobs = {name: pool.submit(one_of, keep / f"{name}_{ns:g}ns.npz", *call) for name, call in work.items()}
        found = {name: job.result() for name, job in jobs.items()}
    settings = ResidueSettings(ns=ns)
    numbers = compared(found["ala_0"], found["ala_1"], found["plain"], found.get("umbrella"), settings.width)
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
    parser.add_argument("--umbrella", action=argparse.BooleanOptionalAction, default=True, help="most of the cost")
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
