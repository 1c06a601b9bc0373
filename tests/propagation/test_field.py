"""Temperatures by residue: constants exact, stationary variances, smoothing, and what a setting means."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from torch import Tensor

from refine.constants import BOLTZMANN
from refine.energy.free_energy import FreeEnergy
from refine.errors import InputError
from refine.propagation.field import ROOM, heat_of, smoothed
from refine.propagation.propagate import propagate
from refine.propagation.settings import PropagationSettings
from tests.proteins import small_protein

STIFFNESS = 4.0  # kcal/mol/Å^2


@dataclasses.dataclass(frozen=True)
class Wells:
    """Every atom in a well of its own around 0."""

    name: str = "wells"

    def __call__(self, coords: Tensor) -> Tensor:
        return 0.5 * STIFFNESS * coords.square().sum((-1, -2))

    def at(self, coords: Tensor) -> Wells:  # noqa: ARG002
        return self


def run(heat: Tensor | None, steps: int = 40, replicas: int = 2) -> Tensor:
    """Snapshots (S, R, 30, 4, 3) of equation (3) at 298.15 K."""
    alpha = 0.005
    plan = PropagationSettings(
        method="overdamped", replicas=replicas, steps=steps, step_size=alpha, noise=2 * alpha * BOLTZMANN * ROOM,
        schedule="constant", max_step=10.0, sweeps=0, keep_every=20,
    )  # fmt: skip
    start = torch.zeros(1, 30, 4, 3, dtype=torch.float64)
    mobile = torch.ones(30, dtype=torch.bool)
    return propagate(FreeEnergy((Wells(),)), start, plan, 0, mobile, None, heat=heat).snapshots


def ca() -> np.ndarray:
    return small_protein(30).coords[0, :, 1]


def test_a_constant_field_is_the_run_without_one_to_the_bit() -> None:
    field = smoothed(np.full(30, ROOM), ca())
    assert (field == ROOM).all()
    assert torch.equal(run(torch.from_numpy(field / ROOM)), run(None))


def test_each_residue_fluctuates_by_its_own_temperature() -> None:
    """<x²> = kT_i/k, up to the finite step: 1/(1 − alpha k/2) = 1.01."""
    kelvin = np.where(np.arange(30) < 15, ROOM, 2 * ROOM)
    frames = run(torch.from_numpy(kelvin / ROOM), steps=6000, replicas=32)[50:]
    variance = frames.square().mean((0, 1, 3, 4)).numpy() / 1.01
    expected = BOLTZMANN * kelvin / STIFFNESS
    for half in (slice(0, 15), slice(15, 30)):
        assert variance[half].mean() == pytest.approx(expected[half].mean(), rel=0.03)


def test_smoothing_narrows_the_differences_of_neighbours() -> None:
    x, raw = ca().astype(np.float64), np.where(np.arange(30) < 15, 300.0, 600.0)
    near = np.linalg.norm(x[:, None] - x[None], axis=-1) < 8.0
    gaps = [
        np.abs(f[:, None] - f[None])[near].max() for f in (smoothed(raw, x, smoothing=s) for s in (0.01, 0.1, 1, 10))
    ]
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3] and gaps[0] > 200.0
    field = smoothed(raw, x)
    assert 300.0 <= field.min() and field.max() <= 600.0 and field[:10].mean() < field[20:].mean()


def test_settings_name_residues_or_follow_the_error() -> None:
    protein, error = small_protein(30), np.linspace(0.5, 3.0, 30)
    chosen = heat_of("A:10-15=900; A:25=150", protein, error)
    assert chosen[12] > chosen[3] > ROOM - 1 and chosen[24] < chosen[3]
    follows = heat_of("confidence", protein, error)
    assert np.corrcoef(follows, error)[0, 1] > 0.8 and ROOM / 3 <= follows.min() and follows.max() <= 3 * ROOM


@pytest.mark.parametrize(
    ("text", "words"),
    [("A:10-15", "gives no temperature"), ("A:10=hot", "gives no temperature"), ("A:10=-5", "gives no temperature"),
     ("A:90=300", "holds no residue"), ("Z=300", "no chain 'Z'"), ("=300", "is empty")],
)  # fmt: skip
def test_wrong_settings_are_named(text: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        heat_of(text, small_protein(30), np.ones(30))
