"""The term "ensemble_evidence", F_exp of what is known of many structures at once: means and distributions.

A mean gives λ d, the one term that changes least else (maximum entropy, Jaynes 1957, Phys. Rev. 106:620); a
distribution gives a free energy of its distance, a spline through ``KNOTS`` values, so that the ensemble's marginal,
not its mean alone, becomes the measured one. Their numbers follow from the ensemble (``propagation.fitting``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refine.energy.evidence import FREEDOM, KT, DistanceEvidence, interpolated
from refine.energy.system import System
from refine.evidence.ensembles import MEAN, EnsembleRow
from refine.evidence.pairs import STUDENT, Row, pairs_of

KNOTS = 32


@dataclasses.dataclass(frozen=True)
class EnsembleEvidence:
    """Rows on the ensemble as a term.

    Attributes:
        rows: what is asked; atoms: where their distances come from.
        first, step: (K,) Å, the grids of the splines; their ends are those of the histograms, beyond which Student's t
            of one step leads back.
        knots: (K, ``KNOTS``) kT, 0 for means; slope: (K,) kT/Å, 0 for distributions.
        bounded: (K,) 1 for distributions, 0 for means.
    """

    rows: tuple[EnsembleRow, ...]
    atoms: DistanceEvidence
    first: Tensor
    step: Tensor
    knots: Tensor
    slope: Tensor
    bounded: Tensor
    name: str = "ensemble_evidence"

    @classmethod
    def of(cls, rows: Sequence[EnsembleRow], system: System) -> EnsembleEvidence:
        """The rows, nothing learned yet."""
        means = np.array([row.kind == MEAN for row in rows])
        ends = np.array([(0.0, 1.0) if row.kind == MEAN else (row.edges[0], row.edges[-1]) for row in rows])
        sites = [Row(row.kind, row.first, row.second, 0.0, 0.0, 1.0, 0.0, STUDENT, row.line) for row in rows]
        return cls(
            tuple(rows),
            DistanceEvidence.of(pairs_of(sites, "ensemble"), system),
            first=torch.from_numpy(ends[:, 0]).to(system.centroid_local),
            step=torch.from_numpy((ends[:, 1] - ends[:, 0]) / (KNOTS - 1)).to(system.centroid_local),
            knots=torch.zeros(len(rows), KNOTS).to(system.centroid_local),
            slope=torch.zeros(len(rows)).to(system.centroid_local),
            bounded=torch.from_numpy(~means).to(system.centroid_local),
        )

    def distances(self, coords: Tensor) -> Tensor:
        """(R, K) Å of backbones (R, L, 4, 3)."""
        return self.atoms.distances(coords)

    def row_energies(self, d: Tensor) -> Tensor:
        """(R, K) kcal/mol at distances (R, K) Å; differentiable."""
        place = (d - self.first) / self.step
        outside = (place - (KNOTS - 1)).clamp_min(0) + place.clamp_max(0)
        wall = 0.5 * (FREEDOM + 1) * torch.log1p(outside**2 / FREEDOM)
        return KT * (self.slope * d + self.bounded * (interpolated(self.knots, place) + wall))

    def __call__(self, coords: Tensor) -> Tensor:
        half = 0.5 * self.row_energies(self.distances(coords))
        shared = torch.zeros(coords.shape[:2], dtype=coords.dtype, device=coords.device)
        for side in range(2):
            shared = shared.index_add(1, self.atoms.values["residue"][:, side], half)
        return shared

    def at(self, coords: Tensor) -> EnsembleEvidence:  # noqa: ARG002 (holds nothing)
        return self

    def occupancy(self, d: Tensor, weight: Tensor | float) -> Tensor:
        """(K, ``KNOTS``) Σ weight × derivative by the knots, in kT, of the energies at distances (N, K) Å: what share
        of them lies at each knot, with weights (N, K) or one for all.
        """
        knots = torch.zeros_like(self.knots).requires_grad_(True)
        with torch.enable_grad():
            total = (weight * interpolated(knots, (d.detach() - self.first) / self.step)).sum()
            (share,) = torch.autograd.grad(total, knots)
        return share

    def asked(self) -> Tensor:
        """(K, ``KNOTS``) the occupancy of an ensemble that has the measured distributions; of means 0."""
        share = torch.zeros_like(self.knots)
        for k, row in enumerate(self.rows):
            if row.kind != MEAN:
                points = torch.as_tensor(_points(row.edges), device=share.device, dtype=share.dtype)
                weight = torch.as_tensor(row.probabilities / _PER_BIN, device=share.device, dtype=share.dtype)
                every, chosen = (torch.zeros(len(points), len(self.rows)).to(share) for _ in range(2))
                every[:, k], chosen[:, k] = points, weight.repeat_interleave(_PER_BIN)
                share += self.occupancy(every, chosen)
        return share


_PER_BIN = 4


def _points(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """``_PER_BIN`` points (Å) in each bin."""
    inside = (np.arange(_PER_BIN) + 0.5) / _PER_BIN
    return (edges[:-1, None] + np.diff(edges)[:, None] * inside).ravel()
