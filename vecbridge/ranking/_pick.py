"""Which records to offer as candidates, and what is proven of the rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge.ranking._select import smallest_columns

SPARE = 16
"""Records that an engine in float32 offers beyond the ``k`` that are asked for."""

_WIDEST = 4


class Pick(NamedTuple):
    """Candidates of one query.

    Attributes:
        columns: of the records that are offered.
        least: no record outside has a smaller lower bound than this.
        decided: whether the k best are certainly among them.
    """

    columns: NDArray[np.intp]
    least: float
    decided: bool


def pick_by_keys(
    keys: NDArray[np.float32], errors: NDArray[np.float64], k: int, most: int
) -> list[Pick]:
    """Picks for each row of keys that may be wrong by the row's error.

    Args:
        keys: ``(q, n)``.
        errors: ``(q,)``.
        k: how many answers there must be.
        most: the most candidates that may be offered to settle a near tie.
    """
    count = min(k + SPARE, keys.shape[1])
    # Where float32 leaves very many undecided, float64 is cheaper than looking at them all.
    most = min(most, _WIDEST * count)
    columns = smallest_columns(keys, count)
    chosen = np.take_along_axis(keys, columns, axis=1).astype(np.float64)
    worst = chosen.max(axis=1)
    best = np.partition(chosen, min(k, count) - 1, axis=1)[:, min(k, count) - 1]
    decided = worst - errors > best + errors
    return [
        Pick(columns[row], float(worst[row]), True)
        if decided[row]
        else _widened(keys[row], float(best[row] + 2.0 * errors[row]), columns[row], most)
        for row in range(len(keys))
    ]


def pick_by_bounds(
    lower: NDArray[np.float64], upper: NDArray[np.float64], k: int, most: int
) -> Pick:
    """Picks for one query, from bounds of its distances: ``(n,)`` each."""
    count = min(k + SPARE, len(lower))
    columns = smallest_columns(lower[np.newaxis], count)[0]
    kth = float(np.partition(upper, min(k, count) - 1)[min(k, count) - 1])
    return _widened(lower, kth, columns, most)


def _widened(
    values: NDArray[np.floating], limit: float, columns: NDArray[np.intp], most: int
) -> Pick:
    """Takes in everything up to the limit, if that is few enough, and one more as the proof."""
    worst = float(values[columns].max())
    if worst > limit:
        return Pick(columns, worst, True)
    wanted = int(np.count_nonzero(values <= limit)) + 1
    if wanted > max(most, len(columns)):
        return Pick(columns, worst, False)
    if wanted > len(values):
        return Pick(np.arange(len(values)), worst, True)
    columns = smallest_columns(values[np.newaxis], wanted)[0]
    return Pick(columns, float(values[columns].max()), True)
