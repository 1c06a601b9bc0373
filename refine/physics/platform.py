"""Where OpenMM computes."""

from __future__ import annotations

import openmm

from refine.errors import EngineError

_PLATFORMS = {"auto": ("CUDA", "OpenCL", "CPU"), "cpu": ("CPU",), "cuda": ("CUDA",), "opencl": ("OpenCL",)}


def open_context(system: openmm.System, device: str, threads: int) -> tuple[str, openmm.Context]:
    """Name of the platform, and a context on it, with an integrator that serves energies and minimisation.

    Args:
        system: of OpenMM.
        device: of ``constants.OPENMM_DEVICES``; ``auto`` takes the first of CUDA, OpenCL and CPU that works.
        threads: of the CPU platform.

    Raises:
        EngineError: no platform of ``device`` works.
    """
    wanted = _PLATFORMS[device]
    problem = ""
    for name in wanted:
        properties = {"DeterministicForces": "true"}
        properties |= {"Threads": str(threads)} if name == "CPU" else {}
        properties |= {"Precision": "mixed"} if name in ("CUDA", "OpenCL") else {}
        properties = {} if name == "OpenCL" else properties
        try:
            platform = openmm.Platform.getPlatformByName(name)
            return name, openmm.Context(system, openmm.VerletIntegrator(0.001), platform, properties)
        except openmm.OpenMMException as error:
            problem = str(error)
    raise EngineError(f"OpenMM has no working {' or '.join(wanted)} platform: {problem}", remedy='Use device = "cpu"')
