"""Backbone torsions: −kT log of the density of (phi, psi) in crystal structures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from refine.constants import BOLTZMANN
from refine.energy.system import System
from refine.energy.torsion_density import TorsionDensity, with_densities
from refine.structure.geometry import dihedral
from refine.structure.reference import RamachandranTable
from refine.structure.reference import ramachandran as reference_table

TEMPERATURE = 300.0
"""K, at which a log density becomes an energy."""


@dataclasses.dataclass(frozen=True)
class Ramachandran:
    """E_i = −kT log p(phi_i, psi_i | class) for residues with both neighbours bonded, relative to a uniform density.

    Zero therefore means "no better than any torsion"; the classes are those of the table (general, glycine, proline,
    pre-proline, Ile/Val). Interpolation is bicubic and periodic: the forces are continuous.

    Attributes:
        table: the reference densities, and behind them those of simulations.
        kind: (L,) class; weight: (L,) kT where both torsions exist, else 0.
    """

    table: RamachandranTable
    kind: Tensor
    weight: Tensor
    name: str = "ramachandran"

    def __call__(self, coords: Tensor) -> Tensor:
        n, ca, c = coords[:, :, 0], coords[:, :, 1], coords[:, :, 2]
        energy = torch.zeros_like(n[..., 0])
        if coords.shape[1] < 3:
            return energy
        phi = dihedral(c[:, :-2], n[:, 1:-1], ca[:, 1:-1], c[:, 1:-1])
        psi = dihedral(n[:, 1:-1], ca[:, 1:-1], c[:, 1:-1], n[:, 2:])
        log_p = self.table.interpolate(phi, psi, self.kind[1:-1]) + _LOG_AREA
        inner = -self.weight[1:-1] * log_p
        return torch.nn.functional.pad(inner, (1, 1))

    def at(self, coords: Tensor) -> Ramachandran:
        return self


_LOG_AREA = 2 * torch.log(torch.tensor(2 * torch.pi)).item()


def ramachandran(
    system: System, temperature: float = TEMPERATURE, densities: Sequence[TorsionDensity] = ()
) -> Ramachandran:
    """The Ramachandran term of ``system``; ``temperature`` in K sets its unit, ``densities`` of simulations take the
    place of crystal structures for the residues they stand for.
    """
    table, bonded = reference_table(), system.bonded.cpu().numpy()
    classes = table.classify(system.sequence, bonded)
    if densities:
        followed = np.array([aa == "P" for aa in (*system.sequence[1:], "")]) & bonded
        table, classes = with_densities(table, classes, densities, system.names, system.sequence, followed)
    kind = torch.from_numpy(classes).to(system.device)
    both = system.bonded.clone()
    both[1:] &= system.bonded[:-1]
    both[0] = False
    return Ramachandran(table, kind, (BOLTZMANN * temperature * both).to(system.dtype))
