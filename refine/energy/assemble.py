"""From a system to its free energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from refine.energy.bonds import angles, bonds
from refine.energy.chirality import chirality
from refine.energy.free_energy import FreeEnergy
from refine.energy.omega import omega
from refine.energy.ramachandran import ramachandran
from refine.energy.restraint import start_pull
from refine.energy.settings import EnergySettings
from refine.energy.sterics import sterics
from refine.energy.system import System
from refine.energy.term import Term
from refine.energy.torsion_density import densities_of


def assemble(
    system: System,
    settings: EnergySettings,
    start: Tensor | None = None,
    pull: Tensor | None = None,
    learned: Sequence[Term] = (),
    learned_weights: Mapping[str, float] | None = None,
    evidence: Sequence[Term] = (),
    long_range: Sequence[Term] = (),
    long_range_weight: float = 1.0,
) -> FreeEnergy:
    """F = learned terms + bonds, angles, omega, chirality, sterics, Ramachandran + pull towards the start + long range
    + evidence.

    Args:
        system: what the terms need to know.
        settings: weights.
        start: (L, 4, 3) Å, where the pull leads; without it nothing pulls.
        pull: (L,) stiffness per residue in kcal/mol/Å^2, instead of ``settings.start_pull``.
        learned: the terms of F_SR and F_MED; learned_weights: their factors, 1 unless given.
        evidence: the terms of F_exp; long_range: those of F_LR; long_range_weight: their factor.

    Raises:
        InputError: weights, restraints or torsion densities that cannot be used.
    """
    terms: list[Term] = [*learned, *(make(system) for make in (bonds, angles, omega, chirality, sterics))]
    terms.append(ramachandran(system, densities=densities_of(settings.torsion_densities)))
    if start is not None:
        restraint = start_pull(system, start, settings.start_pull if pull is None else pull)
        if restraint is not None:
            terms.append(restraint)
    terms += [*long_range, *evidence]
    weights = {**settings.weights, **(learned_weights or {}), **{term.name: long_range_weight for term in long_range}}
    return FreeEnergy(tuple(terms), weights)
