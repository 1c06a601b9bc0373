"""A CA trace from distances alone: multidimensional scaling, and the hand by what natives are like.

Distances do not tell a structure from its mirror image. Of the two the one is taken whose virtual dihedrals of four
consecutive CA atoms are the likelier ones in natives: helices are right-handed, strands twist one way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import shortest_path

from refine.errors import InputError
from refine.structure.arrays import dihedral

Array = NDArray[np.float64]

CA_CA = 3.8
"""Å between CA atoms of a trans peptide, which is assumed everywhere."""
_NEAREST = 3.9
"""Å below which CA atoms of other residues hardly ever come."""
_SECOND = (5.0, 7.3)
"""Å of CA atoms two residues apart."""
_CHAIN_WEIGHT, _SECOND_WEIGHT = 50.0, 3.0
"""How much more the distance of neighbours and of next neighbours counts than one that is given."""
CA_CB, _CA_CB_AFTER, _CA_CB_BEFORE = 1.53, 4.8, 4.5
"""Å from a CB to its own CA, to that of the residue before, and to that of the residue after."""
_LOOSE_WEIGHT = 0.3
"""Of the distance of next neighbours where it is not given."""
_ROUNDS = 100
_HAND = (0.501, 2.078, 0.523, 0.203)
"""Coefficients of ``hand_features`` for ln p(native)/p(mirror image), of 100 training chains
(benchmarks/fit_ca_trace.py); the hand of all 100 validation chains is told right."""


def embed(distances: Array, weights: Array | None = None, bonded: NDArray[np.bool_] | None = None) -> Array:
    """CA positions (L, 3) in Å, with the natural hand.

    Classical scaling (Torgerson 1952) for the start, distances that are not known filled in by shortest paths, then
    weighted stress made least by majorisation (de Leeuw 1977), with the distances of neighbours along the chain held at
    what they are in every protein.

    Args:
        distances: (L, L) Å, of each pair the mean of both entries; NaN where it is not known.
        weights: (L, L) 0 or more, 1 over the variance of each distance relative to the others; None means equal.
        bonded: (L - 1,) whether residue i + 1 follows i in a chain; None means one chain without gaps.

    Raises:
        InputError: it is no square matrix of at least four residues, or has distances or weights that cannot be.
    """
    target, weight = _checked(np.asarray(distances, np.float64), weights)
    joined = np.ones(len(target) - 1, np.bool_) if bonded is None else bonded
    x = _classical(_filled(target, weight))
    return natural_hand(_majorised(x, *_with_chain(target, weight, joined)))


def embed_side_chains(distances: Array, glycine: NDArray[np.bool_], weights: Array | None = None) -> Array:
    """CA positions (L, 3) in Å of one chain from distances between CB atoms (of glycine CA), as predicted distograms
    have them.

    Both atoms are placed together: a CB is bonded to its CA, and stands from the CA atoms before and after it as in
    every protein.

    Args:
        distances, weights: as of ``embed``, between CB atoms; glycine: (L,) bool.

    Raises:
        InputError: as of ``embed``.
    """
    given, own = _checked(np.asarray(distances, np.float64), weights)
    length, beads = len(given), int((~glycine).sum())
    cb = np.arange(length)
    cb[~glycine] = length + np.arange(beads)
    target, weight = np.zeros((length + beads, length + beads)), np.zeros((length + beads, length + beads))
    target[np.ix_(cb, cb)], weight[np.ix_(cb, cb)] = given, own
    i = np.arange(length)
    known = [(i[:-1], i[1:], CA_CA, _CHAIN_WEIGHT), (i[:-2], i[2:], float(np.mean(_SECOND)), _LOOSE_WEIGHT)]
    known += [(i[~glycine], cb[~glycine], CA_CB, _CHAIN_WEIGHT)]
    before, after = ~glycine[1:], ~glycine[:-1]
    known += [(i[:-1][before], cb[1:][before], _CA_CB_AFTER, _SECOND_WEIGHT)]
    known += [(i[1:][after], cb[:-1][after], _CA_CB_BEFORE, _SECOND_WEIGHT)]
    for a, b, value, strength in known:
        target[a, b] = target[b, a] = value
        weight[a, b] = weight[b, a] = strength
    x = _classical(_shortest(np.where(weight > 0, np.maximum(target, 1e-3), 0.0)))
    return natural_hand(_majorised(x, target, weight)[:length])


def _majorised(x: Array, target: Array, weight: Array) -> Array:
    """Points (N, 3) with the least weighted stress near a start, by majorisation."""
    inverse = np.linalg.pinv(np.diag(weight.sum(1)) - weight, hermitian=True)
    for _ in range(_ROUNDS):
        now = np.linalg.norm(x[:, None] - x, axis=-1)
        ratio = weight * np.where(now > 1e-6, target / np.maximum(now, 1e-6), 0.0)
        x = inverse @ ((np.diag(ratio.sum(1)) - ratio) @ x)
    return x


def natural_hand(ca: Array) -> Array:
    """The trace (L, 3) or its mirror image, whichever natives resemble more."""
    return ca if handedness(ca) >= 0 else ca * np.array((1.0, 1.0, -1.0))


def handedness(ca: Array) -> float:
    """ln of how much likelier the virtual dihedrals of a trace (L, 3) are in natives than those of its mirror image."""
    turn = dihedral(ca[:-3], ca[1:-2], ca[2:-1], ca[3:])
    return float(hand_features(turn).sum(0) @ np.array(_HAND))


def hand_features(turn: Array) -> Array:
    """(M, 4) sines of multiples of virtual dihedrals (M,), which change their sign with the hand."""
    return np.sin(np.arange(1, 5) * turn[:, None])


def _checked(distances: Array, weights: Array | None) -> tuple[Array, Array]:
    """Symmetric distances (0 where not known) and weights."""
    length = len(distances)
    if distances.ndim != 2 or distances.shape != (length, length) or length < 4:
        shape = " by ".join(map(str, distances.shape))
        raise InputError(f"distances of {shape} residues", remedy="Give a square matrix of at least four residues")
    weight = np.ones((length, length)) if weights is None else np.asarray(weights, np.float64)
    if weight.shape != distances.shape or not np.isfinite(weight).all() or (weight < 0).any():
        raise InputError("the weights are no numbers of 0 or more, one for each distance")
    known = np.isfinite(distances)
    if np.isinf(distances).any() or (distances[known] < 0).any():
        raise InputError("distances must be numbers of 0 or more, or NaN where they are not known")
    count = known + known.T.astype(np.float64)
    total = np.where(known, distances, 0.0)
    mean = (total + total.T) / np.maximum(count, 1.0)
    weight = np.where(known, weight, 0.0)
    weight = weight + weight.T
    np.fill_diagonal(weight, 0.0)
    np.fill_diagonal(mean, 0.0)
    return mean, weight / weight.max(initial=1e-300)


def _filled(target: Array, weight: Array) -> Array:
    """All distances: those not known by the shortest way over known ones and along the chain."""
    graph = np.where(weight > 0, np.maximum(target, 1e-3), 0.0)
    for i in range(len(graph) - 1):
        if graph[i, i + 1] == 0:
            graph[i, i + 1] = graph[i + 1, i] = CA_CA
    if (weight > 0).sum() >= weight.size - len(weight):
        return target
    return np.where(weight > 0, target, _shortest(graph))


def _shortest(graph: Array) -> Array:
    """Lengths of the shortest ways over the known distances (N, N), 0 where none is known."""
    paths: Array = shortest_path(graph, method="D", directed=False)
    return paths


def _classical(distances: Array) -> Array:
    """(L, 3) from the three largest eigenvalues of the doubly centred squares."""
    square = distances**2
    centred = -0.5 * (square - square.mean(0) - square.mean(1)[:, None] + square.mean())
    values, vectors = np.linalg.eigh(centred)
    return vectors[:, -3:] * np.sqrt(np.maximum(values[-3:], 1e-6))


def _with_chain(target: Array, weight: Array, joined: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Distances and weights with what every chain has: neighbours 3.8 Å apart, others not closer than atoms allow."""
    target, weight = np.maximum(target, _NEAREST), weight.copy()
    i = np.flatnonzero(joined)
    target[i, i + 1] = target[i + 1, i] = CA_CA
    weight[i, i + 1] = weight[i + 1, i] = _CHAIN_WEIGHT
    i = np.flatnonzero(joined[:-1] & joined[1:])
    second = np.where(weight[i, i + 2] > 0, np.clip(target[i, i + 2], *_SECOND), np.mean(_SECOND))
    target[i, i + 2] = target[i + 2, i] = second
    weight[i, i + 2] = weight[i + 2, i] = _SECOND_WEIGHT
    return target, weight
