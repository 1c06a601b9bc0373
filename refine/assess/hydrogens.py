"""Hydrogen atoms at ideal positions, for contact analysis only: they are never written to a structure.

Bond lengths point at the electron cloud as in Reduce (Word et al. 1999, J Mol Biol 285:1735; values of Deis et al.
2013), since clash limits were set for those. Methyl groups are staggered; the torsions of ammonium, hydroxyl and thiol
groups, and the tautomer of histidine, are chosen for their surroundings one after the other. Asparagine, glutamine and
histidine side chains are not flipped. ``physics.hydrogens`` places other hydrogens: at the nuclei, charged as the force
field has them, for a minimiser that turns them itself.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from refine.constants import ATOM14
from refine.structure.arrays import opposite, opposite_pair, place_atom
from refine.structure.chemistry import PROBE_RADII, PROBE_RADIUS_H, PROBE_RADIUS_H_POLAR, disulfides
from refine.structure.protein import Protein

LENGTH_ALIPHATIC, LENGTH_AROMATIC, LENGTH_N, LENGTH_AMMONIUM, LENGTH_O, LENGTH_S = 0.97, 0.93, 0.86, 0.89, 0.84, 1.20
CONTACT = PROBE_RADIUS_H + PROBE_RADII["C"]
_HYDROGEN_CONTACT = 2.12
"""Å between hydrogens below which they overlap."""
ROTOR_STEP = np.radians(15.0)

# Recipes by residue: parent, shape, then the atoms that place it. Shapes: "ch" three heavy neighbours, "ch2" two,
# "flat" two in a plane, "ch3" three staggered hydrogens on parent-previous-reference, "nh2" two in the plane of
# parent-previous-reference, "oh" one that turns.
_CH2 = {
    "C": "CB:CA,SG", "D": "CB:CA,CG", "E": "CB:CA,CG CG:CB,CD", "F": "CB:CA,CG", "G": "CA:N,C", "H": "CB:CA,CG",
    "I": "CG1:CB,CD1",
    "K": "CB:CA,CG CG:CB,CD CD:CG,CE CE:CD,NZ", "L": "CB:CA,CG", "M": "CB:CA,CG CG:CB,SD", "N": "CB:CA,CG",
    "P": "CB:CA,CG CG:CB,CD CD:CG,N", "Q": "CB:CA,CG CG:CB,CD", "R": "CB:CA,CG CG:CB,CD CD:CG,NE", "S": "CB:CA,OG",
    "W": "CB:CA,CG", "Y": "CB:CA,CG",
}  # fmt: skip
_CH = {"I": "CB:CA,CG1,CG2", "L": "CG:CB,CD1,CD2", "T": "CB:CA,OG1,CG2", "V": "CB:CA,CG1,CG2"}
_CH3 = {
    "A": "CB:CA,N", "I": "CG2:CB,CA CD1:CG1,CB", "L": "CD1:CG,CB CD2:CG,CB", "M": "CE:SD,CG", "T": "CG2:CB,CA",
    "V": "CG1:CB,CA CG2:CB,CA",
}  # fmt: skip
_FLAT = {
    "F": "CD1:CG,CE1 CD2:CG,CE2 CE1:CD1,CZ CE2:CD2,CZ CZ:CE1,CE2", "H": "CD2:CG,NE2 CE1:ND1,NE2", "R": "NE:CD,CZ",
    "W": "CD1:CG,NE1 NE1:CD1,CE2 CE3:CD2,CZ3 CZ3:CE3,CH2 CH2:CZ3,CZ2 CZ2:CE2,CH2",
    "Y": "CD1:CG,CE1 CD2:CG,CE2 CE1:CD1,CZ CE2:CD2,CZ",
}  # fmt: skip
_NH2 = {"N": "ND2:CG,OD1", "Q": "NE2:CD,OE1", "R": "NH1:CZ,NE NH2:CZ,NE"}
_NH3 = {"K": "NZ:CE,CD"}
_OH = {"S": "OG:CB,CA", "T": "OG1:CB,CA", "Y": "OH:CZ,CE1", "C": "SG:CB,CA"}
_HIS_TAUTOMERS = (("NE2", "CD2", "CE1"), ("ND1", "CG", "CE1"))


@dataclasses.dataclass(frozen=True)
class Hydrogens:
    """Hydrogens of replica 0.

    Attributes:
        positions: (H, 3) Å.
        parent: (H,) flat heavy-atom index, residue * 14 + slot.
        polar: (H,) bool, bound to N, O or S.
        aromatic: (H,) bool, bound to an aromatic carbon.
    """

    positions: NDArray[np.float64]
    parent: NDArray[np.int64]
    polar: NDArray[np.bool_]
    aromatic: NDArray[np.bool_]


class _Sites(NamedTuple):
    """Places of one shape: flat indices (m, 1 + neighbours), parent first."""

    shape: str
    atoms: NDArray[np.int64]


class _Rotor(NamedTuple):
    """Hydrogens that turn on a bond: flat indices of the parent and the two atoms before it, their number, whether they
    lie in a plane.
    """

    parent: int
    previous: int
    reference: int
    hydrogens: int
    planar: bool


def add_hydrogens(protein: Protein) -> Hydrogens:
    """Hydrogens of every residue whose defining heavy atoms exist; chain starts get NH3+ (proline NH2+), all others are
    neutral at N.

    Aspartate, glutamate and carboxyl ends are deprotonated, lysine and arginine protonated, histidine neutral.
    """
    points = protein.coords[0].astype(np.float64).reshape(-1, 3)
    fixed, rotors, histidines = _sites(protein)
    positions, parents = [np.zeros((0, 3))], [np.zeros(0, np.int64)]
    for sites in fixed:
        placed = _place(sites, points, protein)
        positions.append(placed.reshape(-1, 3))
        parents.append(np.repeat(sites.atoms[:, 0], placed.shape[1]))
    surroundings = _Surroundings(protein, points, np.concatenate(positions), np.concatenate(parents))
    for rotor in rotors:
        candidates = _turns(rotor, points, _length(protein, rotor.parent))
        surroundings.choose(candidates, np.full(candidates.shape[:2], rotor.parent), (rotor.parent, rotor.previous))
    for options in histidines:
        nitrogen, neighbours = points[[a for a, *_ in options]], points[[others for _, *others in options]]
        candidates = (nitrogen + LENGTH_N * opposite(nitrogen, neighbours))[:, None]
        surroundings.choose(
            candidates, np.array([[a] for a, _, _ in options]), tuple({k for option in options for k in option})
        )
    parent = surroundings.parent
    polar, aromatic = np.zeros(len(parent), dtype=bool), np.zeros(len(parent), dtype=bool)
    for k, atom in enumerate(parent.tolist()):
        aa, name = protein.sequence[atom // 14], ATOM14[protein.sequence[atom // 14]][atom % 14]
        polar[k] = name[0] in "NOS"
        aromatic[k] = name[0] == "C" and aa in "FHWY" and name not in ("CA", "CB")
    return Hydrogens(surroundings.hydrogens, parent, polar, aromatic)


def _sites(protein: Protein) -> tuple[list[_Sites], list[_Rotor], list[list[tuple[int, int, int]]]]:
    groups: dict[str, list[tuple[int, ...]]] = {shape: [] for shape in ("ch", "ch2", "ch3", "flat", "nh2", "nh2+")}
    rotors: list[_Rotor] = []
    histidines: list[list[tuple[int, int, int]]] = []
    bridged = {i for pair in disulfides(protein) for i in pair}
    for i, aa in enumerate(protein.sequence):
        index = {name: 14 * i + slot for slot, name in enumerate(ATOM14[aa]) if protein.mask[i, slot]}
        for shape, recipes in (("ch2", _CH2), ("ch", _CH), ("ch3", _CH3), ("flat", _FLAT), ("nh2", _NH2)):
            groups[shape] += _recipe_atoms(recipes.get(aa, ""), index)
        if aa != "G":
            groups["ch"] += _recipe_atoms("CA:N,C,CB", index)
        _amide(protein, i, index, groups, rotors)
        if not (aa == "C" and i in bridged):
            rotors += [_Rotor(a, b, c, 1, aa == "Y") for a, b, c in _recipe_atoms(_OH.get(aa, ""), index)]
        rotors += [_Rotor(a, b, c, 3, False) for a, b, c in _recipe_atoms(_NH3.get(aa, ""), index)]
        if aa == "H" and all(name in index for option in _HIS_TAUTOMERS for name in option):
            histidines.append([(index[a], index[b], index[c]) for a, b, c in _HIS_TAUTOMERS])
    return [_Sites(shape, np.array(rows, np.int64)) for shape, rows in groups.items() if rows], rotors, histidines


def _recipe_atoms(recipe: str, index: dict[str, int]) -> list[tuple[int, ...]]:
    places = []
    for entry in recipe.split():
        parent, others = entry.split(":")
        names = (parent, *others.split(","))
        if all(name in index for name in names):
            places.append(tuple(index[name] for name in names))
    return places


def _amide(
    protein: Protein, i: int, index: dict[str, int], groups: dict[str, list[tuple[int, ...]]], rotors: list[_Rotor]
) -> None:
    aa = protein.sequence[i]
    if i and protein.bonded[i - 1]:
        if aa != "P" and "N" in index and "CA" in index:
            groups["flat"].append((index["N"], 14 * (i - 1) + 2, index["CA"]))
    elif aa == "P":
        groups["nh2+"] += _recipe_atoms("N:CA,CD", index)
    else:
        rotors += [_Rotor(a, b, c, 3, False) for a, b, c in _recipe_atoms("N:CA,C", index)]


def _place(sites: _Sites, points: NDArray[np.float64], protein: Protein) -> NDArray[np.float64]:
    """(m, hydrogens per site, 3)."""
    at = points[sites.atoms]
    length = np.array([_length(protein, int(a)) for a in sites.atoms[:, 0]])[:, None]
    if sites.shape in ("ch", "flat"):
        return (at[:, 0] + length * opposite(at[:, 0], at[:, 1:]))[:, None]
    if sites.shape in ("ch2", "nh2+"):
        return at[:, :1] + length[:, None] * opposite_pair(at[:, 0], at[:, 1:])
    torsions = np.array([0.0, np.pi]) if sites.shape == "nh2" else np.radians([60.0, 180.0, -60.0])
    angle = np.radians(120.0 if sites.shape == "nh2" else 109.5)
    return place_atom(at[:, None, 2], at[:, None, 1], at[:, None, 0], length, angle, torsions)


def _length(protein: Protein, parent: int) -> float:
    i, slot = divmod(parent, 14)
    aa, name = protein.sequence[i], ATOM14[protein.sequence[i]][slot]
    if name[0] == "N":
        return LENGTH_AMMONIUM if name == "NZ" else LENGTH_N
    if name[0] in "OS":
        return LENGTH_O if name[0] == "O" else LENGTH_S
    return LENGTH_AROMATIC if aa in "FHWY" and name not in ("CA", "CB") else LENGTH_ALIPHATIC


def _turns(rotor: _Rotor, points: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """Candidate positions (T, count, 3) of a rotor's hydrogens; the first candidate of an ammonium group is
    staggered.
    """
    if rotor.planar:
        first = np.array([0.0, np.pi])
    else:
        first = np.arange(np.pi / 3, np.pi / 3 + 2 * np.pi / rotor.hydrogens - 1e-6, ROTOR_STEP)
    torsions = first[:, None] + 2 * np.pi / rotor.hydrogens * np.arange(rotor.hydrogens)
    bond = (points[rotor.reference], points[rotor.previous], points[rotor.parent])
    return place_atom(*bond, length, np.radians(109.5), torsions)


class _Surroundings:
    """Atoms placed so far; takes in one more hydrogen at a time at the best of several places."""

    def __init__(
        self, protein: Protein, points: NDArray[np.float64], hydrogens: NDArray[np.float64], parent: NDArray[np.int64]
    ) -> None:
        present = np.flatnonzero(protein.mask.reshape(-1))
        elements = np.array([ATOM14[protein.sequence[k // 14]][k % 14][0] for k in present.tolist()])
        self.hydrogens, self.parent = hydrogens, parent
        self._heavy, self._index, self._acceptor = points[present], present, elements == "O"
        self._heavy_tree, self._hydrogen_tree = cKDTree(self._heavy), cKDTree(hydrogens)
        self._settled = len(hydrogens)

    def choose(self, candidates: NDArray[np.float64], parents: NDArray[np.int64], bonded: tuple[int, ...]) -> None:
        """Add the candidate hydrogens (T, k, 3) with the most hydrogen bonding and the least overlap; ``bonded`` atoms
        do not count.
        """
        scores = self._scores(candidates.reshape(-1, 3), bonded).reshape(candidates.shape[:2]).sum(1)
        best = int(np.argmax(scores))
        self.hydrogens = np.concatenate([self.hydrogens, candidates[best]])
        self.parent = np.concatenate([self.parent, parents[best]])

    def _scores(self, positions: NDArray[np.float64], bonded: tuple[int, ...]) -> NDArray[np.float64]:
        """(P,) score of a hydrogen at each of ``positions`` (P, 3)."""
        middle = positions.mean(0)
        reach = float(np.linalg.norm(positions - middle, axis=1).max())
        near = np.array(self._heavy_tree.query_ball_point(middle, CONTACT + reach), np.int64)
        near = near[~np.isin(self._index[near], bonded)]
        acceptor = self._acceptor[near]
        distance = cdist(positions, self._heavy[near])
        overlap = PROBE_RADIUS_H_POLAR + PROBE_RADII["O"] - distance
        bond = 4 * np.clip(overlap, 0.0, 0.6) - 10 * np.maximum(overlap - 0.6, 0.0)
        contact = -10 * np.maximum(PROBE_RADIUS_H_POLAR + PROBE_RADII["C"] - distance - 0.1, 0.0)
        settled = self._hydrogen_tree.query_ball_point(middle, _HYDROGEN_CONTACT + reach) if self._settled else []
        others = np.array([*settled, *range(self._settled, len(self.hydrogens))], np.int64)
        others = others[~np.isin(self.parent[others], bonded)]
        clash = 10 * np.maximum(_HYDROGEN_CONTACT - cdist(positions, self.hydrogens[others]), 0.0)
        return np.asarray(np.where(acceptor, bond, contact).sum(1) - clash.sum(1))
