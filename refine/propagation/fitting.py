"""The free energies that an ensemble needs so that its means and distributions become the measured ones.

Replicas are propagated together, and every ``EVERY`` steps the numbers of the term "ensemble_evidence" follow the
difference between what the replicas show and what was measured: ∂L/∂θ = ⟨∂F/∂θ⟩ over the measured distribution −
⟨∂F/∂θ⟩ over the ensemble, with steps that become smaller (stochastic approximation, Robbins & Monro 1951). Once that is
done the term holds the mean of the second half of its values, and what the replicas do from then on is the ensemble.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from refine.energy.ensemble_evidence import KNOTS, EnsembleEvidence
from refine.energy.free_energy import FreeEnergy
from refine.errors import InputError
from refine.evidence.ensembles import LEAST_REPLICAS, MEAN
from refine.propagation.settings import NOISE, PropagationSettings
from refine.propagation.state import State

EVERY, UPDATES = 5, 200
"""Steps from update to update, and how many there are."""
KEPT_STEPS = 200
"""Steps after the last update, at least."""
FRACTION = 0.4
"""The longest part of the way that a step of an ensemble makes: longer ones leave it colder."""
_RATE, _SLOWING = 0.1, 200.0
"""First step in kT of a knot that nothing lies at and something should; updates after which steps are half of it."""
_FLOOR = 0.2 / KNOTS
"""Added to the measured share of a knot, so that one at which nothing should lie has a finite step."""
_LEAST_VARIANCE = 0.01
"""Å^2 of a distance over the replicas, at least, by which the steps of a mean are scaled."""


class EnsembleFit:
    """Follows a propagation and improves its term; given to ``propagate`` as ``adapt``.

    Args:
        term: of which the energy holds a copy; updates: how many are made.

    Attributes:
        steps: of the propagation until the term is held fixed.
    """

    def __init__(self, term: EnsembleEvidence, updates: int = UPDATES) -> None:
        self.term, self.updates = term, updates
        self.steps = EVERY * updates
        self._asked = term.asked()
        self._means = torch.tensor([row.kind == MEAN for row in term.rows], device=term.knots.device)
        self._values, self._square = (
            torch.tensor(v).to(term.knots)
            for v in ([row.value for row in term.rows], [row.sigma**2 for row in term.rows])
        )
        self._seen: list[Tensor] = []
        self._kept: list[tuple[Tensor, Tensor]] = []

    def __call__(self, step: int, state: State) -> State:
        """The state after step ``step`` (from 1) with the term as it is then."""
        if step > self.steps:
            return state
        with torch.no_grad():
            self._seen.append(self.term.distances(state.coords))
        if step % EVERY:
            return state
        self._update(step // EVERY, torch.cat(self._seen))
        self._seen = []
        return dataclasses.replace(state, energy=with_term(state.energy, self.term))

    def _update(self, number: int, seen: Tensor) -> None:
        """One step along the gradient, from distances (N, K) Å."""
        rate = _RATE / (1.0 + number / _SLOWING)
        shown = self.term.occupancy(seen, 1.0 / len(seen))
        knots = self.term.knots + rate * (shown - self._asked) / (self._asked + _FLOOR)
        scale = seen.var(0).clamp_min(_LEAST_VARIANCE) + self._square
        slope = self.term.slope + rate * (seen.mean(0) - self._values - self._square * self.term.slope) / scale
        knots = torch.where(self._means[:, None], self.term.knots, knots)
        slope = torch.where(self._means, slope, self.term.slope)
        if number > self.updates // 2:
            self._kept.append((knots, slope))
        if number == self.updates:
            knots, slope = (torch.stack(values).mean(0) for values in zip(*self._kept, strict=True))
        self.term = dataclasses.replace(self.term, knots=knots, slope=slope)


def with_term(energy: FreeEnergy, term: EnsembleEvidence) -> FreeEnergy:
    """The energy with ``term`` in the place of the term of its name, or at the end where it has none."""
    terms = tuple(term if old.name == term.name else old for old in energy.terms)
    return dataclasses.replace(energy, terms=terms if term.name in energy.names else (*energy.terms, term))


def ensemble_plan(plan: PropagationSettings) -> PropagationSettings:
    """``plan`` with what an ensemble needs: noise that stays as it is, and steps to learn the term and to use it.

    Raises:
        InputError: too few replicas were asked for; one counts as not asked.
    """
    if 1 < plan.replicas < LEAST_REPLICAS:
        raise InputError(
            f"means and distributions need {LEAST_REPLICAS} replicas or more, propagation.replicas is {plan.replicas}",
            remedy=f"Set replicas = {LEAST_REPLICAS} in [propagation], or leave it out",
        )
    return dataclasses.replace(
        plan,
        replicas=max(plan.replicas, LEAST_REPLICAS),
        noise=NOISE if plan.noise is None else plan.noise,
        schedule="constant",
        steps=max(plan.steps, EVERY * UPDATES + KEPT_STEPS),
        further=0,
        fraction=min(plan.fraction, FRACTION),
        refresh_every=max(plan.refresh_every, EVERY),
        keep_every=max(plan.keep_every, EVERY),
    )
