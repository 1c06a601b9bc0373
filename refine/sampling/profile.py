"""What an exploration says: free energies on grids, states, their populations, and what of it can be believed."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from refine.sampling.basins import basins
from refine.sampling.exploration import Sampled
from refine.sampling.reweight import LEAST_KISH, Weights, weights_of
from refine.sampling.settings import FRAME_PS
from refine.sampling.variables import Variable

PARTS = 4
"""Pieces of the production whose populations give the error."""
LEAST_FRAMES = 20
"""Frames of a state, over the whole run, below which it is none."""
LEAST_ENTRIES = 5
"""Times that a state must be entered in the production for its population to mean something."""
HALVES_APART = 1.0
"""kcal/mol between the free energies that the halves of the production give a state, above which they disagree."""
REACH = 1
"""Grid points around a sampled one that are shown."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """Free energy over the one or two variables of a grid, kcal/mol, lowest 0, NaN where nothing was sampled.

    Attributes:
        variables: their indices; axes: (POINTS,) each, radians or Å.
        learned: what the leaders say, their mean; spread: their standard deviation.
        weighted: of the production, reweighted; NaN everywhere where weights are refused.
        bias: kcal/mol, as it stood in the end; basin: of each point, −1 where nothing was sampled.
        samples: frames at each point, of the whole run.
    """

    variables: tuple[int, ...]
    axes: tuple[NDArray[np.float64], ...]
    learned: NDArray[np.float64]
    spread: NDArray[np.float64]
    weighted: NDArray[np.float64]
    bias: NDArray[np.float64]
    basin: NDArray[np.int64]
    samples: NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class FoundState:
    """A state: a basin of every grid.

    Attributes:
        basins: one of each grid; frame: place among all frames of its representative, whose atoms are kept.
        population: of the reweighted production, and error: standard error over its quarters; NaN where weights are
            refused.
        learned: population by the leaders, the product over the grids.
        entries: times it was entered in the production; first_ns: when it was first seen.
        frames: in the whole run.
    """

    basins: tuple[int, ...]
    frame: int
    population: float
    error: float
    learned: float
    entries: int
    first_ns: float
    frames: int


@dataclasses.dataclass(frozen=True)
class Profile:
    """What an exploration says.

    Attributes:
        grids: of the variables; states: best first; label: (F,) state of each frame, −1 for none of them.
        weights: of the frames of the production; doubts: sentences on what cannot be believed.
    """

    grids: tuple[Grid, ...]
    states: tuple[FoundState, ...]
    label: NDArray[np.int64]
    weights: Weights
    doubts: tuple[str, ...]


def profile(run: Sampled, variables: tuple[Variable, ...], kt: float) -> Profile:
    """Grids, states and doubts of an exploration; ``kt`` in kcal/mol."""
    weights = weights_of(run.bias[run.frozen])
    cells = np.stack([v.axis.cell(run.q[:, k]) for k, v in enumerate(variables)], 1)
    grids = tuple(_grid(run, variables, cells, n, weights, kt) for n in range(len(run.steering.grids)))
    index = np.stack([grid.basin[tuple(cells[:, list(grid.variables)].T)] for grid in grids], 1)
    combinations, label = np.unique(index, axis=0, return_inverse=True)
    label = label.ravel()
    found = [
        _state(run, grids, cells, tuple(combinations[k].tolist()), label == k, weights, kt)
        for k in range(len(combinations))
        if (label == k).sum() >= LEAST_FRAMES
    ]
    order = sorted(found, key=lambda s: -(s.learned if weights.refused else s.population))
    place = {state.basins: n for n, state in enumerate(order)}
    labels = np.array([place.get(tuple(row), -1) for row in combinations.tolist()])[label]
    return Profile(grids, tuple(order), labels, weights, tuple(_doubts(run, order, labels, weights, kt)))


def _grid(
    run: Sampled, variables: tuple[Variable, ...], cells: NDArray[np.int64], n: int, weights: Weights, kt: float
) -> Grid:
    chosen = run.steering.grids[n]
    axes = [variables[k].axis for k in chosen]
    shape, own = run.steering.biases[n].shape, tuple(cells[:, list(chosen)].T)
    samples = np.zeros(shape, np.int64)
    np.add.at(samples, own, 1)
    seen = samples > 0
    for k, axis in enumerate(axes):
        near = [np.roll(seen, step, k) for step in range(-REACH, REACH + 1)]
        if not axis.periodic:
            near = [seen]
        seen = np.logical_or.reduce(near)
    leaders = run.steering.leaders[n].free_energy
    learned = np.where(seen, leaders.mean(0), np.nan)
    learned -= np.nanmin(learned)
    mass = np.zeros(shape)
    np.add.at(mass, tuple(i[run.frozen] for i in own), weights.values)
    with np.errstate(divide="ignore"):
        weighted = np.where((mass > 0) & (not weights.refused), -np.log(mass), np.nan)
    weighted = weighted - (np.nanmin(weighted) if np.isfinite(weighted).any() else 0.0)
    basin = basins(np.where(np.isnan(learned), np.inf, learned), axes)
    points = tuple(axis.points() for axis in axes)
    bias = kt * run.steering.biases[n]
    return Grid(chosen, points, kt * learned, kt * leaders.std(0), kt * weighted, bias, basin, samples)


def _state(
    run: Sampled,
    grids: tuple[Grid, ...],
    cells: NDArray[np.int64],
    basin: tuple[int, ...],
    inside: NDArray[np.bool_],
    weights: Weights,
    kt: float,
) -> FoundState:
    here = inside[run.frozen]
    parts = [_population(h, w) for h, w in zip(_parts(here), _parts(weights.values), strict=True)]
    learned = 1.0
    for grid, number in zip(grids, basin, strict=True):
        p = np.exp(-np.nan_to_num(grid.learned / kt, nan=np.inf))
        learned *= float(p[grid.basin == number].sum() / p.sum())
    unknown = float("nan")
    return FoundState(
        basins=basin,
        frame=_representative(run, grids, cells, inside),
        population=unknown if weights.refused else _population(here, weights.values),
        error=unknown if weights.refused else float(np.std(parts, ddof=1) / np.sqrt(PARTS)),
        learned=learned,
        entries=int((here[1:] & ~here[:-1]).sum()),
        first_ns=float(np.argmax(inside) * FRAME_PS / 1000),
        frames=int(inside.sum()),
    )


def _parts(values: NDArray[np.generic], count: int = PARTS) -> list[NDArray[np.generic]]:
    return np.array_split(values, count)


def _population(here: NDArray[np.generic], weights: NDArray[np.generic]) -> float:
    return float(weights[here.astype(bool)].sum() / weights.sum())


def _representative(run: Sampled, grids: tuple[Grid, ...], cells: NDArray[np.int64], inside: NDArray[np.bool_]) -> int:
    """The kept frame of a state where the learned free energy is lowest; of the other frames, where none is kept."""
    height = sum(grid.learned[tuple(cells[:, list(grid.variables)].T)] for grid in grids)
    own = run.kept[inside[run.kept]]
    chosen = own if len(own) else run.kept[[np.abs(run.kept - np.flatnonzero(inside)[0]).argmin()]]
    return int(chosen[np.nan_to_num(height[chosen], nan=np.inf).argmin()])


def _doubts(run: Sampled, states: list[FoundState], label: NDArray[np.int64], weights: Weights, kt: float) -> list[str]:
    """What cannot be believed, in sentences."""
    doubts = []
    if weights.refused:
        doubts.append(
            f"The weights are worth {weights.kish:.0f} samples, fewer than {LEAST_KISH:.0f}: no populations are given; "
            "what the leaders learned stands in their place. Give a longer --ns."
        )
    now = label[run.frozen]
    if not weights.refused:
        doubts += _halves(now, weights, len(states), kt)
    rare = [f"state {k}" for k, s in enumerate(states, 1) if len(states) > 1 and s.entries < LEAST_ENTRIES]
    if rare:
        doubts.append(
            f"Entered fewer than {LEAST_ENTRIES} times while the bias stood still: {', '.join(rare)}; "
            "how much of it there is, is not known. Give a longer --ns."
        )
    if len(states) == 1:
        doubts.append("One state was found. A longer run, other variables or a higher temperature may find more.")
    return doubts


def _halves(label: NDArray[np.int64], weights: Weights, states: int, kt: float) -> list[str]:
    halves = list(zip(_parts(label, 2), _parts(weights.values, 2), strict=True))
    apart = []
    for k in range(states):
        first, second = (_population(labels == k, values) for labels, values in halves)
        if first > 0 and second > 0:
            if kt * abs(np.log(first / second)) > HALVES_APART:
                apart.append(f"state {k + 1} ({100 * first:.1f} and {100 * second:.1f} %)")
        elif first + second > 0:
            apart.append(f"state {k + 1} (seen in one half alone)")
    if not apart:
        return []
    return [f"The halves of the run disagree by more than {HALVES_APART:g} kcal/mol on {', '.join(apart)}."]
