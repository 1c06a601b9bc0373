"""Positions of hydrogens (and of a terminal oxygen) from those of the heavy atoms, by ideal geometry, deterministic."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from openmm import app

_LENGTH = {"C": 1.09, "N": 1.01, "O": 0.96, "S": 1.34}
_TETRAHEDRAL, _TRIGONAL = np.radians(70.5), np.radians(60.0)


@dataclasses.dataclass(frozen=True)
class _Group:
    """Parents of one kind: particle indices of their hydrogens, themselves, two references; all with leading axis n."""

    hydrogens: NDArray[np.int64]
    parent: NDArray[np.int64]
    references: NDArray[np.int64]
    length: NDArray[np.float64]


class HydrogenPlacer:
    """Places every hydrogen of an OpenMM topology on ideal geometry about its heavy atom.

    Rotatable hydrogens (OH, SH, CH3, NH3) start staggered or trans; minimisation turns them. Angles are tetrahedral or
    trigonal.
    """

    def __init__(self, topology: app.Topology) -> None:
        neighbours: dict[int, list[int]] = {a.index: [] for a in topology.atoms()}
        symbol = [a.element.symbol for a in topology.atoms()]
        for a, b in topology.bonds():
            neighbours[a.index].append(b.index)
            neighbours[b.index].append(a.index)
        rows: dict[tuple[int, int], list[tuple[list[int], int, list[int], float]]] = {}
        for parent, linked in neighbours.items():
            hydrogens = [i for i in linked if symbol[i] == "H"]
            heavy = [i for i in linked if symbol[i] != "H"]
            if symbol[parent] == "H" or not hydrogens:
                continue
            if len(heavy) == 1:
                beyond = sorted(i for i in neighbours[heavy[0]] if i != parent and symbol[i] != "H")
                heavy = [heavy[0], beyond[0]]
                kind = (1, len(hydrogens))
            else:
                kind = (len(heavy), len(hydrogens))
            rows.setdefault(kind, []).append((hydrogens, parent, heavy, _LENGTH[symbol[parent]]))
        self._groups = {
            kind: _Group(*(np.array(column) for column in zip(*members, strict=True))) for kind, members in rows.items()
        }

    def place(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Copy of positions ``x`` (A, 3) in Å with the hydrogens set from their heavy atoms."""
        out = x.copy()
        for (heavy, count), group in self._groups.items():
            directions = self._one_reference(x, group, count) if heavy == 1 else self._many(x, group, count)
            for k, d in enumerate(directions):
                out[group.hydrogens[:, k]] = x[group.parent] + group.length[:, None] * d
        return out

    @staticmethod
    def _many(x: NDArray, group: _Group, count: int) -> list[NDArray]:
        """Two or three heavy neighbours: one hydrogen opposite to their sum, or two above and below their plane."""
        u = normalised(x[group.references] - x[group.parent][:, None])
        away = normalised(-u.sum(1), fallback=np.cross(u[:, 0], [0.36, 0.48, 0.8]))
        if count == 1:
            return [away]
        normal = normalised(np.cross(u[:, 0], u[:, 1]), fallback=np.cross(u[:, 0], [0.36, 0.48, 0.8]))
        half = np.radians(54.75)
        return [np.cos(half) * away + np.sin(half) * normal, np.cos(half) * away - np.sin(half) * normal]

    @staticmethod
    def _one_reference(x: NDArray, group: _Group, count: int) -> list[NDArray]:
        """One heavy neighbour: torsions 180, ±60 (tetrahedral) or 180, 0 (trigonal, two hydrogens)."""
        near, far = x[group.references[:, 0]], x[group.references[:, 1]]
        axis = normalised(x[group.parent] - near)
        out = near - far
        out = normalised(out - (out * axis).sum(1, keepdims=True) * axis, fallback=np.cross(axis, [0.36, 0.48, 0.8]))
        side = np.cross(axis, out)
        tilt = _TRIGONAL if count == 2 else _TETRAHEDRAL
        turns = 2 * np.pi * np.arange(count) / count
        return [np.cos(tilt) * axis + np.sin(tilt) * (np.cos(t) * out + np.sin(t) * side) for t in turns]


def normalised(v: NDArray, fallback: NDArray | None = None) -> NDArray[np.float64]:
    """Unit vectors of ``v`` (..., 3); where ``v`` vanishes, those of ``fallback`` (or zero)."""
    norm = np.linalg.norm(v, axis=-1, keepdims=True)
    unit = v / np.where(norm > 1e-6, norm, 1.0)
    if fallback is None:
        return np.where(norm > 1e-6, unit, 0.0)
    return np.where(norm > 1e-6, unit, normalised(fallback))


def terminal_oxygen(ca: NDArray, c: NDArray, o: NDArray) -> NDArray[np.float64]:
    """Position (3,) in Å of OXT, in the plane of CA, C, O."""
    u = normalised(np.stack((ca - c, o - c)).astype(np.float64))
    return c + 1.25 * normalised(-u.sum(0), fallback=np.cross(u[0], [0.36, 0.48, 0.8]))
