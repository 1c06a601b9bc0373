"""What steers dynamics over several variables: pairs of them have a grid each, with leaders, and a bias that moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from refine.physics.bias import POINTS, Axis
from refine.sampling.adversary import Adversary, AdversarySettings, perceptron
from refine.sampling.chaser import ChaserSettings, followed
from refine.sampling.leaders import Leaders

MEMORY = 20
"""Last blocks of whose samples the adversary learns."""
MOST_BIAS = 10.0
"""kT, the largest size of the adversary's bias."""
TARGETS = 2000


def planes(count: int) -> list[tuple[int, ...]]:
    """Variables that share a grid: the first two, the next two, …; the last alone where the count is odd."""
    return [tuple(range(k, min(k + 2, count))) for k in range(0, count, 2)]


class Steering:
    """Leaders of every grid, and the biases; ``none`` lets these be 0.

    Grids know nothing of one another: with more than two variables each learns the free energy of its own two under the
    bias on them, as if the others did not matter for it; averages under the frozen bias are exact all the same.

    Args:
        axes: of the variables; kind: ``chaser``, ``adversary`` or ``none``; settings: of the chaser; seed: of all.
        towards: (d,) values of a second structure, to which the adversary drives the first variable from ``start``;
            None drives it over its whole range.

    Attributes:
        grids: variables of each grid; biases: their biases (…grid) kT; leaders: their committees.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        kind: str,
        settings: ChaserSettings,
        seed: int,
        start: NDArray[np.floating] | None = None,
        towards: NDArray[np.floating] | None = None,
    ) -> None:
        self.grids = planes(len(axes))
        self.axes = [tuple(axes[k] for k in grid) for grid in self.grids]
        self.leaders = [Leaders(of, seed + n) for n, of in enumerate(self.axes)]
        # A bias of one height everywhere acts on nothing. Begun at the chaser's highest it soon differs where the free
        # energy does; begun at 0 all of it would rise alike for some 17 blocks.
        height = settings.highest if kind == "chaser" else 0.0
        self.biases = [np.full((POINTS,) * len(grid), height) for grid in self.grids]
        self._settings = settings
        self._kind = kind
        self._driver = Driver(self.axes[0], seed, start, towards) if kind == "adversary" else None

    def update(self, q: NDArray[np.floating], number: int, *, moving: bool) -> None:
        """Learn from block ``number``, values (F, d) that were made under ``biases``; then move these if ``moving``."""
        for n, grid in enumerate(self.grids):
            own = q[:, list(grid)]
            self.leaders[n].add(own, self.biases[n])
            self.leaders[n].learn(self._settings.updates, number)
            if moving and self._kind == "chaser":
                self.biases[n] = followed(self.biases[n], self.leaders[n].free_energy, self._settings)
        if moving and self._driver is not None:
            self.biases[0] = self._driver.update(q[:, list(self.grids[0])], number)


class Driver:
    """The adversary's bias on one grid, which drives its first variable over a range.

    Args:
        axes: of the grid; seed: of networks and batches.
        start, towards: values of the variables in two structures; None for the whole range.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        seed: int,
        start: NDArray[np.floating] | None,
        towards: NDArray[np.floating] | None,
    ) -> None:
        self._axes, self._samples = tuple(axes), []  # type: tuple[Axis, ...], list[NDArray[np.floating]]
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            bias = _BoundedBias(sum(2 if a.periodic else 1 for a in axes))
            self._adversary = Adversary(bias, 2 if axes[0].periodic else 1, AdversarySettings(), generator)
        self._target = self._described(_range(axes[0], start, towards, generator))
        grid = np.meshgrid(*(a.points() for a in axes), indexing="ij")
        self._grid = self._inputs(np.stack([g.ravel() for g in grid], 1))
        self._shape = grid[0].shape

    def update(self, q: NDArray[np.floating], number: int) -> NDArray[np.float64]:
        """The bias (…grid) kT after learning from samples (F, d)."""
        self._samples = [*self._samples, q][-MEMORY:]
        recent = np.concatenate(self._samples)
        self._adversary.update(self._inputs(recent), self._described(recent[:, 0]), self._target)
        with torch.no_grad():
            return self._adversary.averaged(self._grid)[:, 0].double().numpy().reshape(self._shape)

    def _described(self, values: NDArray[np.floating]) -> Tensor:
        """Descriptor of the first variable."""
        return self._inputs(values[:, None])

    def _inputs(self, q: NDArray[np.floating]) -> Tensor:
        """Sine and cosine of torsions, distances between −1 and 1."""
        columns: list[NDArray[np.floating]] = []
        for axis, value in zip(self._axes, q.T, strict=False):
            one = 2 * (value - axis.low) / (axis.high - axis.low) - 1
            columns += [np.sin(value), np.cos(value)] if axis.periodic else [one]
        return torch.from_numpy(np.stack(columns, 1)).float()


class _BoundedBias(nn.Module):
    """V between ±``MOST_BIAS`` kT."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.net = perceptron(inputs)

    def forward(self, x: Tensor) -> Tensor:
        return MOST_BIAS * torch.tanh(self.net(x) / MOST_BIAS)


def _range(
    axis: Axis,
    start: NDArray[np.floating] | None,
    towards: NDArray[np.floating] | None,
    generator: torch.Generator,
) -> NDArray[np.float64]:
    """Values, even over the range that is wanted: between two structures, the shorter way round for a torsion."""
    share = torch.rand(TARGETS, generator=generator).double().numpy()
    if start is None or towards is None:
        return axis.low + share * (axis.high - axis.low)
    way = float(towards[0] - start[0])
    way = float(np.remainder(way + np.pi, 2 * np.pi) - np.pi) if axis.periodic else way
    return float(start[0]) + share * way
