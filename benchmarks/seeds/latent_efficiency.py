"""Langevin dynamics of a torsion: effective samples for an evaluation of the forces, against Cartesian BAOAB.

    python benchmarks/seeds/latent_efficiency.py [--steps 8000]

A stiff chain of four beads, whose torsion has three wells 12 kJ/mol apart; 256 walkers. Each method has the best of its
time steps and frictions. Units: kJ/mol, nm, ps, g/mol.
"""

from __future__ import annotations

import argparse
import functools
import math
from concurrent.futures import ProcessPoolExecutor

import torch
from limits import write_result
from torch import Tensor

from refine.propagation.latent import LatentSystem, latent_langevin
from refine.propagation.metric import inverse_metric
from refine.propagation.state import normal, seeded
from refine.structure.geometry import angle, dihedral, place_atom

KT = 2.494

BEAD, BOND, BOND_K, ANGLE, ANGLE_K = 14.0, 0.153, 2.0e5, math.radians(112.0), 450.0


def torsion_energy(phi: Tensor) -> Tensor:
    """Three wells, 12 kJ/mol between them, the trans one (pi) lowest."""
    return 6.0 * (1 + torch.cos(3 * phi)) + 1.5 * (1 + torch.cos(phi))


def chain_energy(x: Tensor) -> Tensor:
    """Energy (W,) of stiff chains of four beads (W, 4, 3); its density of the torsion is exp(−torsion_energy/kT)."""
    bonds = 0.5 * BOND_K * ((x[:, 1:] - x[:, :-1]).norm(dim=-1) - BOND).square().sum(-1)
    bends = 0.5 * ANGLE_K * (angle(x[:, :-2], x[:, 1:-1], x[:, 2:]) - ANGLE).square().sum(-1)
    return bonds + bends + torsion_energy(dihedral(*x.unbind(1)))


def correlation_time(series: Tensor) -> float:
    """Integrated autocorrelation time of (T, W) in steps of the series, summed to where it falls below 0.02."""
    centred = series - series.mean()
    length = len(series)
    spectrum = torch.fft.rfft(centred, 2 * length, dim=0)
    raw = torch.fft.irfft(spectrum.abs() ** 2, dim=0)[:length].mean(1) / torch.arange(length, 0, -1)
    rho = raw / raw[0]
    below = torch.nonzero(rho < 0.02)
    return float(1 + 2 * rho[1 : int(below[0]) if len(below) else length].sum())


def torsion_law(phi: Tensor, bins: int = 36) -> float:
    """Total variation of torsions to the exact density."""
    found = torch.histc(phi.remainder(2 * math.pi), bins, 0, 2 * math.pi)
    grid = (torch.arange(bins * 20, dtype=torch.float64) + 0.5) * 2 * math.pi / (bins * 20)
    exact = torch.softmax(-torsion_energy(grid) / KT, 0).view(bins, 20).sum(1)
    return 0.5 * float((found / found.sum() - exact).abs().sum())


def latent_torsions(time_step: float, friction_rate: float, steps: int) -> Tensor:
    """Torsions (steps, W) by dynamics of the torsion alone, its metric held at that of the ideal chain."""
    x = ideal_chain(torch.full((1,), math.pi, dtype=torch.float64))
    masses = torch.full((4,), BEAD, dtype=torch.float64)
    metric = inverse_metric(lambda one: dihedral(*one.unbind(0))[None], x, masses)[0]
    system = LatentSystem(lambda q: torsion_energy(q[:, 0]), metric, KT)
    simulator = latent_langevin(system, time_step, friction_rate / float(metric[0, 0]))
    state, out = simulator.init(even_torsions()[:, None], seeded(5)), []
    for _ in range(steps):
        state = simulator.step(state)
        out.append(state.q[:, 0])
    return torch.stack(out)


def even_torsions() -> Tensor:
    """Where the walkers (256,) of both methods begin: all around."""
    return torch.linspace(0, 2 * math.pi, 257, dtype=torch.float64)[:256]


def ideal_chain(phi: Tensor) -> Tensor:
    """Beads (W, 4, 3) at the torsions (W,)."""
    a = phi.new_tensor((BOND * math.cos(ANGLE), BOND * math.sin(ANGLE), 0.0)).expand(len(phi), 3)
    b, c = torch.zeros_like(a), torch.zeros_like(a)
    c[:, 0] = BOND
    return torch.stack((a, b, c, place_atom(a, b, c, BOND, ANGLE, phi)), 1)


def cartesian_torsions(time_step: float, friction_rate: float, steps: int) -> Tensor:
    """Torsions (steps, W) by BAOAB of the four beads."""
    x, rng = ideal_chain(even_torsions()), seeded(6)
    speed, keep = (KT / BEAD) ** 0.5, math.exp(-friction_rate * time_step)

    def force(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_(True)
        return -torch.autograd.grad(chain_energy(x).sum(), x)[0]

    noise, rng = normal(rng, x)
    v, f, out = speed * noise, force(x), []
    for _ in range(steps):
        v = v + 0.5 * time_step * f / BEAD
        x = x + 0.5 * time_step * v
        noise, rng = normal(rng, x)
        v = keep * v + speed * math.sqrt(1 - keep * keep) * noise
        x = x + 0.5 * time_step * v
        f = force(x)
        v = v + 0.5 * time_step * f / BEAD
        out.append(dihedral(*x.unbind(1)))
    return torch.stack(out)


SETTINGS = (
    ("latent", 0.01, 2.0), ("latent", 0.02, 2.0), ("latent", 0.04, 2.0), ("latent", 0.04, 10.0),
    ("baoab", 0.002, 2.0), ("baoab", 0.004, 2.0), ("baoab", 0.004, 10.0),
)  # fmt: skip
"""Method, time step (ps), friction (1/ps); BAOAB's time step is bounded by the bonds."""


def samples_of(setting: tuple[str, float, float], steps: int) -> tuple[float, float]:
    """Effective samples of the torsion (worse of its cosine and sine) for 1,000 evaluations of the forces, and total
    variation to the exact density.

    The latent dynamics is given its free energy; what it costs to learn one is not counted.
    """
    torch.set_num_threads(1)
    method, time_step, friction = setting
    run = latent_torsions if method == "latent" else cartesian_torsions
    phi = run(time_step, friction, steps)[steps // 10 :]
    tau = max(correlation_time(torch.cos(phi)), correlation_time(torch.sin(phi)))
    return 1000 / tau, torsion_law(phi)


LIMITS = {"tv_torsion_latent": ("<=", 0.08), "efficiency_over_baoab": (">=", 2.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with ProcessPoolExecutor(options.workers) as pool:
        rows = list(pool.map(functools.partial(samples_of, steps=options.steps), SETTINGS))
    numbers: dict[str, float] = {}
    for method in ("latent", "baoab"):
        best, law = max(row for row, setting in zip(rows, SETTINGS, strict=True) if setting[0] == method)
        numbers |= {f"samples_per_1000_{method}": best, f"tv_torsion_{method}": law}
    numbers["efficiency_over_baoab"] = numbers["samples_per_1000_latent"] / numbers["samples_per_1000_baoab"]
    table = [[*setting, *row] for setting, row in zip(SETTINGS, rows, strict=True)]
    write_result("latent_efficiency", numbers, LIMITS, {"steps": options.steps, "walkers": 256, "rows": table})


if __name__ == "__main__":
    main()
