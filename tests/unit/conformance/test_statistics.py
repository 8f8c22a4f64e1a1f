"""Clopper and Pearson's bound agrees with the quantiles of the beta distribution."""

from __future__ import annotations

import pytest
from scipy.stats import beta  # type: ignore[import-untyped]

from vecbridge_conformance._statistics import lower_bound


@pytest.mark.parametrize(("successes", "trials"), [(1, 10), (9, 10), (10, 10), (1950, 2000)])
@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_the_bound_is_the_quantile(successes: int, trials: int, confidence: float) -> None:
    expected = beta.ppf(1 - confidence, successes, trials - successes + 1)

    assert lower_bound(successes, trials, confidence=confidence) == pytest.approx(expected)


def test_no_success_says_nothing() -> None:
    assert lower_bound(0, 100) == 0.0


def test_more_trials_of_the_same_rate_say_more() -> None:
    assert lower_bound(95, 100) < lower_bound(950, 1000) < 0.95
