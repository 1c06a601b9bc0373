"""Numbers of an exploration as tables and arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refine.constants import BOLTZMANN
from refine.files import csv_text
from refine.sampling.exploration import Sampled
from refine.sampling.profile import FoundState, Profile
from refine.sampling.settings import FRAME_PS
from refine.sampling.variables import Variable

ENSEMBLE_COLUMNS = ("model", "time_ps", "state", "weight", "bias_kt")
_STATE_COLUMNS = (
    "state", "population", "population_error", "population_learned", "free_energy", "entries", "first_ns", "file"
)  # fmt: skip


def state_facts(
    states: Sequence[FoundState], rank: int, run: Sampled, variables: Sequence[Variable], temperature: float
) -> dict[str, Any]:
    """What run.json says of the state of that rank, from 1; free energy in kcal/mol above that of the first."""
    state = states[rank - 1]
    first, p = (one.learned if math.isnan(one.population) else one.population for one in (states[0], state))
    free_energy = BOLTZMANN * temperature * math.log(first / p) if first > 0 and p > 0 else math.nan
    values = {v.name: round(float(v.shown(run.q[state.frame, k])), 2) for k, v in enumerate(variables)}
    at = ", ".join(f"{name} {value:g}" for name, value in values.items())
    return {
        "name": f"model_{rank}",
        "source": f"state {rank}, {state.frame * FRAME_PS / 1000:.4f} ns, {at}",
        "population": _known(state.population),
        "population_error": _known(state.error),
        "population_learned": state.learned,
        "free_energy": _known(free_energy),
        "entries": state.entries,
        "first_ns": state.first_ns,
        "variables": values,
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def states_csv(states: Sequence[FoundState], models: Sequence[Mapping[str, Any]], variables: Sequence[Variable]) -> str:
    """states.csv: a row a state, best first."""
    rows = [
        [k, m["population"], m["population_error"], m["population_learned"], m["free_energy"], m["entries"],
         m["first_ns"], m.get("pdb", ""), *m["variables"].values()]
        for k, m in enumerate(models, start=1)
    ]  # fmt: skip
    return csv_text((*_STATE_COLUMNS, *(f"{v.name} ({v.unit})" for v in variables)), rows)


def ensemble_rows(
    shown: NDArray[np.int64], run: Sampled, found: Profile, variables: Sequence[Variable]
) -> list[list[object]]:
    """Rows of ensemble.csv: snapshots with weights of sum 1, empty where weights are refused."""
    places = run.kept[shown]
    raw = np.exp(run.bias[places] - run.bias[places].max())
    weights = raw / raw.sum()
    rows: list[list[object]] = []
    for n, place in enumerate(places.tolist()):
        weight = None if found.weights.refused else float(weights[n])
        values = [round(float(v.shown(run.q[place, k])), 2) for k, v in enumerate(variables)]
        time = round(place * FRAME_PS, 1)
        rows.append([n + 1, time, int(found.label[place]) + 1, weight, float(run.bias[place]), *values])
    return rows


def grid_arrays(found: Profile, variables: Sequence[Variable]) -> dict[str, NDArray[Any]]:
    """Arrays of pmf.npz: of grid N, ``gridN_free_energy`` and so on; energies in kcal/mol, axes in degrees or Å."""
    arrays: dict[str, NDArray[Any]] = {"variables": np.array([f"{v.name} ({v.unit})" for v in variables])}
    for n, grid in enumerate(found.grids, start=1):
        own = {
            "variables": np.array(grid.variables),
            "free_energy": grid.learned,
            "free_energy_spread": grid.spread,
            "free_energy_weighted": grid.weighted,
            "bias": grid.bias,
            "basin": grid.basin,
            "samples": grid.samples,
        }
        for k, (index, points) in enumerate(zip(grid.variables, grid.axes, strict=True), start=1):
            own[f"axis{k}"] = variables[index].shown(points)
        arrays |= {f"grid{n}_{name}": values for name, values in own.items()}
    return arrays
