"""Missing backbone atoms placed by ideal geometry: rigid peptides and residues laid over the atoms that are there.

Ideal values: Engh & Huber (1991), from ``constants``. Numpy in float64; nothing here changes its arguments.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from refine import constants as k
from refine.structure.arrays import frames, place_atom, superpose, transformed
from refine.structure.ca_trace import peptide_oxygens
from refine.structure.chemistry import CIS_CA_CA

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

N, CA, C, O, CB = range(5)  # noqa: E741

_MAX_FIT = 0.4
"""Å rmsd up to which a template describes the atoms it is laid over."""


def _peptide(omega: float) -> Array:
    """CA, C, O, N, CA of a planar peptide, (5, 3)."""
    ca = np.zeros(3)
    c = np.array((k.BOND_CA_C, 0.0, 0.0))
    plane = np.array((0.0, 1.0, 0.0))
    n = place_atom(plane, ca, c, k.BOND_C_N, k.ANGLE_CA_C_N, 0.0)
    o = place_atom(n, ca, c, k.BOND_C_O, k.ANGLE_CA_C_O, math.pi)
    return np.stack((ca, c, o, n, place_atom(ca, c, n, k.BOND_N_CA, k.ANGLE_C_N_CA, omega)))


def _residue() -> Array:
    """N, CA, C, O, CB of an L-residue with psi 140 degrees, (5, 3)."""
    ca, c = np.zeros(3), np.array((k.BOND_CA_C, 0.0, 0.0))
    n = np.array((k.BOND_N_CA * math.cos(k.ANGLE_N_CA_C), k.BOND_N_CA * math.sin(k.ANGLE_N_CA_C), 0.0))
    o = place_atom(n, ca, c, k.BOND_C_O, k.ANGLE_CA_C_O, math.radians(-40.0))
    cb = place_atom(c, n, ca, 1.530, math.radians(110.5), math.radians(-122.6))
    return np.stack((n, ca, c, o, cb))


TRANS, CIS, RESIDUE = _peptide(math.pi), _peptide(0.0), _residue()


def neighbours(coords: Array, mask: Mask, chains: list[str], numbers: list[int]) -> Mask:
    """(L,) bool: residue i + 1 follows i in the chain so closely that a peptide lies between them.

    Judged by what there is: C-N, else CA-CA, else consecutive numbers.
    """
    near = np.zeros(len(chains), dtype=np.bool_)
    for i in range(len(chains) - 1):
        if chains[i] != chains[i + 1]:
            continue
        if mask[i, C] and mask[i + 1, N]:
            near[i] = np.linalg.norm(coords[i, C] - coords[i + 1, N]) <= k.MAX_PEPTIDE_BOND
        elif mask[i, CA] and mask[i + 1, CA]:
            near[i] = 2.6 <= np.linalg.norm(coords[i, CA] - coords[i + 1, CA]) <= k.MAX_CA_CA
        else:
            near[i] = numbers[i + 1] - numbers[i] in (0, 1)
    return near


def complete_backbone(coords: Array, mask: Mask, near: Mask) -> tuple[Array, Mask]:
    """Coordinates (L, 14, 3) and mask with every N, CA, C, O that can be placed; the rest stays absent.

    Peptides come first, from stretches of CA atoms and from the atoms of a peptide that are there, then single
    residues. Placed atoms are ideal within their peptide; the N-CA-C angle follows from its two neighbours and may be
    off by some degrees.
    """
    coords, mask = coords.astype(np.float64).copy(), mask.copy()
    for i in map(int, np.flatnonzero(near)):
        if not mask[i : i + 2, :4].all():
            _lay_peptide(coords, mask, i)
    _from_trace(coords, mask, near)
    for i in range(len(coords)):
        if not mask[i, :4].all():
            _lay_residue(coords, mask, near, i)
    return coords, mask


def _lay_peptide(coords: Array, mask: Mask, i: int) -> None:
    """Fill the gaps of the peptide i, i + 1 from the ideal one that fits its atoms, when three or more of them are
    there.
    """
    where = ((i, CA), (i, C), (i, O), (i + 1, N), (i + 1, CA))
    there = np.array([mask[w] for w in where])
    if there.all() or there.sum() < 3:
        return
    points = np.stack([coords[w] for w in where])
    best = min((_fitted(shape, points, there) for shape in (TRANS, CIS)), key=lambda pair: pair[1])
    if best[1] > _MAX_FIT:
        return
    _fill(coords, mask, where, best[0])


def _fitted(shape: Array, points: Array, there: Mask) -> tuple[Array, float]:
    """``shape`` laid over the points that are there, and the rmsd in Å."""
    laid = transformed(shape, *superpose(shape[there], points[there]))
    return laid, float(np.sqrt(((laid - points)[there] ** 2).sum(1).mean()))


def _fill(coords: Array, mask: Mask, where: tuple[tuple[int, int], ...], laid: Array) -> None:
    for w, point in zip(where, laid, strict=True):
        if not mask[w] and w[1] != CB:
            coords[w], mask[w] = point, True


def _from_trace(coords: Array, mask: Mask, near: Mask) -> None:
    """Peptides that have nothing but their CA atoms, stretch by stretch of at least four residues."""
    start = 0
    for stop in range(1, len(coords) + 1):
        if stop < len(coords) and near[stop - 1] and mask[stop, CA] and mask[stop - 1, CA]:
            continue
        if stop - start >= 4:
            ca = coords[start:stop, CA]
            for i, up in enumerate(peptide_oxygens(ca)):
                j = start + i
                if mask[j, C] or mask[j + 1, N]:
                    continue
                shape = TRANS if np.linalg.norm(ca[i + 1] - ca[i]) > CIS_CA_CA else CIS
                _fill(
                    coords,
                    mask,
                    ((j, CA), (j, C), (j, O), (j + 1, N), (j + 1, CA)),
                    _turned(shape, ca[i], ca[i + 1], up),
                )
        start = stop


def _turned(shape: Array, first: Array, second: Array, up: Array) -> Array:
    """``shape`` with its CA atoms along first-second, centred between them, its O towards ``up``."""
    centre = (shape[0] + shape[4]) / 2
    rot = frames(first + up, first, second) @ frames(shape[2], shape[0], shape[4]).T
    return transformed(shape - centre, rot, (first + second) / 2)


def _lay_residue(coords: Array, mask: Mask, near: Mask, i: int) -> None:
    """Fill one residue from its own atoms; chain ends grow from the neighbour's peptide."""
    if mask[i, N] and mask[i, CA] and not mask[i, C] and i > 0 and near[i - 1] and mask[i - 1, C]:
        coords[i, C] = place_atom(
            coords[i - 1, C], coords[i, N], coords[i, CA], k.BOND_CA_C, k.ANGLE_N_CA_C, math.radians(-75.0)
        )
        mask[i, C] = True
    if mask[i, C] and mask[i, CA] and mask[i, O] and not mask[i, N] and not mask[i, CB]:
        coords[i, N] = place_atom(
            coords[i, O], coords[i, C], coords[i, CA], k.BOND_N_CA, k.ANGLE_N_CA_C, math.radians(-40.0)
        )
        mask[i, N] = True
    where = tuple((i, slot) for slot in (N, CA, C, O, CB))
    there = np.array([mask[w] for w in where])
    if mask[i, :4].all() or there.sum() < 3:
        return
    laid, _ = _fitted(RESIDUE, np.stack([coords[w] for w in where]), _rigid(there))
    _fill(coords, mask, where, laid)


def _rigid(there: Mask) -> Mask:
    """Leave O out of the fit when the others suffice: it turns about CA-C."""
    without = there & np.array((True, True, True, False, True))
    return without if without.sum() >= 3 else there


def place_oxt(n: Array, ca: Array, c: Array, o: Array) -> Array:
    """Terminal oxygen opposite O in the plane of CA, C, O; bond 1.25 Å (amber14). ``n`` decides when these are
    collinear.
    """
    reference = o if np.linalg.norm(np.cross(ca - c, o - c)) > 1e-3 else n
    return place_atom(reference, ca, c, 1.25, math.radians(117.0), math.pi)
