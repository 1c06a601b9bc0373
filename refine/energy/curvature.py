"""How stiffly the learned densities hold each residue: the block of residue i of their Gauss–Newton Hessian.

A residue is a rigid body here, of a shift (3) and a turn about CA (3). Student densities are taken with the curvature
of the quadratic that touches them from above at the present place (the weights of iteratively reweighted least
squares), which never turns negative, so that force over curvature is a descent step that does not overshoot one
density's centre.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from refine.energy.free_energy import FreeEnergy
from refine.energy.term import Term
from refine.structure.geometry import rotation_from_vector


@dataclasses.dataclass(frozen=True)
class Curvature:
    """Blocks of a Hessian.

    Attributes:
        shift: (R, L, 3, 3) kcal/mol/Å^2, global axes.
        turn: (R, L) kcal/mol/rad^2, the same about every axis.
    """

    shift: Tensor
    turn: Tensor

    def __add__(self, other: Curvature) -> Curvature:
        return Curvature(self.shift + other.shift, self.turn + other.turn)

    def scaled(self, factor: float) -> Curvature:
        """Of a term with this weight."""
        return Curvature(factor * self.shift, factor * self.turn)


@runtime_checkable
class Curved(Term, Protocol):
    """A term that knows its curvature."""

    def curvature(self, coords: Tensor) -> Curvature:
        """At coords (R, L, 4, 3) Å."""
        ...


def curved_part(energy: FreeEnergy) -> FreeEnergy | None:
    """The terms that know their curvature and count, with their weights; None without any."""
    terms = tuple(t for t in energy.terms if isinstance(t, Curved) and energy.weight(t.name) > 0)
    return FreeEnergy(terms, {t.name: energy.weight(t.name) for t in terms}) if terms else None


def rigid_moves(energy: FreeEnergy, coords: Tensor) -> tuple[Tensor, Tensor]:
    """Shift (R, L, 3) Å and turn (R, L, 3) rad about CA of every residue to where its block of ``energy`` is lowest.

    In global axes. ``energy`` is a ``curved_part``; forces are its exact gradient.
    """
    forces, _ = energy.forces(coords)
    with torch.no_grad():
        blocks = [
            term.curvature(coords).scaled(energy.weight(term.name)) for term in energy.terms if isinstance(term, Curved)
        ]
        total = sum(blocks[1:], start=blocks[0])
        torque = torch.linalg.cross(coords - coords[:, :, 1:2], forces).sum(2)
        shift = torch.linalg.solve(total.shift, forces.sum(2).unsqueeze(-1)).squeeze(-1)
        return shift, torque / total.turn.unsqueeze(-1)


def moved_rigidly(coords: Tensor, shift: Tensor, turn: Tensor) -> Tensor:
    """Residues (R, L, 4, 3) turned about their CA by ``turn`` (R, L, 3) rad, then shifted by ``shift`` (R, L, 3) Å."""
    ca = coords[:, :, 1:2]
    return ca + shift.unsqueeze(2) + (coords - ca) @ rotation_from_vector(turn).transpose(-1, -2)
