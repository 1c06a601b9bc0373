"""Settings of the free energy."""

from __future__ import annotations

import dataclasses

from refine.settings_checks import at_least


@dataclasses.dataclass(frozen=True)
class EnergySettings:
    """Weights of the terms and the pull towards the start.

    Attributes:
        bonds, angles, omega, chirality, sterics, ramachandran: factors of the terms; 0 leaves one out.
        electrostatics: factor of the charges beyond the learned cutoff; None is 1 where pH or ionic strength are given,
            else 0, which leaves the term out.
        torsion_densities: files of ``refine simulate-residue`` (or names of packaged ones, "ALA"), which take the place
            of crystal structures in the Ramachandran term for the residues they stand for.
        start_pull: kcal/mol/Å^2 on every backbone atom; 0 is none. A per-residue pull is given to ``assemble``.
    """

    bonds: float = 1.0
    angles: float = 1.0
    omega: float = 1.0
    chirality: float = 1.0
    sterics: float = 1.0
    ramachandran: float = 0.1
    electrostatics: float | None = None
    torsion_densities: tuple[str, ...] = ()
    start_pull: float = 0.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, (int, float)):
                at_least(f"energy.{name}", value, 0)

    @property
    def weights(self) -> dict[str, float]:
        """Factors by term name, of the terms that every free energy has."""
        others = ("start_pull", "electrostatics", "torsion_densities")
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in others}
