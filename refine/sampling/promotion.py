"""Which of many cheap candidates are worth a simulation, and what each of the chosen stands for.

The next one is that of highest priority, n (1 + disagreement/median) exp(−max(0, E − E_min − window)/softness), where n
is its distance to the nearest one chosen before. Farthest points are not representative: every average over the chosen
takes the weights of ``voronoi_weights``.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from refine.errors import InputError
from refine.settings_checks import above, at_least

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class PromotionSettings:
    """Attributes:
    window: kcal/mol above the lowest energy that cost a candidate nothing.
    softness: kcal/mol over which its priority falls by e beyond them.
    """

    window: float = 10.0
    softness: float = 5.0

    def __post_init__(self) -> None:
        at_least("promotion.window", self.window, 0)
        above("promotion.softness", self.softness, 0)


@dataclasses.dataclass(frozen=True)
class Candidates:
    """N conformations as the coarse engine gives them.

    Attributes:
        latent: (N, K) coordinates in the latent space.
        energy: (N,) kcal/mol; disagreement: (N,) of the committee, 0 or more; weight: (N,) of each in the coarse
            ensemble.
        sound: (N,) bool, stereochemistry in order; the others are never chosen.

    Raises:
        InputError: lengths differ, or values are not finite or negative where they cannot be.
    """

    latent: Array
    energy: Array
    disagreement: Array
    weight: Array
    sound: NDArray[np.bool_]

    def __post_init__(self) -> None:
        count = len(self.latent)
        values = (self.energy, self.disagreement, self.weight)
        if self.latent.ndim != 2 or any(v.shape != (count,) for v in (*values, self.sound)):
            raise InputError("candidates need one energy, disagreement, weight and check for each latent point")
        if not all(np.isfinite(v).all() for v in (self.latent, *values)):
            raise InputError("a candidate has a value that is not a number", remedy="Leave it out")
        if (self.disagreement < 0).any() or (self.weight < 0).any() or not self.weight.sum() > 0:
            raise InputError("disagreements and weights of candidates must be 0 or more, with a weight above 0")

    def __len__(self) -> int:
        return len(self.latent)

    def joined(self, more: Candidates) -> Candidates:
        """These and ``more`` after them."""
        fields = [f.name for f in dataclasses.fields(self)]
        return Candidates(*(np.concatenate((getattr(self, name), getattr(more, name))) for name in fields))


@dataclasses.dataclass(frozen=True)
class Choice:
    """A candidate that was chosen, how far it lies from those before (infinite for the first), and its priority."""

    index: int
    novelty: float
    priority: float


def promote(
    candidates: Candidates, count: int, settings: PromotionSettings, chosen: tuple[int, ...] = ()
) -> list[Choice]:
    """The next ``count`` candidates after those ``chosen``; fewer when no other sound one differs from them.

    The first of all is the sound candidate nearest to the weighted mean. Ties go to the lower index, so the same
    candidates give the same choice.
    """
    appeal = _appeal(candidates, settings)
    novelty = np.full(len(candidates), np.inf)
    for index in chosen:
        novelty = np.minimum(novelty, _distances(candidates, index))
    out: list[Choice] = []
    taken = set(chosen)
    while len(out) < count:
        if not (appeal > 0).any():
            break
        if not taken:
            index = _central(candidates, appeal)
            priority = appeal
        else:
            priority = novelty * appeal
            index = int(np.argmax(priority))
            if not priority[index] > 0:
                break
        out.append(Choice(index, float(novelty[index]), float(priority[index])))
        taken.add(index)
        novelty = np.minimum(novelty, _distances(candidates, index))
    return out


def _appeal(candidates: Candidates, settings: PromotionSettings) -> Array:
    """(N,) what multiplies the novelty; 0 for candidates that are not sound."""
    if not candidates.sound.any():
        return np.zeros(len(candidates))
    median = float(np.median(candidates.disagreement[candidates.sound]))
    unsure = 1.0 + candidates.disagreement / median if median > 0 else np.ones(len(candidates))
    above = candidates.energy - candidates.energy[candidates.sound].min() - settings.window
    appeal: Array = np.where(candidates.sound, unsure * np.exp(-np.maximum(above, 0.0) / settings.softness), 0.0)
    return appeal


def _central(candidates: Candidates, appeal: Array) -> int:
    """The candidate nearest to the weighted mean among those that may be chosen."""
    mean = np.average(candidates.latent, axis=0, weights=candidates.weight)
    distance = np.linalg.norm(candidates.latent - mean, axis=1)
    return int(np.argmin(np.where(appeal > 0, distance, np.inf)))


def _distances(candidates: Candidates, index: int) -> Array:
    distances: Array = np.linalg.norm(candidates.latent - candidates.latent[index], axis=1)
    return distances


def voronoi_weights(candidates: Candidates, chosen: tuple[int, ...]) -> Array:
    """(len(chosen),) share of the coarse ensemble that lies nearest to each of the chosen, summing to 1."""
    if not chosen:
        raise InputError("no candidate was chosen")
    nearest = np.concatenate(
        [cdist(rows, candidates.latent[list(chosen)]).argmin(1) for rows in np.array_split(candidates.latent, 64)]
    )
    mass = np.bincount(nearest, weights=candidates.weight, minlength=len(chosen))
    return np.asarray(mass / mass.sum(), np.float64)
