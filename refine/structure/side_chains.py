"""Missing side-chain atoms: built by pdbfixer without any network, then checked for chirality and rebuilt from its
templates if wrong.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import math
from collections.abc import Iterable

import gemmi
import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit
from pdbfixer import PDBFixer
from scipy.spatial import cKDTree

from refine.constants import ATOM14, ONE_TO_THREE
from refine.structure.arrays import chiral_volume, superpose, transformed, turned_about
from refine.structure.backbone import RESIDUE, place_oxt
from refine.structure.chemistry import chiral_centres

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_REACH = 14.0
"""Å from a residue to be completed within which others are shown to pdbfixer (side chains reach about 7 Å)."""
_CHUNK = 120
"""Residues completed in one go; keeps the cost linear in the length."""

_CLASH = 2.2
"""Å below which a built side-chain atom is said to run into an atom of another residue."""


class OfflineFixer(PDBFixer):
    """pdbfixer that never asks the chemical component dictionary over the network, and spends no dynamics on clashes.

    Its 2,000 steps of dynamics cost half a minute where two atoms come within 1.3 Å; ``_relieve`` turns such side
    chains instead.
    """

    def _downloadCCDDefinition(self, residueName: str) -> None:  # noqa: N802, N803
        return None

    def _findNearestDistance(self, *_: object) -> float:  # noqa: N802
        return math.inf


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What a rebuilt side chain must fit into: hetero atom positions (M, 3) and elements."""

    positions: Array
    elements: tuple[str, ...]


def complete_side_chains(
    coords: Array, mask: Mask, sequence: str, bonded: Mask, around: Surroundings
) -> tuple[Array, Mask, list[int]]:
    """Coordinates (L, 14, 3) and mask with every side-chain atom; backbones must be whole. Atoms already there do not
    move.

    CB is placed first: pdbfixer lays its templates over the atoms that are there without forbidding mirror images, and
    N, CA, C, O alone let it choose the wrong hand for every second residue (measured; pdbfixer issue 145).

    Returns:
        coordinates, mask, and the residues that pdbfixer built with a wrong hand or broken bonds and that were built
        anew.
    """
    coords, mask, given = coords.copy(), mask.copy(), mask
    due = [i for i in range(len(sequence)) if not mask[i, : len(ATOM14[sequence[i]])].all()]
    for i in due:
        if sequence[i] != "G" and not mask[i, 4]:
            coords[i, 4] = transformed(RESIDUE, *superpose(RESIDUE[:3], coords[i, :3]))[4]
            mask[i, 4] = True
    due = [i for i in due if not mask[i, : len(ATOM14[sequence[i]])].all()]
    anew: list[int] = []
    for start in range(0, len(due), _CHUNK):
        chunk = due[start : start + _CHUNK]
        built = _run_fixer(coords, mask, sequence, bonded, around, chunk)
        before = mask.copy()
        for i in chunk:
            for slot, name in enumerate(ATOM14[sequence[i]]):
                if not mask[i, slot] and (i, name) in built:
                    coords[i, slot], mask[i, slot] = built[i, name], True
        for i in chunk:
            if not _is_sound(coords[i], mask[i], sequence[i], before[i], given[i]):
                anew.append(i)
                _build_ideal(coords, mask, sequence, i, given[i], around)
        _relieve(coords, mask, sequence, chunk, given, around)
    return coords, mask, anew


def _is_sound(coords: Array, mask: Mask, letter: str, before: Mask, given: Mask) -> bool:
    """Whether a residue (14, 3) is complete, its built bonds hold, and no stereocentre is wrong that was not wrong in
    the input.
    """
    names = ATOM14[letter]
    if not mask[: len(names)].all() or not _bonds_hold(coords, letter, before):
        return False
    return is_natural(coords, letter) or _hand_is_given(letter, given)


def _hand_is_given(letter: str, given: Mask) -> bool:
    """Whether the input itself holds all atoms of every stereocentre: its hand is not ours to judge here."""
    return all(given[slot] for centre in chiral_centres(letter) for slot in centre)


def _relieve(coords: Array, mask: Mask, sequence: str, chunk: list[int], given: Mask, around: Surroundings) -> None:
    """Turn built side chains that run into other atoms. Changes ``coords``."""
    rows, slots = np.nonzero(mask)
    tree = cKDTree(np.concatenate((coords[rows, slots], around.positions)))
    owner = np.concatenate((rows, np.full(len(around.positions), -1)))
    for i in chunk:
        if given[i, 5:].any() or not mask[i, 5:].any():
            continue
        near = tree.query_ball_point(coords[i, 5:][mask[i, 5:]], _CLASH)
        if any(owner[j] != i for found in near for j in found):
            _turn_free(coords, mask, sequence, i, around)


def _run_fixer(
    coords: Array, mask: Mask, sequence: str, bonded: Mask, around: Surroundings, chunk: list[int]
) -> dict[tuple[int, str], Array]:
    """Positions of the atoms pdbfixer adds to the residues of ``chunk``, by residue and atom name.

    pdbfixer sees the chunk and all residues near it, every bonded stretch as a chain of its own so that no gap is
    bridged, numbered from 1 so that it cannot confuse insertion codes; hetero atoms are nameless obstacles.
    """
    shown = _near(coords, chunk, len(sequence))
    text, order = _as_pdb(coords, mask, sequence, bonded, around, shown, coords[chunk, 1])
    fixer = OfflineFixer(pdbfile=io.StringIO(text), platform=openmm.Platform.getPlatformByName("Reference"))
    fixer.missingResidues = {}
    fixer.findMissingAtoms()
    fixer.missingTerminals = {}
    residues = list(fixer.topology.residues())[: len(order)]
    wanted = set(chunk)
    fixer.missingAtoms = {
        r: a for r, a in fixer.missingAtoms.items() if r in residues and order[residues.index(r)] in wanted
    }
    fixer.addMissingAtoms(seed=0)
    positions = np.array(fixer.positions.value_in_unit(unit.angstrom))
    built: dict[tuple[int, str], Array] = {}
    for i, residue in zip(order, fixer.topology.residues(), strict=False):
        assert residue.name == ONE_TO_THREE[sequence[i]], "pdbfixer changed the order of residues"
        if i in wanted:
            for atom in residue.atoms():
                built[i, atom.name] = positions[atom.index]
    return built


def _near(coords: Array, chunk: list[int], length: int) -> list[int]:
    tree = cKDTree(coords[:, 1])
    found: Iterable[list[int]] = tree.query_ball_point(coords[chunk, 1], _REACH)
    return sorted({j for near in found for j in near} | set(chunk))


def _as_pdb(
    coords: Array, mask: Mask, sequence: str, bonded: Mask, around: Surroundings, shown: list[int], centres: Array
) -> tuple[str, list[int]]:
    """PDB text of the residues ``shown`` and the hetero atoms near ``centres``, and the residues in its order."""
    model = gemmi.Model(1)
    chain: gemmi.Chain | None = None
    for place, i in enumerate(shown):
        if chain is None or i == 0 or shown[place - 1] != i - 1 or not bonded[i - 1]:
            chain = model.add_chain(gemmi.Chain(chr(ord("A") + len(model) % 26)))
        residue = _bare_residue(ONE_TO_THREE[sequence[i]], len(chain) + 1)
        for slot in np.flatnonzero(mask[i]):
            name = ATOM14[sequence[i]][slot]
            residue.add_atom(_bare_atom(name, name[0], coords[i, slot]))
        if place + 1 == len(shown) or shown[place + 1] != i + 1 or not bonded[i]:
            residue.add_atom(_bare_atom("OXT", "O", place_oxt(*coords[i, :4])))
        chain.add_residue(residue)
    if len(around.positions):
        obstacles = model.add_chain(gemmi.Chain("z"))
        near = cKDTree(centres).query(around.positions)[0] <= _REACH
        for count, index in enumerate(np.flatnonzero(near), 1):
            residue = _bare_residue("UNL", count)
            residue.het_flag = "H"
            residue.add_atom(_bare_atom("X1", around.elements[index], around.positions[index]))
            obstacles.add_residue(residue)
    structure = gemmi.Structure()
    structure.add_model(model)
    structure.setup_entities()
    return structure.make_minimal_pdb(), list(shown)


def _bare_residue(name: str, number: int) -> gemmi.Residue:
    residue = gemmi.Residue()
    residue.name, residue.seqid, residue.het_flag = name, gemmi.SeqId(number, " "), "A"
    return residue


def _bare_atom(name: str, element: str, position: Array) -> gemmi.Atom:
    atom = gemmi.Atom()
    atom.name, atom.element, atom.pos, atom.occ = name, gemmi.Element(element), gemmi.Position(*position), 1.0
    return atom


def is_natural(coords: Array, letter: str) -> bool:
    """Whether the stereocentres of a complete residue (14, 3) have the hand of L-amino acids (of L-Ile and L-Thr at CB,
    too).
    """
    return all(chiral_volume(*coords[list(centre)]) > 0 for centre in chiral_centres(letter))


def _bonds_hold(coords: Array, letter: str, before: Mask) -> bool:
    """Whether every built atom lies within a bond's length, 1.1-2.2 Å, of another atom of its residue."""
    count = len(ATOM14[letter])
    gaps = np.linalg.norm(coords[:count, None] - coords[None, :count], axis=-1) + 9.0 * np.eye(count)
    nearest = gaps.min(1)[~before[:count]]
    return bool(((nearest > 1.1) & (nearest < 2.2)).all())


def _build_ideal(coords: Array, mask: Mask, sequence: str, i: int, given: Mask, around: Surroundings) -> None:
    """Put the side-chain atoms of residue ``i`` that the input lacks anew, from the template in its right hand.

    The template is laid over the backbone and CB, or over CA, CB and the side-chain atoms the input has. When that
    cannot give the right hand, the whole side chain is replaced. Changes ``coords`` and ``mask``.
    """
    letter = sequence[i]
    shape = template(letter)
    count = len(shape)
    there = given[:count].copy()
    anchors = there.copy()
    if there[5:].any():
        anchors[[0, 2, 3]] = False
    anchors[3] = False
    anchors[4] = True
    if anchors.sum() < 3:
        anchors[:3] = True
    laid = transformed(shape, *superpose(shape[anchors], coords[i, :count][anchors]))
    trial = coords[i].copy()
    trial[4:count] = np.where(there[4:, None], coords[i, 4:count], laid[4:])
    if not is_natural(trial, letter) and not _hand_is_given(letter, given):
        trial[4:count] = transformed(shape, *superpose(shape[:3], coords[i, :3]))[4:]
    coords[i, 4:count], mask[i, 4:count] = trial[4:count], True
    if not there[5:].any():
        _turn_free(coords, mask, sequence, i, around)


def _turn_free(coords: Array, mask: Mask, sequence: str, i: int, around: Surroundings) -> None:
    """Turn the side chain of ``i`` about CA-CB and CB-CG to where it has most room. Changes ``coords``."""
    letter = sequence[i]
    count = len(ATOM14[letter])
    if count < 6 or letter == "P":
        return
    others = np.concatenate((coords[mask & (np.arange(len(sequence)) != i)[:, None]], around.positions))
    own = others[np.linalg.norm(others - coords[i, 1], axis=1) < 12.0]
    own = np.concatenate((own, coords[i, [0, 2, 3]]))
    tree = cKDTree(own)
    branched = letter in "VIT"
    best, best_room = coords[i, 5:count].copy(), -1.0
    for first in np.radians((0.0, 120.0, 240.0, 20.0, 100.0, 140.0, 220.0, 260.0, 340.0)):
        one = turned_about(coords[i, 5:count], coords[i, 4], coords[i, 4] - coords[i, 1], first)
        for second in (0.0,) if branched or count < 7 else np.radians(np.arange(0.0, 360.0, 30.0)):
            trial = one.copy()
            trial[1:] = turned_about(one[1:], one[0], one[0] - coords[i, 4], second)
            room = min(3.2, float(tree.query(trial)[0].min()))
            if room > best_room + 1e-6:
                best, best_room = trial, room
    coords[i, 5:count] = best


@functools.cache
def template(letter: str) -> Array:
    """Heavy atoms of an L-residue in slot order, (len(ATOM14[letter]), 3), as pdbfixer ships them."""
    shape = OfflineFixer(pdbfile=io.StringIO(_SEED)).templates[ONE_TO_THREE[letter]]
    places = np.array(shape.positions.value_in_unit(unit.angstrom))
    by_name = {atom.name: places[atom.index] for atom in shape.topology.atoms()}
    return np.stack([by_name[name] for name in ATOM14[letter]])


_SEED = "ATOM      1  CA  ALA A   1       0.000   0.000   0.000  1.00  0.00           C  \nEND\n"
"""The smallest file pdbfixer opens."""
