"""The term "electrostatics", F_LR: screened charges beyond what the learned terms see.

E = Σ_{i<j} s(r) 332.06 q_i q_j exp(−r/λ) / (ε r) in kcal/mol (Debye & Hückel), charges on the middles of titratable
groups, which ride on the frames of their residues. s rises from 0 to 1 around the cutoff of the learned terms, so that
salt bridges, which they know, are not counted twice, and falls to 0 where screening has left nothing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from refine.energy.system import System
from refine.networks.environment import smooth_cutoff
from refine.physics.conditions import Conditions
from refine.physics.titration import Group, charges
from refine.structure.geometry import distance, frames, to_global, to_local
from refine.structure.protein import Protein

COULOMB = 332.06
"""kcal/mol Å of two elementary charges."""
CUTOFF = 12.0
"""Å, of the learned terms."""
HALF_WIDTH = 2.0
"""Å on either side of a cutoff in which s changes."""
LENGTHS, FARTHEST = 3.0, 40.0
"""Debye lengths beyond ``CUTOFF`` after which charges are not felt, and Å at most."""


@dataclasses.dataclass(frozen=True)
class Electrostatics:
    """F_LR of S charges; cost is in proportion to their number, by a list of neighbours.

    Attributes:
        residue: (S,) int64; local: (S, 3) Å in the residue frame; charge: (S,) e.
        permittivity: ε; screening: λ in Å.
        inner: Å where s is ½ on the way up (−``HALF_WIDTH``: nothing is left out); outer: Å where it is ½ on the
            way down.
    """

    residue: Tensor
    local: Tensor
    charge: Tensor
    permittivity: float
    screening: float
    inner: float = CUTOFF
    outer: float = FARTHEST
    name: str = "electrostatics"

    @classmethod
    def of(
        cls, protein: Protein, groups: Sequence[Group], conditions: Conditions, system: System, inner: float = CUTOFF
    ) -> Electrostatics:
        """The term of replica 0 of ``protein``."""

        def tensor(values: NDArray[np.floating]) -> Tensor:
            return torch.as_tensor(values, device=system.device, dtype=system.dtype)

        points = np.array([protein.coords[0, g.residue, list(g.slots)].mean(0) for g in groups]).reshape(-1, 3)
        residue = torch.tensor([g.residue for g in groups], dtype=torch.int64, device=system.device)
        backbone = tensor(protein.coords[0, :, :3].copy())[residue]
        rot = frames(backbone[:, 0], backbone[:, 1], backbone[:, 2])
        return cls(
            residue,
            to_local(rot, backbone[:, 1], tensor(points)),
            tensor(charges(tuple(groups), conditions.acidity)),
            conditions.permittivity,
            conditions.screening,
            inner,
            min(inner + LENGTHS * conditions.screening, FARTHEST),
        )

    def sites(self, coords: Tensor) -> Tensor:
        """(R, S, 3) Å of backbones (R, L, 4, 3)."""
        own = coords[:, self.residue]
        return to_global(frames(own[:, :, 0], own[:, :, 1], own[:, :, 2]), own[:, :, 1], self.local)

    def __call__(self, coords: Tensor) -> Tensor:
        sites = self.sites(coords)
        replicas, count = sites.shape[:2]
        pairs = self._neighbours(sites.detach().double().cpu().numpy())
        first, second = (torch.from_numpy(index).to(coords.device) for index in pairs)
        flat = sites.reshape(-1, 3)
        half = 0.5 * self.pair_energy(
            distance(flat[first], flat[second]), self.charge[first % count] * self.charge[second % count]
        )
        length = coords.shape[1]
        shared = torch.zeros(replicas * length, dtype=coords.dtype, device=coords.device)
        for index in (first, second):
            shared = shared.index_add(0, index // count * length + self.residue[index % count], half)
        return shared.reshape(replicas, length)

    def pair_energy(self, r: Tensor, product: Tensor) -> Tensor:
        """kcal/mol of pairs at distances r (P,) Å with products (P,) of charges."""
        screened = torch.exp(-r / self.screening) if math.isfinite(self.screening) else torch.ones_like(r)
        near = smooth_cutoff(r, self.inner - HALF_WIDTH, self.inner + HALF_WIDTH)
        switch = (1.0 - near) * smooth_cutoff(r, self.outer - HALF_WIDTH, self.outer + HALF_WIDTH)
        return switch * COULOMB / self.permittivity * product * screened / r

    def at(self, coords: Tensor) -> Electrostatics:  # noqa: ARG002 (holds nothing)
        return self

    def _neighbours(self, sites: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(P,) twice: pairs of charges of sites (R, S, 3) within reach, flat indices, in one order."""
        found = []
        for r, points in enumerate(sites):
            if len(points) > 1 and np.isfinite(points).all():
                pairs = cKDTree(points).query_pairs(self.outer + HALF_WIDTH, output_type="ndarray").astype(np.int64)
                square = ((points[pairs[:, 0]] - points[pairs[:, 1]]) ** 2).sum(1)
                pairs = pairs[square > max(self.inner - HALF_WIDTH, 0.0) ** 2]
                found.append(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))] + r * sites.shape[1])
        every = np.concatenate(found) if found else np.zeros((0, 2), np.int64)
        return np.ascontiguousarray(every[:, 0]), np.ascontiguousarray(every[:, 1])
