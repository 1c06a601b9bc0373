"""Conditions Φ that a user may give: temperature, pH and ionic strength."""

from __future__ import annotations

import dataclasses
import math

from refine.settings_checks import within

ROOM = 298.15
"""K, where no temperature is given."""
NEUTRAL, PHYSIOLOGICAL = 7.0, 0.15
"""pH and ionic strength (mol/l) where none is given."""


@dataclasses.dataclass(frozen=True)
class Conditions:
    """Temperature in K, pH, and ionic strength in mol/l; None is not given.

    They are those of the protein as it is meant, not of an experiment: the temperature of an X-ray data set is that of
    its cryostream.

    Raises:
        InputError: a value lies outside what the formulas are good for.
    """

    temperature: float | None = None
    ph: float | None = None
    ionic: float | None = None

    def __post_init__(self) -> None:
        for name, least, most in (("temperature", 200.0, 500.0), ("ph", 0.0, 14.0), ("ionic", 0.0, 5.0)):
            value = getattr(self, name)
            if value is not None:
                within(f"conditions.{name}", value, least, most)

    @property
    def kelvin(self) -> float:
        return ROOM if self.temperature is None else self.temperature

    @property
    def acidity(self) -> float:
        """pH, neutral where it is not given."""
        return NEUTRAL if self.ph is None else self.ph

    @property
    def permittivity(self) -> float:
        """Of water at the temperature (Malmberg & Maryott 1956, J. Res. NBS 56:1, as an exponential)."""
        return 78.4 * math.exp(-0.0046 * (self.kelvin - 298.0))

    @property
    def screening(self) -> float:
        """Debye length in Å: 3.04 / √I at 298 K; infinite without ions."""
        strength = PHYSIOLOGICAL if self.ionic is None else self.ionic
        if strength == 0:
            return math.inf
        return 3.04 / math.sqrt(strength) * math.sqrt(self.permittivity * self.kelvin / (78.4 * 298.0))
