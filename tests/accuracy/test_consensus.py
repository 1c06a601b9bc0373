"""Consensus of models: who votes, what a vote is worth, and what the judge adds."""

from __future__ import annotations

import numpy as np
import pytest

from refine.accuracy.consensus import JUDGE_VOTES, consensus, mutual_lddt
from refine.assess.lddt import lddt
from tests.proteins import chain_backbone, torsions

LENGTH = 40


def near(size: float, seed: int) -> np.ndarray:
    """CA atoms of one protein, every residue displaced."""
    native = chain_backbone(*torsions(LENGTH))[:, 1]
    return native + np.random.default_rng(seed).normal(scale=size, size=native.shape)


def odd() -> np.ndarray:
    """CA atoms of the same residues, all in one strand."""
    return chain_backbone(np.full(LENGTH, np.radians(-120.0)), np.full(LENGTH, np.radians(135.0)))[:, 1]


def flat(count: int, value: float = 0.7) -> np.ndarray:
    return np.full((count, LENGTH), value)


def test_mutual_lddt_is_lddt_with_the_other_as_reference() -> None:
    ca = np.stack([near(0.3, 0), near(0.8, 1), odd()])
    mask = np.ones((LENGTH, 1), np.bool_)
    mutual = mutual_lddt(ca)
    for i in range(3):
        for j in range(3):
            expected = lddt(ca[i, :, None], ca[j, :, None], mask, mask).per_residue
            np.testing.assert_allclose(mutual[i, j], expected, atol=1e-6)


def test_residues_that_one_of_two_lacks_do_not_count() -> None:
    ca = np.stack([near(0.3, 0), near(0.3, 1)])
    ca[0, 10:20] = np.nan
    mutual, kept = mutual_lddt(ca), np.r_[0:10, 20:LENGTH]
    assert np.isnan(mutual[0, 1, 10:20]).all()
    np.testing.assert_allclose(mutual[0, 1, kept], mutual_lddt(ca[:, kept])[0, 1], atol=1e-6)


def test_the_odd_one_out_is_last_although_the_judge_sees_no_difference() -> None:
    ca = np.stack([near(0.4, 0), odd(), near(0.4, 1), near(0.4, 2)])
    result = consensus(mutual_lddt(ca), flat(4))
    assert result.score(result.expected).argmin() == 1


def test_copies_of_a_model_gain_no_votes() -> None:
    models = [near(0.5, 0), near(0.6, 1), odd(), near(0.7, 2)]
    judged = np.linspace(0.4, 0.8, 4)[:, None] * np.ones(LENGTH)
    few = consensus(mutual_lddt(np.stack(models)), judged)
    many = consensus(mutual_lddt(np.stack([*models, odd(), odd()])), np.concatenate([judged, judged[[2, 2]]]))
    np.testing.assert_allclose(many.expected[:4], few.expected, atol=1e-6)
    np.testing.assert_allclose(many.expected[4], few.expected[2], atol=1e-6)
    assert many.voters[2] == few.voters[2] == 3


def test_copies_do_not_decide_which_residues_count() -> None:
    ca, judged = np.stack([near(0.8, k) for k in (0, 1, 2, 2, 2)]), flat(5)
    ca[:2, 30:], judged[:2, 30:] = np.nan, np.nan
    assert consensus(mutual_lddt(ca), judged).core.tolist() == [True] * 30 + [False] * 10


def test_a_model_that_the_judge_trusts_has_more_to_say() -> None:
    ca = np.stack([near(0.5, 0), near(0.5, 1), odd()])
    mutual, judged = mutual_lddt(ca), flat(3)
    judged[2] = 0.1
    trusting = consensus(mutual, judged)
    equal = consensus(mutual, judged, sharpness=0.0)
    assert trusting.agreement[0].mean() > equal.agreement[0].mean() + 0.1


def test_the_judge_counts_as_so_many_models() -> None:
    ca = np.stack([near(0.4 + 0.1 * k, k) for k in range(5)])
    result = consensus(mutual_lddt(ca), flat(5, 0.3))
    share = JUDGE_VOTES / (JUDGE_VOTES + 4)
    np.testing.assert_allclose(result.expected, share * 0.3 + (1 - share) * result.agreement)


def test_a_single_model_and_copies_alone_have_the_judge_s_value() -> None:
    alone = consensus(mutual_lddt(near(0.5, 0)[None]), flat(1, 0.6))
    assert np.isnan(alone.agreement).all() and alone.score(alone.expected) == pytest.approx(0.6)
    twice = consensus(mutual_lddt(np.stack([near(0.5, 0)] * 2)), flat(2, 0.6))
    assert twice.voters.tolist() == [0, 0] and twice.score(twice.expected) == pytest.approx(0.6)


def test_missing_residues_cost_where_most_models_have_them() -> None:
    ca = np.stack([near(0.4, k) for k in range(3)])
    judged = flat(3)
    ca[0, :10], judged[0, :10] = np.nan, np.nan
    ca[1:, 35:], judged[1:, 35:] = np.nan, np.nan
    result = consensus(mutual_lddt(ca), judged)
    assert result.core.tolist() == [True] * 35 + [False] * 5
    assert result.score(judged)[0] == pytest.approx(0.7 * 25 / 35) and result.score(judged)[1] == pytest.approx(0.7)
