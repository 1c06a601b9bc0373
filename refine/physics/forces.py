"""OpenMM forces that the force field does not bring along."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from xml.etree import ElementTree

import openmm

BONDED, NONBONDED, SOFT, SOLVENT, BIAS, TORSIONS = 0, 1, 2, 3, 4, 5
"""Force groups: bonded terms and restraints, Lennard-Jones and charges, soft spheres, generalised Born solvent, what
steers dynamics, torsions of refined backbones.
"""
_SOFT_K = 1.0e4
"""kJ/(mol nm^2)."""


@dataclasses.dataclass(frozen=True)
class Nonbonded:
    """Particles and exceptions of a ``NonbondedForce`` as plain numbers, read once, from their XML,
    since OpenMM's units make reading slow.

    Attributes:
        particles: charge (e), sigma (nm) and depth (kJ/mol) of each.
        exceptions: two particles, product of charges (e^2), sigma and depth of each pair that is not the usual one.
    """

    particles: Sequence[tuple[float, float, float]]
    exceptions: Sequence[tuple[int, int, float, float, float]]

    @classmethod
    def of(cls, force: openmm.NonbondedForce) -> Nonbonded:
        """What ``force`` holds now."""
        root = ElementTree.fromstring(openmm.XmlSerializer.serialize(force))

        def values(node: ElementTree.Element) -> tuple[float, float, float]:
            return float(node.attrib["q"]), float(node.attrib["sig"]), float(node.attrib["eps"])

        exceptions = [
            (int(node.attrib["p1"]), int(node.attrib["p2"]), *values(node)) for node in root.iter("Exception")
        ]
        return cls([values(node) for node in root.iter("Particle")], exceptions)


def soft_spheres(values: Nonbonded) -> openmm.CustomNonbondedForce:
    """Finite repulsion with the Lennard-Jones radii and exclusions of ``values``; 1-4 pairs do not repel."""
    force = openmm.CustomNonbondedForce("0.5*soft_k*max(0, 0.85*(radius1+radius2)-r)^2")
    force.addGlobalParameter("soft_k", _SOFT_K)
    force.addPerParticleParameter("radius")
    force.setNonbondedMethod(openmm.CustomNonbondedForce.CutoffNonPeriodic)
    force.setCutoffDistance(0.4)
    force.setForceGroup(SOFT)
    for _, sigma, depth in values.particles:
        force.addParticle([0.5 * sigma * 2 ** (1 / 6) if depth > 0 else 0.02])
    for a, b, *_ in values.exceptions:
        force.addExclusion(a, b)
    return force


def scalable_charges(nonbonded: openmm.NonbondedForce, values: Nonbonded) -> None:
    """Let the global parameter ``charge_scale`` multiply all charges of ``nonbonded``, which holds ``values``."""
    nonbonded.addGlobalParameter("charge_scale", 1.0)
    for i, (charge, sigma, depth) in enumerate(values.particles):
        if charge:
            nonbonded.setParticleParameters(i, 0.0, sigma, depth)
            nonbonded.addParticleParameterOffset("charge_scale", i, charge, 0.0, 0.0)
    for n, (a, b, product, sigma, depth) in enumerate(values.exceptions):
        if product:
            nonbonded.setExceptionParameters(n, a, b, 0.0, sigma, depth)
            nonbonded.addExceptionParameterOffset("charge_scale", n, product, 0.0, 0.0)


def silence(nonbonded: openmm.NonbondedForce, hydrogens: Sequence[tuple[int, int]]) -> None:
    """Take charge and size from hydrogens, each given with its heavy atom, which gets the charge."""
    for hydrogen, parent in hydrogens:
        charge, sigma, _ = nonbonded.getParticleParameters(hydrogen)
        nonbonded.setParticleParameters(hydrogen, 0.0, sigma, 0.0)
        own, *others = nonbonded.getParticleParameters(parent)
        nonbonded.setParticleParameters(parent, own + charge, *others)
    silent = {hydrogen for hydrogen, _ in hydrogens}
    for n in range(nonbonded.getNumExceptions() if silent else 0):
        a, b, _, sigma, _ = nonbonded.getExceptionParameters(n)
        if a in silent or b in silent:
            nonbonded.setExceptionParameters(n, a, b, 0.0, sigma, 0.0)
