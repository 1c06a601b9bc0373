"""The density of phi and psi of one residue between caps, from a simulation of it (``refine simulate-residue``).

Well-tempered metadynamics (Barducci, Bussi & Parrinello 2008) on a grid learns a bias; then it stands still, and what
is sampled under it gets weights exp(+V/kT). Only that second part is averaged.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from refine.constants import BOLTZMANN
from refine.energy.torsion_density import TorsionDensity
from refine.errors import EngineError
from refine.physics.bias import POINTS, Axis, GridBias
from refine.physics.capped import CappedResidue, capped_residue
from refine.physics.dynamics import STEP_FS, Dynamics, Phase
from refine.sampling.reweight import weights_of
from refine.settings_checks import at_least, at_most, within
from refine.structure.arrays import dihedral

BLOCK_STEPS, FRAME_STEPS = 1250, 25
BLOCK_NS = BLOCK_STEPS * STEP_FS * 1e-6
NODES = 60
"""Of a side of the density."""
FLOOR = 1e-5
"""Share of a uniform density in the one that is told, so that what was never seen has an energy (11.5 kT)."""
LEAST_CROSSINGS = 10
"""Times that phi must have changed sides under the bias that stands still, for both to be weighed."""
_KERNEL = 0.35
"""Radians, standard deviation of a hill."""

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class ResidueSettings:
    """How a residue is simulated.

    Attributes:
        ns: under the bias that stands still, nanoseconds; learning: before that, as a part of it.
        temperature: K; friction: 1/ps; seed: of velocities and noise.
        hill: kT of a hill, one every 0.1 ps; gamma: by how much the biased torsions are hotter.
        width: degrees by which the density is smoothed.
    """

    ns: float = 3.0
    learning: float = 0.15
    temperature: float = 300.0
    friction: float = 1.0
    seed: int = 0
    hill: float = 0.05
    gamma: float = 10.0
    width: float = 6.0

    def __post_init__(self) -> None:
        within("ns", self.ns, 0.1, 1000.0)
        within("learning", self.learning, 0.05, 1.0)
        within("temperature", self.temperature, 200.0, 600.0)
        within("friction", self.friction, 0.1, 100.0)
        within("hill", self.hill, 1e-3, 1.0)
        within("gamma", self.gamma, 2.0, 100.0)
        within("width", self.width, 1.0, 20.0)
        at_least("seed", self.seed, 0)
        at_most("seed", self.seed, 2**63 - 1)


@dataclasses.dataclass(frozen=True)
class Samples:
    """What the bias that stood still gave: q (F, 2) phi and psi in radians; bias (F,) kT."""

    q: Array
    bias: Array


def simulate_residue(
    name: str,
    settings: ResidueSettings | None = None,
    parameters: Sequence[Path] = (),
    tell: Callable[[int, int], None] | None = None,
) -> TorsionDensity:
    """The torsion density of a residue.

    Args:
        name, parameters: as ``capped_residue`` takes them; tell: given blocks that are done, and all.

    Raises:
        InputError: the force field does not have the residue.
        EngineError: the dynamics failed, or saw too little for a density.
    """
    settings = ResidueSettings() if settings is None else settings
    began, capped = time.process_time(), capped_residue(name, parameters)
    samples = sample(capped, settings, tell)
    facts = {
        "force_field": capped.force_field,
        "peptide": f"ACE-{capped.name}-NME",
        "settings": dataclasses.asdict(settings),
        **quality(samples),
        "openmm": openmm.version.short_version,
        "cpu_seconds": round(time.process_time() - began, 1),
    }
    return TorsionDensity(capped.name, density(samples, settings.width), facts)


def sample(capped: CappedResidue, settings: ResidueSettings, tell: Callable[[int, int], None] | None = None) -> Samples:
    """Learn a bias, then sample under it; raises EngineError where the dynamics fails."""
    kt = BOLTZMANN * settings.temperature
    axes = (Axis(capped.phi), Axis(capped.psi))
    grid, bias = GridBias(axes), np.zeros((POINTS, POINTS))
    capped.system.addForce(grid.force)
    dynamics = Dynamics(capped.system, temperature=settings.temperature, friction=settings.friction, seed=settings.seed)
    phase = dynamics.begin(capped.positions)
    blocks = round(settings.ns / BLOCK_NS)
    learning = round(settings.learning * blocks)
    found: list[tuple[Array, Array]] = []
    for k in range(learning + blocks):
        q, energy, phase = _block(dynamics, capped, phase, k)
        if k < learning:
            bias += hills(q, bias, settings)
            grid.set(kt * bias)
        else:
            found.append((q, energy / kt))
        if tell is not None:
            tell(k + 1, learning + blocks)
    q, energy = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Samples(q, energy)


def _block(dynamics: Dynamics, capped: CappedResidue, phase: Phase, number: int) -> tuple[Array, Array, Phase]:
    block = dynamics.run(phase, number, BLOCK_STEPS, FRAME_STEPS)
    x = block.frames.astype(np.float64)
    q = np.stack([dihedral(*(x[:, p] for p in atoms)) for atoms in (capped.phi, capped.psi)], 1)
    return q, block.bias, block.end


def hills(q: Array, bias: Array, settings: ResidueSettings) -> Array:
    """What frames (F, 2) add to a bias (POINTS, POINTS) in kT: hills that are lower the more lies there already."""
    points = Axis((0, 1, 2, 3)).points()
    cells = tuple(Axis((0, 1, 2, 3)).cell(angle) for angle in q.T)
    height = settings.hill * np.exp(-bias[cells] / (settings.gamma - 1))
    over = [np.exp((np.cos(points[None] - angle[:, None]) - 1) / _KERNEL**2) for angle in q.T]
    return np.asarray(np.einsum("f,fi,fj->ij", height, *over))


def density(samples: Samples, width: float) -> NDArray[np.float32]:
    """−ln of the smoothed density relative to a uniform one, (NODES, NODES) kT."""
    p = histogram(samples, NODES, about_nodes=True)
    p = gaussian_filter(p, width / (360 / NODES), mode="wrap") * NODES**2
    p = (1 - FLOOR) * p / p.mean() + FLOOR
    return (-np.log(p)).astype(np.float32)


def histogram(samples: Samples, bins: int, *, about_nodes: bool = False) -> Array:
    """(bins, bins) shares of the weight; bins begin at −π, or have their middle there."""
    step = 2 * np.pi / bins
    shift = 0.5 * step if about_nodes else 0.0
    i, j = (np.floor((angle + np.pi + shift) / step).astype(np.int64) % bins for angle in samples.q.T)
    p = np.zeros((bins, bins))
    np.add.at(p, (i, j), weights_of(samples.bias).values)
    return p


def quality(samples: Samples) -> dict[str, Any]:
    """What the samples say of their own worth.

    ``positive_phi``: free energy in kT of phi above 0 over that below, of all and of both halves; ``kish``: samples
    that the weights are worth; ``crossings`` of phi over 0 (not over 180°).

    Raises:
        EngineError: too few for a density.
    """
    weights, phi = weights_of(samples.bias), samples.q[:, 0]
    side = np.where((phi > np.radians(20)) & (phi < np.radians(120)), 1, np.where(phi < -np.radians(20), -1, 0))
    side = side[side != 0]
    crossings, half = int((side[1:] != side[:-1]).sum()), len(phi) // 2
    if weights.refused:
        raise EngineError(
            f"the weights of the simulation are worth {weights.kish:.0f} samples", remedy="Simulate longer (--ns)"
        )
    parts = [Samples(samples.q[part], samples.bias[part]) for part in (slice(half), slice(half, None))]
    return {
        "positive_phi": positive_phi(samples),
        "positive_phi_of_halves": [positive_phi(part) for part in parts],
        "kish": weights.kish,
        "crossings": crossings,
        "sure": crossings >= LEAST_CROSSINGS,
    }


def summary(density: TorsionDensity) -> str:
    """What a user is to know of a density that was made, as lines."""
    facts = density.facts
    lines = [f"{facts['peptide']} in {facts['force_field']}, {facts['settings']['temperature']:g} K"]
    value, halves = facts["positive_phi"], facts["positive_phi_of_halves"]
    if value is None:
        lines.append("phi above 0 was never seen: it has the least density, whatever its true one is")
    else:
        told = " and ".join("none seen" if half is None else f"{half:.1f}" for half in halves)
        lines.append(f"phi above 0 is {value:.1f} kT above phi below 0 ({told} in the halves)")
    if value is not None and not facts["sure"]:
        lines.append(f"phi changed sides only {facts['crossings']} times: that difference is a guess; simulate longer")
    return "".join(f"{line}\n" for line in lines)


def positive_phi(samples: Samples) -> float | None:
    """Free energy of phi > 0 relative to phi < 0, kT; None where one was never seen."""
    share = float(weights_of(samples.bias).values[samples.q[:, 0] > 0].sum())
    return float(np.log((1 - share) / share)) if 0 < share < 1 else None
