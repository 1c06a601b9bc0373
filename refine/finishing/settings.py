"""Settings of the finishing stage."""

from __future__ import annotations

import dataclasses

from refine.constants import OPENMM_DEVICES
from refine.settings_checks import at_least, at_most, one_of, within


@dataclasses.dataclass(frozen=True)
class FinishSettings:
    """How a moved backbone becomes an all-atom model.

    Attributes:
        side_chains: complete missing side-chain atoms and repack severely clashing side chains.
        relax: restrained minimisation with OpenMM (amber14 protein force field) after that.
        solvent: generalised Born solvent (OBC) in the last stage of the minimisation; without it the last stage is
            skipped.
        restraint: force constant of the backbone restraint in kcal/mol/Å^2 (N, CA, C, O to where they are given).
        flat_bottom: displacement in Å up to which the backbone restraint is not felt.
        refined_restraint, refined_flat_bottom: the same for backbones that the propagation has refined, of CA; N, C and
            O feel ``refined_share`` of it, so that they settle around CA instead of pulling it along.
        kept_side_chains: force constant in kcal/mol/Å^2 that holds the side chains of models that are right already,
            where they clash with nothing.
        ramachandran: factor of an energy of −kT log of the density of (phi, psi) in crystal structures, outside the
            favoured region, for backbones that the propagation has refined: CA held, their peptides turn into it.
        ph: pH at which hydrogens are added (they steer the relaxation and are not written).
        device: ``auto`` (CUDA, OpenCL, CPU, the first that works), ``cpu``, ``cuda`` or ``opencl``.
        threads: CPU threads of OpenMM. One thread gives the same bytes every time; more do not, not even with OpenMM's
            deterministic forces (measured).
        max_seconds: time cap of each model, the set-up of the system not counted; what has been reached by then is
            returned with a flag.
        max_iterations: minimiser iterations of the solvent stage, the longest one.
    """

    side_chains: bool = True
    relax: bool = True
    solvent: bool = True
    restraint: float = 5.0
    flat_bottom: float = 0.05
    refined_restraint: float = 1000.0
    refined_flat_bottom: float = 0.0
    refined_share: float = 0.005
    kept_side_chains: float = 10.0
    ramachandran: float = 3.0
    ph: float = 7.0
    device: str = "auto"
    threads: int = 1
    max_seconds: float = 120.0
    max_iterations: int = 40

    def __post_init__(self) -> None:
        one_of("finishing.device", self.device, OPENMM_DEVICES)
        springs = ("restraint", "flat_bottom", "refined_restraint", "refined_flat_bottom", "kept_side_chains")
        for name in (*springs, "ramachandran", "max_seconds"):
            at_least(f"finishing.{name}", getattr(self, name), 0)
        for name in ("threads", "max_iterations"):
            at_least(f"finishing.{name}", getattr(self, name), 1)
        for name, most in (("threads", 1024), ("max_iterations", 1_000_000)):
            at_most(f"finishing.{name}", getattr(self, name), most)
        within("finishing.refined_share", self.refined_share, 0, 1)
        within("finishing.ph", self.ph, 0, 14)
