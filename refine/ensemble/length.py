"""How much of its proposed way a run goes, by how far the priors want to move its input.

The propagation moves every input by some tenths of an Å, also one that the priors would leave where it is. Then the
direction of the move is worth less than its length: on models of today's predictors the whole way loses and half of it
gains, on models of the 2010s the whole way is best (benchmarks/LOG.md, entry 35).
"""

from __future__ import annotations

import dataclasses

from refine.settings_checks import above, at_least, within


@dataclasses.dataclass(frozen=True)
class LengthSettings:
    """The part of the way from the input to each proposal that is gone.

    Attributes:
        least: that part where the priors would move the CA atoms of the input by ``near`` (Å, mean) or less.
        near, far: Å, between which the part rises in proportion; from ``far`` on the whole way is gone. 0.05 is usual
            for AlphaFold2's models, 0.13 and more for models of the 2010s and for perturbed crystal structures.
        estimated: the longest part for an input whose file brings its predictor's expected lDDT (pLDDT): what is wrong
            in such models is told less well (benchmarks/LOG.md, entry 71).
        steps, fraction: of the propagation, at most, where the way is shortened: later ones lead astray there (52).
    """

    least: float = 0.5
    near: float = 0.08
    far: float = 0.11
    estimated: float = 0.6
    steps: int = 8
    fraction: float = 0.4

    def __post_init__(self) -> None:
        within("length.least", self.least, 0, 1)
        at_least("length.near", self.near, 0)
        above("length.far", self.far, self.near)
        within("length.estimated", self.estimated, 0, 1)
        at_least("length.steps", self.steps, 0)
        within("length.fraction", self.fraction, 0, 1)

    def of(self, move: float) -> float:
        """The part of the way, in [least, 1], for an input that the priors would move by ``move`` Å."""
        risen = min(1.0, max(0.0, (move - self.near) / (self.far - self.near)))
        return self.least + (1.0 - self.least) * risen
