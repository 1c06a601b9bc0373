"""Settings of the propagation."""

from __future__ import annotations

import dataclasses

from refine.constants import BOLTZMANN
from refine.errors import InputError
from refine.settings_checks import above, at_least, at_most, one_of, within

METHODS = ("preconditioned", "overdamped", "baoab")
SCHEDULES = ("constant", "annealing", "cycles")
SPACES = ("cartesian", "torsions")

NOISE = 0.0002
"""Å^2, variance of the noise on each coordinate and step."""
STEPS, FURTHER = 12, 18
"""Steps of a way, and how many more it makes once it has settled."""


@dataclasses.dataclass(frozen=True)
class PropagationSettings:
    """How the ensemble is generated.

    Attributes:
        method: ``preconditioned`` (equation 3 with the learned drift in the unit of each residue's own density),
            ``overdamped`` (equation 3 as it stands) or ``baoab`` (inertial Langevin at ``temperature``).
        space: what a step moves: ``cartesian`` the atoms, or ``torsions`` phi, psi and omega, which leaves lengths and
            angles of the backbone as they are (``propagation.torsions``; not for ``baoab``).
        replicas: structures propagated together.
        steps: inner steps; 0 gives back the start.
        further: most steps after these, where the last of ``steps`` moved the CA atoms by less than ``settled`` (Å,
            mean over replicas and mobile residues), and as long as steps do not grow: the way then converges, and its
            end is nearer to the native than where it would be broken off; a way of long steps has left what the
            networks know, and ends (benchmarks/LOG.md, 71).
            None: ``FURTHER`` for the default number of steps and none for another. For ``preconditioned`` alone.
        step_size: alpha_a of equation (3), Å^2 mol/kcal: displacement per force.
            ``preconditioned`` uses it for the static terms.
        fraction: for ``preconditioned``: part of the way to each residue's most likely place that a step makes.
        noise: alpha_b of equation (3), Å^2: variance of the noise on each coordinate and step. At equilibrium at
            temperature T it is 2 alpha_a kT; it is free here. By default none for one replica, which arrives where six
            noisy ones do (benchmarks/LOG.md, 33), and ``NOISE`` for several, which were copies of each other without.
        max_step: Å, limit on the drift of any atom in one step; the residue's drift is shortened as a whole.
        sweeps: sweeps of the projection that restores bonded geometry after each overdamped step; 0 leaves that to the
            bonded terms, which then need a ``step_size`` of 0.001 or less.
        refresh_every: inner steps between evaluations of what the learned terms hold fixed.
        schedule: ``constant``, ``annealing`` (one cooling) or ``cycles`` of noise and temperature.
        cold: factor on noise and temperature at the end of each cooling; cycles: number of coolings.
        temperature: K, for ``baoab``; time_step: ps; friction: 1/ps.
        keep_every: inner steps between snapshots.
    """

    method: str = "preconditioned"
    replicas: int = 1
    steps: int = STEPS
    further: int | None = None
    settled: float = 0.03
    step_size: float = 0.01
    fraction: float = 0.7
    noise: float | None = None
    max_step: float = 0.3
    sweeps: int = 4
    refresh_every: int = 1
    schedule: str = "annealing"
    cold: float = 0.0
    cycles: int = 3
    temperature: float = 300.0
    time_step: float = 0.001
    friction: float = 5.0
    keep_every: int = 1
    space: str = "cartesian"

    def __post_init__(self) -> None:
        one_of("propagation.method", self.method, METHODS)
        one_of("propagation.schedule", self.schedule, SCHEDULES)
        one_of("propagation.space", self.space, SPACES)
        if self.space == "torsions" and self.method == "baoab":
            raise InputError(
                'setting propagation.space = "torsions" is not for propagation.method = "baoab"',
                remedy="Use the method preconditioned or overdamped",
            )
        for name in ("steps", "settled", "sweeps", "step_size", "cold", "temperature", "friction"):
            at_least(f"propagation.{name}", getattr(self, name), 0)
        at_least("propagation.noise", self.noise_variance, 0)
        at_least("propagation.further", self.further_steps, 0)
        at_most("propagation.further", self.further_steps, 1_000_000)
        for name in ("replicas", "refresh_every", "cycles", "keep_every"):
            at_least(f"propagation.{name}", getattr(self, name), 1)
        for name, most in (("replicas", 1000), ("steps", 1_000_000), ("sweeps", 1000), ("cycles", 1_000_000)):
            at_most(f"propagation.{name}", getattr(self, name), most)
        for name in ("fraction", "max_step", "time_step"):
            above(f"propagation.{name}", getattr(self, name), 0)
        within("propagation.fraction", self.fraction, 0, 1)

    @property
    def noise_variance(self) -> float:
        """alpha_b, Å^2: ``noise``, or its default for this number of replicas."""
        if self.noise is not None:
            return self.noise
        return NOISE if self.replicas > 1 else 0.0

    @property
    def further_steps(self) -> int:
        """``further``, or its default for this number and method of steps; 0 where none are asked for."""
        if self.method != "preconditioned" or self.steps == 0:
            return 0
        return self.further if self.further is not None else FURTHER if self.steps == STEPS else 0

    def at_temperature(self, kelvin: float) -> PropagationSettings:
        """The same at a temperature: ``baoab`` at that, ``overdamped`` with the noise of its equilibrium, 2 alpha_a kT;
        ``preconditioned`` has no sampling law and stays as it is.
        """
        if self.method == "overdamped":
            return dataclasses.replace(self, noise=2.0 * self.step_size * BOLTZMANN * kelvin)
        return dataclasses.replace(self, temperature=kelvin) if self.method == "baoab" else self
