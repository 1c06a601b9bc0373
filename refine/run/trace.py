"""trace.csv: energies and temperature of every step of the propagation."""

from __future__ import annotations

from collections.abc import Callable

from refine.constants import BOLTZMANN
from refine.energy.free_energy import EnergyTable
from refine.files import csv_text
from refine.propagation.schedules import Point, schedule_of
from refine.propagation.settings import PropagationSettings

TRACE_FILE = "trace.csv"


class Trace:
    """Gathers one row a step.

    Args:
        settings: of the propagation that is traced.
    """

    def __init__(self, settings: PropagationSettings) -> None:
        self._point: Callable[[int], Point] = schedule_of(settings)
        self._inertial = settings.method == "baoab"
        self._rows: list[list[object]] = []
        self._header: list[str] = []

    def add(self, step: int, table: EnergyTable) -> None:
        """Note the energies (R replicas) after ``step``, counted from 1."""
        means = {f"term_{name}": float(value.mean()) for name, value in table.per_term.items()}
        energies = table.total.tolist()
        self._header = ["step", "temperature", *(f"energy_{r + 1}" for r in range(len(energies))), *means]
        self._rows.append([step, self.temperature(step - 1), *energies, *means.values()])

    def temperature(self, step: int) -> float | None:
        """K at ``step`` (from 0): the thermostat's; without inertia alpha_b / (2 alpha_a k_B), of which the noise is
        that of equilibrium.

        For ``preconditioned`` that holds for the static terms alone. None where nothing is random.
        """
        point = self._point(step)
        if self._inertial:
            return point.temperature
        if point.alpha_a <= 0:
            return None
        return point.alpha_b / (2 * point.alpha_a * BOLTZMANN)

    def text(self) -> str:
        """The file: ``step``, ``temperature`` (K), ``energy_1`` … of each replica and each ``term_`` averaged over
        them, kcal/mol.
        """
        return csv_text(self._header or ["step", "temperature"], self._rows)
