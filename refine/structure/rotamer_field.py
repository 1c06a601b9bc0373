"""Side chains of a whole protein chosen together: a self-consistent mean field over rotamers (Koehl & Delarue 1994).

For structures that have hardly any side-chain atoms, as coarse models do: there a side chain placed after another
takes the room that the first has left, while here all of them make room for each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from refine.constants import ATOM14
from refine.structure.arrays import superpose, transformed
from refine.structure.chemistry import POLAR_ALLOWANCE, elements, radii
from refine.structure.conformers import ideal_residue, likely_rotamers, set_chi

Array = NDArray[np.float64]

_WELL_DEPTH, _NARROWER = 0.15, 1.0
"""kcal/mol, and the factor on radii: rotamers are stiff and the backbone may be a rebuilt one."""
_WORST_PAIR = 4.0
"""kcal/mol at which the repulsion of two atoms ends."""
_REACH = 4.5
"""Å beyond which atoms do not feel each other."""
_CENTRE_K = 1.5
"""kcal/mol/Å² that hold a side chain's centre where it is given."""
_BRIDGE, _BRIDGE_SHORT, _BRIDGE_LONG = -3.0, 1.6, 2.6
"""kcal/mol of two sulfurs of cysteine at the distance (Å) of a disulfide bond, which do not repel each other there."""
_TEMPERATURES = (4.0, 2.5, 1.6, 1.0, 0.8, 0.6, 0.6, 0.6, 0.6, 0.6)
"""kcal/mol of each round."""
_NEW = 0.7
"""Share of the new probabilities in each round."""


@dataclasses.dataclass(frozen=True)
class Bare:
    """A residue that has its backbone and CB but nothing beyond.

    Attributes:
        aa: one-letter code; atoms: (14, 3), N, CA, C and CB in place; phi, psi: radians, NaN where there is none.
        centre: (3,) mean position of its side-chain heavy atoms where that is known, else NaN.
    """

    aa: str
    atoms: Array
    phi: float
    psi: float
    centre: Array


@dataclasses.dataclass(frozen=True)
class _Choice:
    """Conformers laid on the backbone: (K, 14, 3); energies without the other side chains (K,); slots beyond CB."""

    conformers: Array
    energy: Array
    slots: NDArray[np.int64]
    radius: Array
    polar: NDArray[np.bool_]

    @property
    def moving(self) -> Array:
        """(K, A, 3)."""
        return self.conformers[:, self.slots]


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """Atoms that stay: (M, 3) positions, (M,) radii, which are polar, and the residue each belongs to (-1 for none)."""

    positions: Array
    radius: Array
    polar: NDArray[np.bool_]
    residue: NDArray[np.int64]


def packed(residues: Mapping[int, Bare], around: Surroundings) -> dict[int, Array]:
    """Side chains of ``residues`` (by their index) that suit each other and what is ``around``.

    Returns:
        positions (14, 3) of each residue; N, CA, C, O and CB are those that were given.
    """
    tree = cKDTree(around.positions)
    choices = {i: _choice(bare, i, around, tree) for i, bare in residues.items()}
    pairs = _pair_energies(residues, choices)
    chosen = _settled(choices, pairs)
    out = {}
    for i, k in chosen.items():
        atoms = residues[i].atoms.copy()
        atoms[choices[i].slots] = choices[i].conformers[k, choices[i].slots]
        out[i] = atoms
    return out


def _choice(bare: Bare, index: int, around: Surroundings, tree: cKDTree) -> _Choice:
    chi, cost = likely_rotamers(bare.aa, bare.phi, bare.psi)
    conformers = set_chi(bare.aa, ideal_residue(bare.aa), chi)
    anchors = [0, 1, 2, 4]
    fixed = np.broadcast_to(bare.atoms[anchors], (len(chi), 4, 3))
    laid = transformed(conformers, *superpose(conformers[:, anchors], fixed))
    slots = np.arange(5, len(ATOM14[bare.aa]))
    symbols = [elements(bare.aa)[k] for k in slots]
    choice = _Choice(laid, cost, slots, radii(symbols), np.isin(symbols, ("N", "O", "S")))
    reach = np.linalg.norm(choice.moving - bare.atoms[4], axis=-1).max() + _REACH
    near = np.array([n for n in tree.query_ball_point(bare.atoms[4], reach) if around.residue[n] != index], np.int64)
    energy = cost.copy()
    if len(near):
        allowed = _allowed(choice.radius, choice.polar, around.radius[near], around.polar[near])
        gap = np.linalg.norm(choice.moving[:, :, None] - around.positions[near], axis=-1)
        energy += _contact(gap, allowed).sum((1, 2))
    if np.isfinite(bare.centre).all():
        centre = laid[:, 4 : len(ATOM14[bare.aa])].mean(1)
        energy += 0.5 * _CENTRE_K * ((centre - bare.centre) ** 2).sum(-1) * len(slots)
    return dataclasses.replace(choice, energy=energy)


def _allowed(radius: Array, polar: NDArray[np.bool_], others: Array, polar_others: NDArray[np.bool_]) -> Array:
    """Distances (A, B) in Å at which atoms touch."""
    touching: Array = radius[:, None] + others - 0.5 * POLAR_ALLOWANCE * (polar[:, None] & polar_others)
    return _NARROWER * touching


def _contact(gap: Array, allowed: Array) -> Array:
    """Lennard-Jones energies cut at ``_WORST_PAIR``, zero beyond ``_REACH``."""
    ratio6 = (allowed / np.maximum(gap, 0.5)) ** 6
    return np.where(gap < _REACH, np.minimum(_WELL_DEPTH * (ratio6**2 - 2 * ratio6), _WORST_PAIR), 0.0)


def _pair_energies(residues: Mapping[int, Bare], choices: Mapping[int, _Choice]) -> dict[int, list[tuple[int, Array]]]:
    """For each residue its neighbours and the energies (own conformers, theirs) of the two side chains."""
    index = sorted(residues)
    middle = np.array([choices[i].moving.mean((0, 1)) for i in index])
    size = [np.linalg.norm(choices[i].moving - middle[n], axis=-1).max() for n, i in enumerate(index)]
    pairs: dict[int, list[tuple[int, Array]]] = {i: [] for i in index}
    for n, m in cKDTree(middle).query_pairs(2 * max(size) + _REACH):
        if np.linalg.norm(middle[n] - middle[m]) > size[n] + size[m] + _REACH:
            continue
        i, j = index[n], index[m]
        energy = _pair_energy(choices[i], choices[j], residues[i].aa == residues[j].aa == "C")
        if energy.any():
            pairs[i].append((j, energy))
            pairs[j].append((i, energy.T))
    return pairs


def _pair_energy(first: _Choice, second: _Choice, cysteines: bool) -> Array:
    gap = np.linalg.norm(first.moving[:, None, :, None] - second.moving[None, :, None], axis=-1)
    if cysteines:
        sulfurs = gap[:, :, 0, 0]
        bridged = (sulfurs > _BRIDGE_SHORT) & (sulfurs < _BRIDGE_LONG)
    energy: Array = _contact(gap, _allowed(first.radius, first.polar, second.radius, second.polar)).sum((2, 3))
    return np.where(bridged, _BRIDGE, energy) if cysteines else energy


def _settled(choices: Mapping[int, _Choice], pairs: Mapping[int, Sequence[tuple[int, Array]]]) -> dict[int, int]:
    """The likeliest conformer of each residue once every one feels the mean of the others, cooled slowly."""
    weights = {i: np.full(len(c.energy), 1.0 / len(c.energy)) for i, c in choices.items()}
    for temperature in _TEMPERATURES:
        for i, choice in choices.items():
            energy = choice.energy + sum((table @ weights[j] for j, table in pairs[i]), np.zeros(len(choice.energy)))
            new = np.exp(-(energy - energy.min()) / temperature)
            weights[i] = (1 - _NEW) * weights[i] + _NEW * new / new.sum()
    return {i: int(np.argmax(w)) for i, w in weights.items()}
