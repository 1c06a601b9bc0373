"""The ensemble of a run: the snapshots that count, how well they sample, and the models they propose."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refine.energy.free_energy import FreeEnergy
from refine.ensemble.candidates import proposals, way_proposals
from refine.ensemble.proposal import Beside, Proposal, shortened
from refine.ensemble.sampling import Sampling, observables, path_of_one, sampling
from refine.ensemble.shapes import rmsf
from refine.propagation.constraints import Constraints
from refine.propagation.propagate import Trajectory

MOST_RESIDUES = 10_000
"""Residues in all snapshots that are written together; longer proteins keep fewer snapshots, never below 8."""


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """What is left of a propagation: of several replicas, once burn-in and correlated snapshots are gone; of one, its
    path.

    Attributes:
        snapshots: (F, L, 4, 3) float32 Å, equally weighted.
        sampling: which they are.
        spread: (L,) Å, root mean square fluctuation of CA.
        proposals: candidates for models; energies: (P,) kcal/mol of each, learned targets taken at it; of a path all
            have that of its end, and so the order in which they are named.
    """

    snapshots: NDArray[np.float32]
    sampling: Sampling
    spread: NDArray[np.float32]
    proposals: tuple[Proposal, ...]
    energies: NDArray[np.float64]

    def proposal(self, name: str) -> Proposal:
        """The proposal called ``name``."""
        return next(p for p in self.proposals if p.name == name)

    def thinned(self) -> Ensemble:
        """The same with its snapshots evenly thinned to what ``MOST_RESIDUES`` allows."""
        most = max(8, MOST_RESIDUES // self.snapshots.shape[1])
        if len(self.snapshots) <= most:
            return self
        rows = np.linspace(0, len(self.snapshots) - 1, most).round().astype(np.int64)
        return dataclasses.replace(self, snapshots=self.snapshots[rows])


def ensemble_of(
    trajectory: Trajectory,
    energy: FreeEnergy,
    start: Tensor,
    mobile: Tensor,
    constraints: Constraints | None,
    origin: Tensor | None = None,
    length: float = 1.0,
    beside: Beside | None = None,
) -> Ensemble:
    """The ensemble of a trajectory.

    Args:
        trajectory: what ``propagate`` gave.
        energy: by which the proposals are ranked.
        start: (1, L, 4, 3) Å, where it began; mobile: (L,) bool.
        constraints: bonded geometry that averages are restored to; None leaves them as they are.
        origin: (1, L, 4, 3) Å, the input of the run, of the way from which the proposals go ``length``; None for
            ``start``.
        beside: where other models of one replica lie; None without networks.
    """
    frames, free = trajectory.snapshots.cpu().numpy(), mobile.cpu().numpy()
    begin = (start if origin is None else origin)[0].cpu().numpy()
    values = trajectory.energies.double().cpu().numpy()
    if frames.shape[1] == 1:
        sampled, snapshots = path_of_one(len(frames)), frames[:, 0]
        candidates = way_proposals(snapshots, constraints, free, start[0].cpu().numpy(), beside)
        candidates = shortened(candidates, begin, length, anchored=not bool(mobile.all()))
        energies = np.full(len(candidates), values[-1, 0])
        return Ensemble(snapshots, sampled, rmsf(snapshots[:, :, 1]), tuple(candidates), energies)
    sampled = sampling(observables(frames, values, start[0].cpu().numpy()))
    snapshots = frames[sampled.kept].reshape(-1, *frames.shape[2:])
    candidates = proposals(trajectory.final.cpu().numpy(), snapshots, constraints, free)
    candidates = shortened(candidates, begin, length, anchored=not bool(mobile.all()))
    at = torch.from_numpy(np.stack([p.backbone for p in candidates])).to(start)
    with torch.no_grad():
        energies = energy.at(at)(at).total.double().cpu().numpy()
    return Ensemble(snapshots, sampled, rmsf(snapshots[:, :, 1]), tuple(candidates), energies)
