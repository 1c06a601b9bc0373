"""Which candidates are chosen for simulation, and what weights their averages take."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from refine.errors import InputError
from refine.sampling.embedding import PrincipalComponents, pair_features
from refine.sampling.promotion import Candidates, PromotionSettings, promote, voronoi_weights

RARE = 5


def candidates_of(latent: np.ndarray) -> Candidates:
    count = len(latent)
    return Candidates(latent, np.zeros(count), np.zeros(count), np.ones(count), np.ones(count, np.bool_))


def with_rare_modes(count: int = 5000, dimensions: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Points of one common mode and five rare ones of 1 % each, and the mode (0 is the common one) of each."""
    random = np.random.default_rng(0)
    mode = np.where(random.random(count) < 0.05, random.integers(1, RARE + 1, count), 0)
    centre = np.concatenate((np.zeros((1, dimensions)), 9.0 * np.eye(dimensions)[:RARE]))
    return centre[mode] + random.normal(size=(count, dimensions)), mode


def test_every_rare_mode_is_chosen_and_the_covering_radius_is_small() -> None:
    latent, mode = with_rare_modes()
    chosen = [choice.index for choice in promote(candidates_of(latent), 32, PromotionSettings())]
    random = np.random.default_rng(1)
    by_chance = [random.choice(len(latent), 32, replace=False) for _ in range(20)]
    assert set(mode[chosen]) == set(range(RARE + 1))
    assert np.mean([len(set(mode[rows]) - {0}) for rows in by_chance]) <= 3.0
    radius = cdist(latent, latent[chosen]).min(1).max()
    assert radius <= 0.7 * np.mean([cdist(latent, latent[rows]).min(1).max() for rows in by_chance])


def test_weights_give_the_mean_of_the_ensemble_back_where_the_chosen_alone_do_not() -> None:
    latent, mode = with_rare_modes()
    observable = latent[:, 0] + (mode == 1) * 3.0
    candidates = candidates_of(latent)
    chosen = tuple(choice.index for choice in promote(candidates, 128, PromotionSettings()))
    weights = voronoi_weights(candidates, chosen)
    sd = observable.std()
    assert weights.sum() == pytest.approx(1.0)
    assert abs(weights @ observable[list(chosen)] - observable.mean()) <= 0.1 * sd
    assert abs(observable[list(chosen)].mean() - observable.mean()) >= 0.3 * sd


def test_broken_and_high_candidates_are_passed_over_and_doubtful_ones_preferred() -> None:
    latent = np.array([[0.0], [1.0], [5.0], [-5.0], [-4.9], [9.0]])
    base = candidates_of(latent)
    sound = np.array([True, True, True, True, True, False])
    energy = np.array([0.0, 0.0, 100.0, 0.0, 0.0, 0.0])
    chosen = [c.index for c in promote(dataclasses.replace(base, sound=sound, energy=energy), 2, PromotionSettings())]
    assert chosen[1] in (3, 4) and 5 not in chosen and 2 not in chosen
    doubtful = np.array([1.0, 1.0, 0.0, 1.0, 2.0, 1.0])
    order = promote(
        dataclasses.replace(base, sound=sound, disagreement=doubtful, energy=energy), 2, PromotionSettings()
    )
    assert order[1].index == 4
    none = dataclasses.replace(base, sound=np.zeros(6, np.bool_))
    assert promote(none, 3, PromotionSettings()) == []


def test_choice_goes_on_from_what_was_chosen_and_stops_when_all_are() -> None:
    latent, _ = with_rare_modes(200)
    candidates = candidates_of(latent)
    whole = [c.index for c in promote(candidates, 20, PromotionSettings())]
    more = [c.index for c in promote(candidates, 12, PromotionSettings(), tuple(whole[:8]))]
    assert whole[8:] == more
    twice = candidates_of(np.array([[0.0], [0.0], [1.0]]))
    assert len(promote(twice, 3, PromotionSettings())) == 2


@pytest.mark.parametrize("field", ["latent", "energy", "disagreement", "weight"])
def test_values_that_are_no_numbers_are_refused(field: str) -> None:
    base = candidates_of(np.zeros((3, 2)))
    with pytest.raises(InputError, match="not a number"):
        dataclasses.replace(base, **{field: np.full_like(getattr(base, field), np.nan)})
    with pytest.raises(InputError, match="0 or more"):
        dataclasses.replace(base, weight=np.zeros(3))


def test_latent_space_does_not_depend_on_how_conformations_lie() -> None:
    random = np.random.default_rng(2)
    x = random.normal(size=(30, 12, 3)) * 5
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    features = pair_features(x)
    assert np.allclose(features, pair_features(x @ turn + 4.0))
    space = PrincipalComponents.of(features, 4)
    assert np.allclose(space.axes @ space.axes.T, np.eye(4))
    assert np.allclose(space(features).var(0, ddof=1), space.variance)
    assert (np.diff(space.variance) <= 0).all()
    assert pair_features(x, most=10).shape == (30, 10)
