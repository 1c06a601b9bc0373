"""Means and distributions of ensembles: the two-state toy whose exact answer is known."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm

from refine.energy.ensemble_evidence import EnsembleEvidence
from refine.energy.evidence import KT
from refine.energy.free_energy import FreeEnergy
from refine.energy.system import System
from refine.errors import InputError
from refine.evidence.ensembles import DISTRIBUTION, MEAN, EnsembleRow
from refine.propagation.fitting import EVERY, EnsembleFit, ensemble_plan, with_term
from refine.propagation.propagate import Trajectory, propagate
from refine.propagation.settings import PropagationSettings
from refine.structure.protein import Site
from tests.proteins import small_protein

CENTRES, WIDTH = (20.0, 30.0), 2.5
OTHER, OTHER_WIDTH = (8.0, 10.0), 1.5
WEIGHTS = (0.9, 0.1)
ALPHA = 0.2
EDGES = np.linspace(8.0, 42.0, 35)
FINE = np.linspace(4.0, 46.0, 4201)


@dataclasses.dataclass(frozen=True)
class TwoStates:
    """−kT ln p(d, y) of distances d between CA 1 and 3 and y between CA 1 and 2, two states that differ in both."""

    name: str = "two_states"

    def __call__(self, coords: torch.Tensor) -> torch.Tensor:
        ca = coords[:, :, 1]
        d, y = (ca[:, 2] - ca[:, 0]).norm(dim=-1), (ca[:, 1] - ca[:, 0]).norm(dim=-1)
        logs = [
            np.log(w) - 0.5 * ((d - c) / WIDTH) ** 2 - 0.5 * ((y - o) / OTHER_WIDTH) ** 2
            for w, c, o in zip(WEIGHTS, CENTRES, OTHER, strict=True)
        ]
        energy = KT * (
            2 * d.log() + 2 * y.log() - torch.logsumexp(torch.stack(logs), 0)
        )  # spheres are wider farther out
        return torch.nn.functional.pad(energy[:, None], (0, 2))

    def at(self, coords: torch.Tensor) -> TwoStates:  # noqa: ARG002
        return self


def density(weights: tuple[float, float]) -> np.ndarray:
    """Of d, on ``FINE``."""
    return sum(w * norm.pdf(FINE, c, WIDTH) for w, c in zip(weights, CENTRES, strict=True))


def histogram(values: np.ndarray) -> np.ndarray:
    """(34,) shares of a density on ``FINE`` in the bins of ``EDGES``."""
    shares = np.histogram(FINE, EDGES, weights=values)[0]
    return shares / values.sum()


def start(replicas: int) -> tuple[System, torch.Tensor]:
    """Replicas of three residues in the two states, as often as these are."""
    system = System.from_protein(small_protein(3), dtype=torch.float64)
    coords = torch.zeros(replicas, 3, 4, 3, dtype=torch.float64)
    second = torch.arange(replicas) < WEIGHTS[1] * replicas
    coords[:, 1, 1, 1] = torch.where(second, OTHER[1], OTHER[0])
    coords[:, 2, 1, 0] = torch.where(second, CENTRES[1], CENTRES[0])
    return system, coords


def plan(replicas: int, steps: int) -> PropagationSettings:
    """Equation (3) in equilibrium."""
    return PropagationSettings(
        method="overdamped", replicas=replicas, steps=steps, step_size=ALPHA, noise=2 * ALPHA * KT, max_step=5.0,
        sweeps=0, schedule="constant", keep_every=steps,
    )  # fmt: skip


def row(kind: str, value: float = 25.0, probabilities: np.ndarray | None = None) -> EnsembleRow:
    empty = np.zeros(0)
    edges, shares = (empty, empty) if probabilities is None else (EDGES, probabilities)
    return EnsembleRow(kind, Site(0, 1), Site(2, 1), value, 0.2, edges, shares, 1)


def fitted(asked: EnsembleRow, replicas: int, updates: int) -> EnsembleEvidence:
    system, coords = start(replicas)
    fit = EnsembleFit(EnsembleEvidence.of([asked], system), updates)
    energy = with_term(FreeEnergy((TwoStates(),)), fit.term)
    moving = torch.ones(3, dtype=torch.bool)
    propagate(energy, coords, plan(replicas, EVERY * updates), 0, moving, None, adapt=fit)
    return fit.term


@functools.cache
def learned() -> EnsembleEvidence:
    return fitted(row(DISTRIBUTION, probabilities=histogram(density((0.5, 0.5)))), 64, 400)


def biased(term: EnsembleEvidence, weights: tuple[float, float] = WEIGHTS) -> np.ndarray:
    """Density of d with the term, on ``FINE``: exact, because the term knows of d alone."""
    with torch.no_grad():
        energy = term.row_energies(torch.from_numpy(FINE)[:, None])[:, 0].numpy()
    return density(weights) * np.exp(-energy / KT)


def test_the_marginal_becomes_the_measured_one() -> None:
    asked = histogram(density((0.5, 0.5)))
    before = 0.5 * np.abs(histogram(density(WEIGHTS)) - asked).sum()
    after = 0.5 * np.abs(histogram(biased(learned())) - asked).sum()
    assert before > 0.35 and after < 0.05


def test_what_was_not_measured_stays_within_each_state() -> None:
    """The other coordinate given the state, and the first where the term is, sampled with the term held fixed."""
    system, coords = start(400)
    energy, moving = with_term(FreeEnergy((TwoStates(),)), learned()), torch.ones(3, dtype=torch.bool)
    ran: Trajectory = propagate(energy, coords, plan(400, 800), 1, moving, None)
    ca = ran.final[:, :, 1]
    d, y = ((ca[:, k] - ca[:, 0]).norm(dim=-1).numpy() for k in (2, 1))
    mixed = biased(learned())
    for state, inside in ((0, FINE < 25.0), (1, FINE >= 25.0)):
        own = (d >= 25.0) == bool(state)
        assert 120 < own.sum() < 280
        share = [
            (mixed[inside] * w * norm.pdf(FINE[inside], c, WIDTH) / density(WEIGHTS)[inside]).sum()
            for w, c in zip(WEIGHTS, CENTRES, strict=True)
        ]
        share = np.array(share) / np.sum(share)
        exact = lambda at, share=share: sum(  # noqa: E731
            s * norm.cdf(at, o, OTHER_WIDTH) for s, o in zip(share, OTHER, strict=True)
        )
        assert kstest(y[own], exact).pvalue > 0.01


def test_a_mean_is_met_with_one_number() -> None:
    """Maximum entropy: the density is the old one times exp(−λ d), its mean the measured one less what sigma allows."""
    term = fitted(row(MEAN, value=24.0), 64, 400)
    after = biased(term)
    mean = float((FINE * after).sum() / after.sum())
    assert mean == pytest.approx(24.0, abs=0.5) and abs(float((FINE * density(WEIGHTS)).sum() / 100) - 21.0) < 0.1
    assert float(term.knots.abs().max()) == 0.0 and float(term.slope[0]) < 0.0


def test_too_few_replicas_are_refused() -> None:
    with pytest.raises(InputError, match="16 replicas or more, propagation.replicas is 6"):
        ensemble_plan(PropagationSettings(replicas=6))
    made = ensemble_plan(PropagationSettings())
    assert made.replicas == 16 and made.schedule == "constant" and made.noise_variance > 0


def test_forces_are_the_gradient() -> None:
    system, coords = start(2)
    term = dataclasses.replace(
        EnsembleEvidence.of([row(DISTRIBUTION, probabilities=histogram(density((0.5, 0.5)))), row(MEAN)], system),
        slope=torch.tensor([0.0, 0.3], dtype=torch.float64),
    )
    generator = torch.Generator().manual_seed(0)
    term = dataclasses.replace(term, knots=torch.randn(2, 32, generator=generator, dtype=torch.float64))
    coords = coords + 0.5 * torch.randn(coords.shape, generator=generator, dtype=torch.float64)
    x = coords.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(term(x).sum(), x)
    for index in [(0, 2, 1, 0), (1, 2, 1, 1), (0, 0, 1, 2)]:
        ends = [coords.clone() for _ in range(2)]
        for sign, end in zip((1, -1), ends, strict=True):
            end[index] += sign * 1e-4
        assert float((term(ends[0]) - term(ends[1])).sum() / 2e-4) == pytest.approx(float(gradient[index]), abs=1e-5)
