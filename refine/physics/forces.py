"""OpenMM forces and contexts of the relaxation that the force field does not bring along."""

from __future__ import annotations

import openmm
from openmm import unit

from refine.errors import EngineError
from refine.finishing.settings import FinishSettings

SOFT = 2
"""Force group of the soft spheres."""
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


def open_context(system: openmm.System, settings: FinishSettings) -> tuple[str, openmm.Context]:
    """Context on the wanted device; ``auto`` takes the first of CUDA, OpenCL and CPU that works."""
    wanted = {"auto": ("CUDA", "OpenCL", "CPU"), "cpu": ("CPU",), "cuda": ("CUDA",), "opencl": ("OpenCL",)}[settings.device]
    problem = ""
    for name in wanted:
        properties = {"DeterministicForces": "true"}
        properties |= {"Threads": str(settings.threads)} if name == "CPU" else {}
        properties |= {"Precision": "mixed"} if name in ("CUDA", "OpenCL") else {}
        properties = {} if name == "OpenCL" else properties
        try:
            platform = openmm.Platform.getPlatformByName(name)
            return name, openmm.Context(system, openmm.VerletIntegrator(0.001), platform, properties)
        except openmm.OpenMMException as error:
            problem = str(error)
    raise EngineError(f"OpenMM has no working {' or '.join(wanted)} platform: {problem}", remedy='Use device = "cpu"')
