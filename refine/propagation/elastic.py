"""A backbone bent toward evidence as an elastic network, before the learned terms move it.

Small steps of equation (3) move residues one by one against their surroundings and cannot close a distance that is
wrong by several Å. Here all residues move together: the most likely structure given the rows, F_exp, and a Gaussian
network that says how far the input's own distances can be trusted (harmonic springs between CA atoms whose stiffness
falls with the sixth power of their length, Hinsen 1998, Proteins 33:417, and with the squared predicted error of their
ends). Gauss–Newton steps solve (H_network + H_rows) u = −∂(F_network + F_exp)/∂x; residues turn with their
surroundings, and bonded geometry is restored by projection after each.

How soft the network is, and whether the input is bent at all, is decided by rows left out, a fifth at a time: where
most rows do not hold yet, a softer network is taken if it predicts them better, and the input stays as it is where
bending predicts them clearly worse. Where violated rows meet in few residues (``misplaced``) these yield by themselves,
if rows left out are predicted clearly better so.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from refine.energy.evidence import DistanceEvidence
from refine.energy.system import System
from refine.propagation.constraints import Constraints
from refine.propagation.misplaced import misplaced, yielding
from refine.structure.geometry import kabsch

REACH = 12.0
"""Å, longest spring."""
STIFFNESS = 0.07
"""kcal/mol of a spring of 10 Å whose ends are predicted to be 1 Å wrong, times Å^-2 (benchmarks/LOG.md, evidence)."""
POWER = 6
"""Of length by which stiffness falls."""
CHAIN = 50.0
"""kcal/mol/Å^2 at least, between neighbours of the chain."""
SOFTER = (0.3, 0.1, 0.03)
"""Factors on the stiffness that are tried after 1, each only where the one before was not enough."""
ENOUGH = 0.5
"""Share of the rows that hold from which on the network is not made softer: rows have noise, and some are wrong."""
FOLDS = 5
CERTAIN = 2.0
"""Standard errors by which rows left out must be predicted worse for the input to stay as it is."""
LEAST_ROWS = 10
"""Rows that can be left out, below which nothing is."""
_BOND = 3.8
_RIDGE = 1e-3  # kcal/mol/Å^2 that hold every CA where it is, so that the whole does not drift
_STEPS, _MAX_STEP, _SETTLED = 10, 1.5, 0.03
"""Gauss–Newton steps at most, Å a CA may move in one, and Å below which the structure has settled."""
_SWEEPS = 10
_SEGMENT = 8
"""Residues whose pairs of a matrix are left out together."""


@dataclasses.dataclass(frozen=True)
class Bent:
    """What evidence made of a structure.

    Attributes:
        coords: (1, L, 4, 3) Å.
        factor: on the stiffness of the network; 0 where the structure was left as it was.
        held_out: mean energy of a row (kcal/mol) when it is left out, at the input and at the structures bent to the
            other rows; NaN where too few could be left out.
        change: mean difference of the two in its standard errors; NaN likewise.
        misplaced: (L,) Å by which residues are wrong that yielded by themselves, 0 for the others; None where none did.
    """

    coords: Tensor
    factor: float
    held_out: tuple[float, float]
    change: float = float("nan")
    misplaced: NDArray[np.float64] | None = None

    @property
    def certain(self) -> bool:
        """Whether rows left out say for certain that the bent structure is better."""
        return self.change < -CERTAIN


class Network:
    """A structure as an elastic network at rest.

    Args:
        system: its constraints and chain; coords: (1, L, 4, 3) Å, where it rests.
        error: (L,) Å, by how much each residue is predicted to be wrong.
        mobile: (L,) bool; the others stay.
    """

    def __init__(self, system: System, coords: Tensor, error: NDArray[np.floating], mobile: NDArray[np.bool_]) -> None:
        self.system, self.coords, self.mobile, self.error = system, coords, mobile, error
        self._constraints = Constraints.of(system)
        ca = coords[0, :, 1].double().cpu().numpy()
        pairs = cKDTree(ca).query_pairs(REACH, output_type="ndarray")
        pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.int64)
        self._first, self._second = pairs[:, 0], pairs[:, 1]
        self._rest = np.linalg.norm(ca[self._second] - ca[self._first], axis=1)
        square = error.astype(np.float64) ** 2
        wrong = 0.5 * (square[self._first] + square[self._second])
        self._stiffness = STIFFNESS / wrong * (10.0 / np.maximum(self._rest, _BOND)) ** POWER
        self._along = (self._second == self._first + 1) & system.bonded.cpu().numpy()[self._first]

    def bent(self, evidence: DistanceEvidence, factor: float = 1.0) -> Tensor:
        """(1, L, 4, 3) Å, settled between the rows and the network with ``factor`` on its stiffness."""
        stiffness = factor * self._stiffness
        stiffness = np.where(self._along, np.maximum(stiffness, CHAIN), stiffness)
        coords = self.coords
        for _ in range(_STEPS):
            moved, longest = self._step(coords, evidence, stiffness)
            if longest < _SETTLED:
                break
            coords = moved
        return coords

    def _step(self, coords: Tensor, evidence: DistanceEvidence, stiffness: NDArray[np.float64]) -> tuple[Tensor, float]:
        """One Gauss–Newton step, and the Å that the CA which moves farthest would go without a limit."""
        with torch.no_grad():
            points = evidence.points(coords)[0].double().cpu().numpy()
            slope, rows = (v[0].double().cpu().numpy() for v in evidence.slopes(evidence.distances(coords)))
        ca = coords[0, :, 1].double().cpu().numpy()
        line, length = _lines(ca[self._second] - ca[self._first])
        residue = evidence.pairs.residue
        first, second = np.concatenate((self._first, residue[:, 0])), np.concatenate((self._second, residue[:, 1]))
        lines = np.concatenate((line, _lines(points[:, 1] - points[:, 0])[0]))
        pull = np.concatenate((stiffness * (length - self._rest), slope))[:, None] * lines
        force = np.zeros_like(ca)
        np.add.at(force, first, pull)
        np.add.at(force, second, -pull)
        shift = self._solved(_hessian(first, second, lines, np.concatenate((stiffness, rows)), len(ca)), force)
        longest = float(np.linalg.norm(shift, axis=1).max(initial=0.0))
        shift *= min(1.0, _MAX_STEP / max(longest, 1e-9))
        return self._carried(coords, torch.from_numpy(shift).to(coords)), longest

    def _solved(self, hessian: scipy.sparse.csc_matrix, force: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displacement (L, 3) Å of the CA atoms under ``force`` (L, 3) kcal/mol/Å."""
        shift = np.zeros(force.size)
        free = np.flatnonzero(np.repeat(self.mobile, 3))
        if len(free):
            shift[free] = scipy.sparse.linalg.spsolve(hessian[free][:, free], force.ravel()[free])
        return shift.reshape(force.shape)

    def _carried(self, coords: Tensor, shift: Tensor) -> Tensor:
        """Residues (1, L, 4, 3) moved by ``shift`` (L, 3), each turned about its CA as its surroundings turn."""
        device = coords.device
        first, second = (torch.from_numpy(k).to(device) for k in (self._first, self._second))
        ca = coords[0, :, 1]
        before = ca[second] - ca[first]
        after = before + shift[second] - shift[first]
        weight = torch.from_numpy(self._stiffness).to(coords) ** (1 / 3)
        outer = weight[:, None, None] * after.unsqueeze(-1) @ before.unsqueeze(-2)
        total = torch.zeros(len(ca), 3, 3, dtype=coords.dtype, device=device)
        rot = kabsch(total.index_add(0, first, outer).index_add(0, second, outer))
        moved = ((ca + shift)[:, None] + (coords[0] - ca[:, None]) @ rot.transpose(-1, -2))[None]
        free = torch.from_numpy(self.mobile).to(device)
        moved = torch.where(free[:, None, None], moved, coords)
        return torch.where(free[:, None, None], self._constraints.restore(moved, free, _SWEEPS), coords)

    def chosen(self, evidence: DistanceEvidence, seed: int = 0) -> Bent:
        """Bent with the stiffness that rows left out ask for, or not at all where they are predicted worse then.

        A softer network is taken where most rows do not hold yet and those left out are predicted better; residues in
        which violated rows meet yield where those left out are predicted better by more than ``CERTAIN`` standard
        errors of the mean difference. By as much must they be predicted worse to speak against bending.
        """
        folds = _folds(evidence, seed)
        counted = folds >= 0
        if int(counted.sum()) < LEAST_ROWS:
            coords = self.bent(evidence)
            factor = 0.0 if torch.equal(coords, self.coords) else 1.0
            return Bent(coords, factor, (float("nan"), float("nan")))
        before = _row_energies(evidence, self.coords)[counted]
        best, wrong = self._softened(evidence, folds, yields=False), self._misplaced(evidence)
        yielded = False
        if wrong.any():
            other = self._softened(evidence, folds, yields=True)
            yielded = _change(other.left_out, best.left_out) < -CERTAIN
            best = other if yielded else best
        held_out, change = (float(before.mean()), float(best.left_out.mean())), _change(best.left_out, before)
        if change > CERTAIN or torch.equal(best.coords, self.coords):
            return Bent(self.coords, 0.0, held_out, change)
        return Bent(best.coords, best.factor, held_out, change, wrong if yielded else None)

    def _softened(self, evidence: DistanceEvidence, folds: NDArray[np.int64], *, yields: bool) -> _Softened:
        """As stiff as rows left out ask for."""
        network = self._with_yielding(evidence) if yields else self
        factor, coords = 1.0, network.bent(evidence)
        left_out = self._left_out(evidence, folds, factor, yields)
        for softer in SOFTER:
            if evidence.pairs.holds(evidence.measured(coords[0].cpu().numpy())).mean() >= ENOUGH:
                break
            energies = self._left_out(evidence, folds, softer, yields)
            if energies.mean() >= left_out.mean():
                break
            factor, coords, left_out = softer, network.bent(evidence, softer), energies
        return _Softened(factor, coords, left_out)

    def _misplaced(self, evidence: DistanceEvidence) -> NDArray[np.float64]:
        """(L,) Å, by the rows that are measurements of their own."""
        pairs = evidence.pairs.rows(evidence.pairs.single & (evidence.pairs.weight > 0))
        distance = DistanceEvidence.of(pairs, self.system).measured(self.coords[0].cpu().numpy())
        violation = np.where(pairs.holds(distance), 0.0, np.abs(pairs.excess(distance)))
        return misplaced(pairs.residue, violation, len(self.error))

    def _with_yielding(self, evidence: DistanceEvidence) -> Network:
        """The network in which misplaced residues yield."""
        error = np.hypot(self.error, yielding(self._misplaced(evidence)))
        return Network(self.system, self.coords, error, self.mobile)

    def _left_out(
        self, evidence: DistanceEvidence, folds: NDArray[np.int64], factor: float, yields: bool
    ) -> NDArray[np.float64]:
        """Energies (K,) kcal/mol of the rows that are counted at structures bent to those of other folds, which alone
        say what yields.
        """
        energies = np.zeros(len(folds))
        for fold in range(FOLDS):
            kept = DistanceEvidence.of(evidence.pairs.rows(folds != fold), self.system)
            left = folds == fold
            network = self._with_yielding(kept) if yields else self
            energies[left] = _row_energies(evidence, network.bent(kept, factor))[left]
        return energies[folds >= 0]


@dataclasses.dataclass(frozen=True)
class _Softened:
    """Factor on the stiffness, (1, L, 4, 3) Å, and energies kcal/mol of the rows left out that are counted."""

    factor: float
    coords: Tensor
    left_out: NDArray[np.float64]


def _change(new: NDArray[np.float64], old: NDArray[np.float64]) -> float:
    """Mean difference of paired numbers in its standard errors."""
    difference = new - old
    return float(difference.mean() / max(difference.std(ddof=1) / np.sqrt(len(difference)), 1e-12))


def _folds(evidence: DistanceEvidence, seed: int) -> NDArray[np.int64]:
    """(K,) the fifth each row is left out in; −1 for rows that say nothing against the input (PAE), or have no weight.

    Pairs of a matrix are left out together with others of their residues.
    """
    pairs = evidence.pairs
    order = np.random.default_rng(seed).permutation(len(pairs)) % FOLDS
    folds = np.where(pairs.single, order, pairs.residue[:, 0] // _SEGMENT % FOLDS)
    silent = np.array([kind == "pae" for kind in pairs.kinds], np.bool_) | (pairs.weight == 0)
    return np.where(silent, -1, folds).astype(np.int64)


def _row_energies(evidence: DistanceEvidence, coords: Tensor) -> NDArray[np.float64]:
    with torch.no_grad():
        return evidence.row_energies(evidence.distances(coords))[0].double().cpu().numpy()


def _lines(delta: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors (K, 3) and lengths (K,) of (K, 3)."""
    length = np.maximum(np.linalg.norm(delta, axis=1), 1e-6)
    return delta / length[:, None], length


def _hessian(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    line: NDArray[np.float64],
    stiffness: NDArray[np.float64],
    length: int,
) -> scipy.sparse.csc_matrix:
    """(3L, 3L) of springs between points ``first`` and ``second`` (S,), stiff along ``line`` (S, 3) alone."""
    block = stiffness[:, None, None] * line[:, :, None] * line[:, None, :]
    axis, rows, columns, values = np.arange(3), [], [], []
    for a, b, sign in ((first, first, 1), (second, second, 1), (first, second, -1), (second, first, -1)):
        rows.append(np.broadcast_to((3 * a[:, None] + axis)[:, :, None], block.shape).ravel())
        columns.append(np.broadcast_to((3 * b[:, None] + axis)[:, None, :], block.shape).ravel())
        values.append((sign * block).ravel())
    ridge, diagonal = np.full(3 * length, _RIDGE), np.arange(3 * length)
    places = (np.concatenate((*rows, diagonal)), np.concatenate((*columns, diagonal)))
    return scipy.sparse.csc_matrix((np.concatenate((*values, ridge)), places), shape=(3 * length, 3 * length))
