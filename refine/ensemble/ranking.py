"""Order of the candidates by the run's own score, and the honest verdict against the input."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A structure that may be submitted.

    Attributes:
        name: what it is, e.g. ``"replica 3"``.
        score: free energy in kcal/mol after finishing; lower is better; not finite = never submitted.
    """

    name: str
    score: float


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Who is submitted.

    Attributes:
        order: indices into the candidates, best first; those with a score that is not finite are left out.
        improved: whether the best candidate scores better than the input.
        verdict: the same as a sentence.
    """

    order: tuple[int, ...]
    improved: bool
    verdict: str


FIRST = ("average", "energy")
"""What may stand first: the average of the ensemble, or whatever has the lowest energy (benchmarks/LOG.md compares them)."""


def chosen(names: Sequence[str], energies: NDArray[np.float64], count: int, first: str) -> list[int]:
    """Indices of the ``count`` proposals that are finished: by energy, those that are not finite left out.

    With ``first`` = ``average`` the proposal of that name comes before all others.
    """
    finite = [i for i in range(len(names)) if math.isfinite(energies[i])]
    return sorted(finite, key=lambda i: (_place(names[i], first), energies[i]))[:count]


def rank(candidates: Sequence[Candidate], start: float, first: str = "energy") -> Ranking:
    """Rank candidates by score; equal scores keep their order.

    Args:
        candidates: any number, also none.
        start: the score of the input, finished in the same way.
        first: of ``FIRST``; ``average`` puts the candidate of that name before all others.

    Looks at no native structure. When the first is not better than the start, the caller submits the input as model 1.
    """
    finite = [i for i, c in enumerate(candidates) if math.isfinite(c.score)]
    order = tuple(sorted(finite, key=lambda i: (_place(candidates[i].name, first), candidates[i].score)))
    if not order or candidates[order[0]].score >= start:
        return Ranking(order, False, "No model is better than the input by the run's own score: model_1 is the input, finished.")
    gain = start - candidates[order[0]].score
    return Ranking(order, True, f"model_1 is better than the input by {gain:.1f} kcal/mol of the run's own score.")


def _place(name: str, first: str) -> int:
    return 0 if name == first else 1
