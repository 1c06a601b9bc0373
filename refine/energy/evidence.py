"""The term "evidence", F_exp: what the user knows of distances, −kT ln p(d) for each row.

Rows are independent measurements; each has its own form (``evidence.pairs.FORMS``) and weight. Student's t, with
``FREEDOM`` degrees, grows as a logarithm, so that a row that is wrong by many sigma pulls less and less. Side-chain
atoms ride on the frames of their residues.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refine.constants import BOLTZMANN
from refine.energy.system import System
from refine.energy.term import Term
from refine.evidence.pairs import CONTACT, DENSITY, GAUSSIAN, GRID_POINTS, GRID_START, GRID_STEP, STUDENT, Pairs
from refine.evidence.read import Evidence
from refine.structure.geometry import distance, frames, to_global

KT = BOLTZMANN * 298.15
FREEDOM = 4.0
"""Of Student's t."""
_GRID_END = GRID_START + GRID_STEP * (GRID_POINTS - 1)
"""Å, where densities end; beyond it they go on as Student's t of 1 Å, which leads back."""
_LEAST_WIDTH = 0.5
"""Å from the most likely distance within which a density counts as parabolic."""


@dataclasses.dataclass(frozen=True)
class DistanceEvidence:
    """Rows on distances as a term; makes no difference between replicas.

    Attributes:
        pairs: the rows.
        local: (K, 2, 3) Å, side-chain atoms in the frames of their residues.
        values: columns of ``pairs`` as tensors on the system's device, by name.
    """

    pairs: Pairs
    local: Tensor
    values: dict[str, Tensor]
    name: str = "evidence"

    @classmethod
    def of(cls, pairs: Pairs, system: System) -> DistanceEvidence:
        """The rows ``pairs`` of ``system``."""
        names = ("lower", "upper", "sigma", "weight", "density")
        values = {
            name: torch.as_tensor(getattr(pairs, name), device=system.device, dtype=system.dtype) for name in names
        }
        values |= {name: torch.as_tensor(getattr(pairs, name), device=system.device) for name in ("residue", "slot")}
        for name, form in (("student", STUDENT), ("gaussian", GAUSSIAN), ("contact", CONTACT), ("dense", DENSITY)):
            values[name] = torch.as_tensor(np.flatnonzero(pairs.form == form), device=system.device)
        side = (values["slot"] - 4).clamp_min(0)
        return cls(pairs, system.side_chain_local[values["residue"], side], values)

    def points(self, coords: Tensor) -> Tensor:
        """(R, K, 2, 3) Å, the atoms of the rows on backbones (R, L, 4, 3)."""
        residue, slot = self.values["residue"], self.values["slot"]
        own = coords[:, residue]
        backbone = own.gather(3, slot.clamp_max(3)[None, :, :, None, None].expand(len(coords), -1, -1, 1, 3)).squeeze(3)
        riding = to_global(frames(own[..., 0, :], own[..., 1, :], own[..., 2, :]), own[..., 1, :], self.local)
        return torch.where((slot > 3)[None, :, :, None], riding, backbone)

    def distances(self, coords: Tensor) -> Tensor:
        """(R, K) Å."""
        points = self.points(coords)
        return distance(points[:, :, 0], points[:, :, 1])

    def measured(self, backbone: NDArray[np.floating]) -> NDArray[np.float64]:
        """(K,) Å of one backbone (L, 4, 3)."""
        with torch.no_grad():
            coords = torch.as_tensor(backbone[None]).to(self.local)
            return self.distances(coords)[0].double().cpu().numpy()

    def row_energies(self, d: Tensor) -> Tensor:
        """(R, K) kcal/mol, weighted, at distances (R, K) Å; differentiable."""
        v = self.values
        z = ((d - v["upper"]).clamp_min(0) + (d - v["lower"]).clamp_max(0)) / v["sigma"]
        energy = torch.zeros_like(d)
        student, gaussian, contact, dense = (v[name] for name in ("student", "gaussian", "contact", "dense"))
        energy = energy.index_copy(1, student, 0.5 * (FREEDOM + 1) * torch.log1p(z[:, student] ** 2 / FREEDOM))
        energy = energy.index_copy(1, gaussian, 0.5 * z[:, gaussian] ** 2)
        beyond = (d[:, contact] - v["upper"][contact]) / v["sigma"][contact]
        energy = energy.index_copy(1, contact, torch.nn.functional.softplus(beyond))
        outside = (d[:, dense] - _GRID_END).clamp_min(0) + (d[:, dense] - GRID_START).clamp_max(0)
        tail = 0.5 * (FREEDOM + 1) * torch.log1p(outside**2 / FREEDOM)
        energy = energy.index_copy(1, dense, interpolated(v["density"], (d[:, dense] - GRID_START) / GRID_STEP) + tail)
        return KT * v["weight"] * energy

    def __call__(self, coords: Tensor) -> Tensor:
        half = 0.5 * self.row_energies(self.distances(coords))
        shared = torch.zeros(coords.shape[:2], dtype=coords.dtype, device=coords.device)
        for side in range(2):
            shared = shared.index_add(1, self.values["residue"][:, side], half)
        return shared

    def at(self, coords: Tensor) -> DistanceEvidence:  # noqa: ARG002 (holds nothing)
        return self

    def slopes(self, d: Tensor) -> tuple[Tensor, Tensor]:
        """dE/dd (R, K) kcal/mol/Å at distances (R, K) Å, and the stiffness (R, K) kcal/mol/Å² of the parabola that
        touches the row's energy there from above.
        """
        d = d.detach().requires_grad_(True)
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(self.row_energies(d).sum(), d)
        v, d = self.values, d.detach()
        excess = (d - v["upper"]).clamp_min(0) + (d - v["lower"]).clamp_max(0)
        square = (excess / v["sigma"]) ** 2
        scale = KT * v["weight"] / v["sigma"] ** 2
        student = scale * (FREEDOM + 1) / (FREEDOM + square)
        contact = slope.abs() / (excess + 2.0 * v["sigma"])
        dense = slope.abs() / excess.abs().clamp_min(_LEAST_WIDTH)
        stiffness = scale.expand_as(d).clone()
        for name, values in (("student", student), ("contact", contact), ("dense", dense)):
            stiffness[:, v[name]] = values[:, v[name]]
        return slope, stiffness


def evidence_terms(evidence: Evidence, system: System) -> tuple[Term, ...]:
    """The terms of F_exp; none for evidence that holds no rows."""
    return (DistanceEvidence.of(evidence.pairs, system),) if len(evidence.pairs) else ()


def interpolated(values: Tensor, place: Tensor) -> Tensor:
    """Cubic splines (Catmull–Rom) through ``values`` (K, G) at places (R, K) in steps of their grids; flat beyond
    the ends.
    """
    points = values.shape[1]
    x = place.clamp(0, points - 1 - 1e-4)
    left = x.detach().floor().long()
    t = x - left
    near = [(left + k).clamp(0, points - 1) for k in (-1, 0, 1, 2)]
    a, b, c, e = (values[torch.arange(values.shape[0], device=values.device), index] for index in near)
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - e + t * (3 * (b - c) + e - a)))
