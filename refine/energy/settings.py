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
        start_pull: kcal/mol/Å^2 on every backbone atom; 0 is none. A per-residue pull is given to ``assemble``.
    """

    bonds: float = 1.0
    angles: float = 1.0
    omega: float = 1.0
    chirality: float = 1.0
    sterics: float = 1.0
    ramachandran: float = 0.1
    electrostatics: float | None = None
    start_pull: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) is not None:
                at_least(f"energy.{field.name}", getattr(self, field.name), 0)

    @property
    def weights(self) -> dict[str, float]:
        """Factors by term name, of the terms that every free energy has."""
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in ("start_pull", "electrostatics")}
