"""The optional pull towards the start."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from refine.energy.system import System
from refine.errors import InputError
from refine.structure.geometry import superposed


@dataclasses.dataclass(frozen=True)
class StartPull:
    """E_i = k_i/2 Σ |x - g(x0)|^2 over N, CA, C, O, with g the rigid motion that makes the total smallest.

    Because g is optimal its own change with x does not contribute to the gradient (envelope theorem): the force is
    k (g(x0) - x) without net force or torque, and the energy does not depend on where the protein lies.

    Attributes:
        start: (L, 4, 3) Å; stiffness: (L,) kcal/mol/Å^2, at least one positive.
    """

    start: Tensor
    stiffness: Tensor
    name: str = "start"

    def __call__(self, coords: Tensor) -> Tensor:
        replicas, length = coords.shape[:2]
        weights = self.stiffness[:, None].expand(length, 4).reshape(1, -1).expand(replicas, -1)
        reference = self.start.expand_as(coords).reshape(replicas, -1, 3)
        with torch.no_grad():
            target = superposed(reference, coords.reshape(replicas, -1, 3), weights).reshape(coords.shape)
        return 0.5 * self.stiffness * ((coords - target) ** 2).sum((-1, -2))

    def at(self, coords: Tensor) -> StartPull:
        return self


def start_pull(system: System, start: Tensor, stiffness: float | Tensor) -> StartPull | None:
    """The pull of ``system`` towards ``start`` (L, 4, 3) Å, or None when nothing pulls.

    Args:
        stiffness: kcal/mol/Å^2, one for all residues or (L,) per residue (e.g. from a confidence); 0 is none.

    Raises:
        InputError: a stiffness is negative or not a number, or their count is not L.
    """
    per_residue = torch.as_tensor(stiffness, dtype=system.dtype, device=system.device)
    if per_residue.ndim == 0:
        per_residue = per_residue.expand(len(system))
    if per_residue.shape != (len(system),):
        raise InputError(
            f"{per_residue.numel()} restraint weights for {len(system)} residues", remedy="Give one, or one per residue"
        )
    if not torch.isfinite(per_residue).all() or (per_residue < 0).any():
        raise InputError("a restraint weight is negative or not a number", remedy="Use numbers of at least 0")
    if not (per_residue > 0).any():
        return None
    return StartPull(start.to(device=system.device, dtype=system.dtype), per_residue.contiguous())
