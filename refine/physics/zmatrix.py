"""Internal coordinates of a whole small molecule and back: a tree of bonds, with a length, an angle and a torsion for
each atom (Z-matrix).

The first atom behind a rotatable bond has a proper torsion; its siblings turn with it and have what their torsion
differs by, so that rotating about a bond changes one number.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property

import torch
from openmm import app
from torch import Tensor

from refine.errors import EngineError
from refine.structure.geometry import angle, dihedral, distance, place_atom


@dataclasses.dataclass(frozen=True)
class ZMatrix:
    """How the N atoms of one molecule without rings hang together. Atoms are counted by their place in ``order``.

    Attributes:
        order: atoms of the topology as they are placed, each bond's nearer end first; the first three make the frame.
        above: (N, 3) places that each is told from: of its bond, its angle and its torsion; of the first three as many
            as there are, then −1.
        sibling: (N,) place of the atom whose torsion is taken off that of each, −1 for none.
        rotations: places of the atoms with a proper torsion of their own, one for each rotatable bond.
    """

    order: tuple[int, ...]
    above: tuple[tuple[int, int, int], ...]
    sibling: tuple[int, ...]
    rotations: tuple[int, ...]

    @classmethod
    def of(cls, topology: app.Topology) -> ZMatrix:
        """The tree of a molecule, from an end of its heavy atoms along the largest branches.

        Raises:
            EngineError: it has rings, more than one part, or no three heavy atoms in a row from an end.
        """
        beside: list[list[int]] = [[] for _ in topology.atoms()]
        for a, b in topology.bonds():
            beside[a.index].append(b.index)
            beside[b.index].append(a.index)
        heavy = [atom.index for atom in topology.atoms() if atom.element.symbol != "H"]
        ends = [i for i in heavy if sum(j in set(heavy) for j in beside[i]) == 1]
        order, parent = _walked(ends[0], beside) if ends else ([], [])
        if len(order) != len(beside) or sum(map(len, beside)) != 2 * (len(beside) - 1):
            raise EngineError("internal coordinates are for one molecule without rings")
        if len(order) < 4 or parent[order[2]] != order[1]:
            raise EngineError("the molecule has no three heavy atoms in a row")
        return cls._hung(order, parent)

    @classmethod
    def _hung(cls, order: list[int], parent: list[int]) -> ZMatrix:
        place = {atom: k for k, atom in enumerate(order)}
        above, sibling, rotations = [(-1, -1, -1), (0, -1, -1), (1, 0, -1)], [-1, -1, -1], []
        first: dict[int, int] = {}
        for k, atom in enumerate(order[3:], start=3):
            one = place[parent[atom]]
            if one == 1:  # beside the third atom: no torsion of its own
                above.append((1, 0, 2))
                sibling.append(-1)
                continue
            two = 1 if one == 0 else place[parent[order[one]]]
            above.append((one, two, 2 if one == 0 else place[parent[order[two]]]))
            sibling.append(first.get(one, -1))
            if one not in first:
                rotations.append(k)
            first.setdefault(one, k)
        return cls(tuple(order), tuple(above), tuple(sibling), tuple(rotations))

    def torsion_of(self, place: int) -> int:
        """Which of the internal coordinates is the torsion of an atom."""
        return 2 * len(self.order) - 6 + place

    def central_bond(self, place: int) -> tuple[int, int]:
        """Atoms of the topology about whose bond the torsion of an atom turns."""
        one, two, _ = self.above[place]
        return self.order[one], self.order[two]

    @cached_property
    def _levels(self) -> list[list[int]]:
        """Places that can be computed at once, in order, from the fourth atom on."""
        levels, begin = [], 3
        while begin < len(self.order):
            end = begin
            while end < len(self.order) and max(self.above[end]) < begin:
                end += 1
            levels.append(list(range(begin, end)))
            begin = end
        return levels

    def internal(self, x: Tensor) -> Tensor:
        """Lengths (N − 1, Å), angles (N − 2) and torsions (N − 3, radians, in (−π, π]) of positions (J, N, 3) Å, in a
        row (J, 3N − 6).
        """
        x = x[:, list(self.order)]
        one, two, three = (list(column) for column in zip(*self.above, strict=True))
        lengths = distance(x[:, 1:], x[:, one[1:]])
        angles = angle(x[:, 2:], x[:, one[2:]], x[:, two[2:]])
        torsions = dihedral(x[:, three[3:]], x[:, two[3:]], x[:, one[3:]], x[:, 3:])
        own = torsions - self._of_siblings(torsions)
        return torch.cat((lengths, angles, torch.remainder(own + torch.pi, 2 * torch.pi) - torch.pi), -1)

    def cartesian(self, q: Tensor) -> Tensor:
        """Positions (J, N, 3) Å of internal coordinates (J, 3N − 6): the first atom at the origin, the second on the x
        axis, the third in the plane of x and y.
        """
        count = len(self.order)
        lengths, angles, own = q[:, : count - 1], q[:, count - 1 : 2 * count - 3], q[:, 2 * count - 3 :]
        torsions, zero = own + self._of_siblings(own), torch.zeros_like(q[:, 0])
        along, across = lengths[:, 0] - lengths[:, 1] * angles[:, 0].cos(), lengths[:, 1] * angles[:, 0].sin()
        flat = (zero, zero, zero, lengths[:, 0], zero, zero, along, across, zero)
        x = torch.stack(flat, -1).view(-1, 3, 3)
        for places in self._levels:
            one, two, three = (x[:, [self.above[k][n] for k in places]] for n in range(3))
            rows = slice(places[0], places[-1] + 1)
            bond, bend = lengths[:, rows.start - 1 : rows.stop - 1], angles[:, rows.start - 2 : rows.stop - 2]
            torsion = torsions[:, rows.start - 3 : rows.stop - 3]
            x = torch.cat((x, place_atom(three, two, one, bond, bend, torsion)), 1)
        place = {atom: k for k, atom in enumerate(self.order)}
        return x[:, [place[atom] for atom in range(count)]]

    def log_volume(self, q: Tensor) -> Tensor:
        """ln of the volume in space that internal coordinates (J, 3N − 6) have per unit of them (J,), overall motion
        left out: Σ 2 ln r + Σ ln sin θ. An angle beyond 0 to π gives NaN.
        """
        count = len(self.order)
        # r² sin θ of every atom from the third on, r² of the second (its direction is overall rotation)
        return 2 * q[:, : count - 1].log().sum(-1) + q[:, count - 1 : 2 * count - 3].sin().log().sum(-1)

    def _of_siblings(self, torsions: Tensor) -> Tensor:
        """The torsions (J, N − 3) that are taken off each."""
        taken = [max(k - 3, 0) for k in self.sibling[3:]]
        return torsions[:, taken] * torch.tensor([float(k >= 0) for k in self.sibling[3:]], dtype=torsions.dtype)


def _walked(root: int, beside: list[list[int]]) -> tuple[list[int], list[int]]:
    """Atoms from ``root``, level by level, of each the largest branch first; and the atom each hangs on, −1 of none."""
    order, parent, seen = [root], [-1] * len(beside), {root}
    for atom in order:
        for n in beside[atom]:
            if n not in seen:
                seen.add(n)
                parent[n] = atom
                order.append(n)
    size = [1] * len(beside)
    for atom in reversed(order[1:]):
        size[parent[atom]] += size[atom]
    again = [root]
    for atom in again:
        again += sorted((n for n in beside[atom] if parent[n] == atom), key=lambda n: (-size[n], n))
    if len(again) > 2:  # the third is on the second, whatever else hangs on the first
        third = next((n for n in again[2:] if parent[n] == again[1]), again[2])
        again.remove(third)
        again.insert(2, third)
    return again, parent
