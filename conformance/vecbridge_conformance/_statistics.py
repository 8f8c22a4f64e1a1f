"""What a number of successes says about a probability."""

from __future__ import annotations

import math


def lower_bound(successes: int, trials: int, *, confidence: float = 0.99) -> float:
    """Return Clopper and Pearson's exact lower bound of a probability.

    Args:
        successes: how often it went well.
        trials: how often it was tried.
        confidence: how sure the bound is.

    Returns:
        The largest ``p`` under which so many successes are less likely than ``1 - confidence``.

    Example:
        >>> round(lower_bound(10, 10, confidence=0.95), 4)
        0.7411
    """
    if successes == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_least(successes, trials, middle) < 1.0 - confidence:
            low = middle
        else:
            high = middle
    return low


def _at_least(successes: int, trials: int, p: float) -> float:
    """Return probability of so many successes or more."""
    if p <= 0.0:
        return 0.0
    if p >= 1.0:
        return 1.0
    terms = (
        math.lgamma(trials + 1)
        - math.lgamma(count + 1)
        - math.lgamma(trials - count + 1)
        + count * math.log(p)
        + (trials - count) * math.log1p(-p)
        for count in range(successes, trials + 1)
    )
    return math.fsum(map(math.exp, terms))
