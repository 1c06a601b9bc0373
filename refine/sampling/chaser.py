"""The chaser: a bias that follows what the leaders have learned, so that sampled basins fill up (RE-VIFE).

Its goal is the well-tempered V = (1 − 1/γ) [C − min(F − F_min, C)]: a basin is raised by what it lies below the cap C,
and what lies higher is left alone. An uncapped chaser runs away where nothing was sampled and F is anything. Where the
leaders disagree nothing is known, and no bias acts. Each change is limited. Energies are in kT.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class ChaserSettings:
    """How the bias follows.

    Attributes:
        gamma: γ > 1, by which basins become shallower in the end.
        cap: C, kT above the minimum up to which basins are filled.
        change: kT, the most that a grid point changes in an update.
        sure, unsure: kT, standard deviation of the leaders below which the bias acts in full, and above which not at
            all.
        updates: of the leaders after each batch.
    """

    gamma: float = 8.0
    cap: float = 10.0
    change: float = 0.5
    sure: float = 1.0
    unsure: float = 3.0
    updates: int = 4

    @property
    def highest(self) -> float:
        """kT, of the bias at the minimum of the free energy."""
        return (1 - 1 / self.gamma) * self.cap


def followed(bias: NDArray[np.float64], leaders: NDArray[np.float64], settings: ChaserSettings) -> NDArray[np.float64]:
    """The bias (…grid) after one limited step towards its goal, given what the leaders (M, …grid) say."""
    mean, spread = leaders.mean(0), leaders.std(0)
    depth = settings.cap - np.minimum(mean - mean.min(), settings.cap)
    trust = np.clip((settings.unsure - spread) / (settings.unsure - settings.sure), 0.0, 1.0)
    goal = (1 - 1 / settings.gamma) * depth * trust
    return bias + np.clip(goal - bias, -settings.change, settings.change)
