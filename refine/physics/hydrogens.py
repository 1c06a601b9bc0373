"""Hydrogens of an OpenMM topology from its heavy atoms, by ideal geometry, deterministic.

The contact analysis has others (``assess.hydrogens``): it needs them where the electrons are, turned for their
surroundings, and without a force field.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from openmm import app

from refine.structure.arrays import opposite, opposite_pair, place_atom

_LENGTH = {"C": 1.09, "N": 1.01, "O": 0.96, "S": 1.34}
"""Å to the nuclei, by the parent's element."""
_TETRAHEDRAL, _TRIGONAL = np.radians(109.5), np.radians(120.0)


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
            directions = self._directions(x, group, heavy, count)
            out[group.hydrogens] = x[group.parent][:, None] + group.length[:, None, None] * directions
        return out

    @staticmethod
    def _directions(x: NDArray[np.float64], group: _Group, heavy: int, count: int) -> NDArray[np.float64]:
        """Unit vectors (n, count, 3) from the parents to their hydrogens.

        Two or three heavy neighbours: one hydrogen opposite to them, or two beside their plane. One heavy neighbour:
        torsions 180, ±60 (tetrahedral) or 180, 0 (trigonal, two hydrogens) against an atom beyond it.
        """
        parent, references = x[group.parent], x[group.references]
        if heavy > 1:
            return opposite(parent, references)[:, None] if count == 1 else opposite_pair(parent, references)
        angle = _TRIGONAL if count == 2 else _TETRAHEDRAL
        torsions = np.pi + 2 * np.pi * np.arange(count) / count
        beyond, near, at = references[:, 1, None], references[:, 0, None], parent[:, None]
        return place_atom(beyond, near, at, 1.0, angle, torsions) - at
