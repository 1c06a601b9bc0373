"""Bootstrap intervals and tests against known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from refine.bench.rank import area_under_roc, spearman, spearman_interval
from refine.bench.statistics import mean_interval, median_interval, paired


def test_the_interval_of_a_mean_agrees_with_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(1.0, 2.0, 400)
    interval = mean_interval(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.03)
    assert interval.low > 0


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = [(i := mean_interval(rng.normal(size=40))).low <= 0 <= i.high for _ in range(200)]
    assert 0.88 <= np.mean(covered) <= 0.99


def test_the_same_values_give_the_same_interval() -> None:
    values = np.random.default_rng(2).normal(size=30)
    assert mean_interval(values) == mean_interval(values.copy())
    assert median_interval(values).value == np.median(values)


def test_few_values_give_no_interval() -> None:
    assert np.isnan(mean_interval(np.zeros(0)).value)
    single = mean_interval(np.array([3.0]))
    assert single.value == 3.0 and np.isnan(single.low)


def test_paired_tests_agree_with_the_t_test_where_that_holds() -> None:
    rng = np.random.default_rng(3)
    first = rng.normal(size=80)
    second = first - rng.normal(0.25, 1.0, 80)
    test, p = paired(first, second), ttest_1samp(first - second, 0).pvalue
    assert test.difference.value == pytest.approx((first - second).mean())
    assert 0.2 * p < test.bootstrap_p < 5 * p + 1e-3 and 0.05 * p < test.wilcoxon_p < 20 * p + 1e-3


def test_methods_that_do_the_same_do_not_differ() -> None:
    test = paired(np.ones(10), np.ones(10))
    assert (test.wilcoxon_p, test.bootstrap_p, test.difference.value) == (1.0, 1.0, 0.0)


def test_ranking_measures_on_cases_with_known_answers() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert spearman(x, x**3) == pytest.approx(1.0) and spearman(x, -x) == pytest.approx(-1.0)
    assert np.isnan(spearman(x, np.ones(5)))
    assert area_under_roc(x, x >= 4) == 1.0 and area_under_roc(-x, x >= 4) == 0.0
    assert area_under_roc(np.ones(5), x >= 4) == 0.5 and np.isnan(area_under_roc(x, x > 9))
    low, high = spearman_interval(np.arange(50.0), np.arange(50.0))
    assert low == pytest.approx(1.0) and high == pytest.approx(1.0)
