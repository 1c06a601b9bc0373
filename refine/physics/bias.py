"""Biases on a grid of one or two variables as OpenMM forces."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import openmm
from numpy.typing import NDArray

from refine.physics.forces import BIAS

POINTS = 24
"""Grid points of an axis."""
_MARGIN = 3
"""Points that a periodic axis is continued by at either end, so that its spline knows no end."""
_WALL = 4184.0
"""kJ/(mol nm²), beyond the ends of an axis of distances: 10 kcal/(mol Å²)."""
_KJ_PER_KCAL = 4.184


Point = int | tuple[int, ...]
"""A particle, or several whose centre is meant."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """One variable of a bias.

    Attributes:
        particles: four of a torsion, two of a distance; in place of one several, whose centre is meant.
        low, high: ends in Å of a distance; a torsion runs from −π to π.
    """

    particles: tuple[Point, ...]
    low: float = -np.pi
    high: float = np.pi

    @property
    def periodic(self) -> bool:
        """Whether it is a torsion."""
        return len(self.particles) == 4

    def points(self) -> NDArray[np.float64]:
        """(POINTS,) radians or Å; the last point of a periodic axis is one step before its end."""
        return np.linspace(self.low, self.high, POINTS, endpoint=not self.periodic)

    def cell(self, values: NDArray[np.floating]) -> NDArray[np.int64]:
        """The grid point nearest to each value."""
        points = self.points()
        nearest = np.rint((values - self.low) / (points[1] - points[0])).astype(np.int64)
        return nearest % POINTS if self.periodic else np.clip(nearest, 0, POINTS - 1)


class GridBias:
    """A bias of one or two variables, bicubic between grid points.

    Args:
        axes: one or two.

    Attributes:
        force: for the system, in the force group ``BIAS``; beyond the ends of distances it is a wall.
    """

    def __init__(self, axes: Sequence[Axis]) -> None:
        self.axes = tuple(axes)
        points = list(dict.fromkeys(p for axis in axes for p in axis.particles))
        centres = any(isinstance(p, tuple) for p in points)
        names = {point: f"{'g' if centres else 'p'}{n}" for n, point in enumerate(points, start=1)}
        places, walls = [], ""
        for axis in self.axes:
            arguments = ",".join(names[p] for p in axis.particles)
            if axis.periodic:
                places.append(f"dihedral({arguments})")
            else:
                low, high, d = 0.1 * axis.low, 0.1 * axis.high, f"distance({arguments})"
                places.append(f"min(max({d},{low!r}),{high!r})")
                walls += f"+{0.5 * _WALL!r}*(max(0,{d}-{high!r})^2+max(0,{low!r}-{d})^2)"
        energy = f"grid({','.join(places)}){walls}"
        if centres:
            self.force = openmm.CustomCentroidBondForce(len(points), energy)
            groups = [(p,) if isinstance(p, int) else p for p in points]
            # equal weights: by default they are masses, and particles at rest have none
            self.force.addBond([self.force.addGroup(group, [1.0] * len(group)) for group in groups])
        else:
            self.force = openmm.CustomCompoundBondForce(len(points), energy)
            self.force.addBond(points)
        self.force.addTabulatedFunction("grid", self._function(np.zeros((POINTS,) * len(self.axes))))
        self.force.setForceGroup(BIAS)

    def set(self, values: NDArray[np.floating]) -> None:
        """Take ``values`` (POINTS,) or (POINTS, POINTS) kcal/mol; contexts see it when they begin anew."""
        self.force.getTabulatedFunction(0).setFunctionParameters(*self._parameters(values))

    def _function(self, values: NDArray[np.floating]) -> openmm.TabulatedFunction:
        kind = openmm.Continuous1DFunction if len(self.axes) == 1 else openmm.Continuous2DFunction
        return kind(*self._parameters(values))

    def _parameters(self, values: NDArray[np.floating]) -> list[object]:
        """What OpenMM's function takes: sizes (of two axes), values in kJ/mol, ends in nm or radians."""
        padded, ends = np.asarray(values, np.float64) * _KJ_PER_KCAL, []
        for k, axis in enumerate(self.axes):
            margin = _MARGIN if axis.periodic else 0
            padded = np.take(padded, np.arange(-margin, POINTS + margin) % POINTS, axis=k)
            points, scale = axis.points(), 1.0 if axis.periodic else 0.1
            step = points[1] - points[0]
            ends += [scale * (points[0] - margin * step), scale * (points[-1] + margin * step)]
        sizes = list(padded.shape) if len(self.axes) == 2 else []
        return [*sizes, padded.ravel(order="F"), *ends]
