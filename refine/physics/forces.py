"""OpenMM forces that the force field does not bring along."""

from __future__ import annotations

import openmm
from openmm import unit

BONDED, NONBONDED, SOFT, SOLVENT = 0, 1, 2, 3
"""Force groups: bonded terms and restraints, Lennard-Jones and charges, soft spheres, generalised Born solvent."""
_SOFT_K = 1.0e4
"""kJ/(mol nm^2)."""


def soft_spheres(nonbonded: openmm.NonbondedForce) -> openmm.CustomNonbondedForce:
    """Finite repulsion with the Lennard-Jones radii and exclusions of ``nonbonded``; 1-4 pairs do not repel."""
    force = openmm.CustomNonbondedForce("0.5*soft_k*max(0, 0.85*(radius1+radius2)-r)^2")
    force.addGlobalParameter("soft_k", _SOFT_K)
    force.addPerParticleParameter("radius")
    force.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffNonPeriodic)
    force.setCutoffDistance(0.4)
    force.setForceGroup(SOFT)
    for i in range(nonbonded.getNumParticles()):
        _, sigma, depth = nonbonded.getParticleParameters(i)
        present = depth.value_in_unit(unit.kilojoule_per_mole) > 0
        force.addParticle([0.5 * sigma.value_in_unit(unit.nanometer) * 2 ** (1 / 6) if present else 0.02])
    for n in range(nonbonded.getNumExceptions()):
        a, b, *_ = nonbonded.getExceptionParameters(n)
        force.addExclusion(a, b)
    return force


def scalable_charges(nonbonded: openmm.NonbondedForce) -> None:
    """Let the global parameter ``charge_scale`` multiply all charges."""
    nonbonded.addGlobalParameter("charge_scale", 1.0)
    for i in range(nonbonded.getNumParticles()):
        charge, sigma, depth = nonbonded.getParticleParameters(i)
        nonbonded.setParticleParameters(i, 0.0, sigma, depth)
        nonbonded.addParticleParameterOffset("charge_scale", i, charge, 0.0, 0.0)
    for n in range(nonbonded.getNumExceptions()):
        a, b, product, sigma, depth = nonbonded.getExceptionParameters(n)
        if product:
            nonbonded.setExceptionParameters(n, a, b, 0.0, sigma, depth)
            nonbonded.addExceptionParameterOffset("charge_scale", n, product, 0.0, 0.0)
