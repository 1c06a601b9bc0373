"""The trace of a propagation: its steps, energies and temperatures."""

from __future__ import annotations

import csv
import io

import pytest
import torch

from refine.constants import BOLTZMANN
from refine.energy.free_energy import EnergyTable
from refine.propagation.settings import PropagationSettings
from refine.run.trace import Trace


def test_rows_are_steps_with_replicas_and_mean_terms() -> None:
    settings = PropagationSettings(steps=3, step_size=0.01, noise=2 * 0.01 * BOLTZMANN * 300, cold=0.5)
    trace = Trace(settings)
    for step in (1, 2, 3):
        total = torch.tensor([1.0, 3.0]) * step
        trace.add(step, EnergyTable(total, {"prior": total}, {}))
    rows = list(csv.DictReader(io.StringIO(trace.text())))
    assert [row["energy_2"] for row in rows] == ["3", "6", "9"] and [row["term_prior"] for row in rows] == [
        "2",
        "4",
        "6",
    ]
    assert [float(row["temperature"]) for row in rows] == pytest.approx([300, 225, 150], rel=1e-4)


def test_the_thermostat_counts_where_there_is_one_and_without_a_step_size_there_is_none() -> None:
    assert Trace(PropagationSettings(method="baoab", temperature=310.0, schedule="constant")).temperature(0) == 310.0
    assert Trace(PropagationSettings(step_size=0.0)).temperature(0) is None
    assert Trace(PropagationSettings(steps=0)).text() == "step,temperature\n"
