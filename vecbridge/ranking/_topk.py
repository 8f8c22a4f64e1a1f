"""The first k: the contract's order, the smallest of a row, and candidates that are certain.

Records are ordered by distance, then by id.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SPARE = 16
"""Records that an engine in float32 offers beyond the ``k`` that are asked for."""

_WIDEST = 4
_SORTED_WHOLE = 256
_SMALL_ROW = 2048


class Pick(NamedTuple):
    """Candidates of one query.

    Attributes:
        columns: of the records that are offered.
        least: no record outside has a smaller lower bound than this.
        certified: whether the k best are certainly among them.
    """

    columns: NDArray[np.intp]
    least: float
    certified: bool


def rank(
    ids: Sequence[str], distances: NDArray[np.float64], k: int | None = None
) -> NDArray[np.intp]:
    """Return the positions of the ``k`` best in order of (distance, id).

    Args:
        ids: the records' ids, compared by code point.
        distances: ``(n,)`` float64 without NaN.
        k: how many; all of them where ``None``.

    Returns:
        ``(min(k, n),)`` positions into ``ids``.

    Example:
        >>> rank(["b", "a", "c"], np.array([1.0, 1.0, 0.5]), 2).tolist()
        [2, 1]
    """
    positions = np.arange(len(ids))
    if k is not None and k < len(ids) > _SORTED_WHOLE:
        # Everything that ties with the k-th stays in until ids have decided.
        cut = np.partition(distances, k - 1)[k - 1]
        positions = np.flatnonzero(distances <= cut)
    # Ties are ordered by id below, so that here they may come in any order.
    order = positions[np.argsort(distances[positions])]
    ranked = distances[order]
    starts = np.flatnonzero(ranked[1:] == ranked[:-1])
    if len(starts):
        _order_ties(order, ranked, ids, int(starts[0]), int(starts[-1]) + 2)
    return order if k is None else order[:k]


def ids_at(ids: Sequence[str], positions: NDArray[np.intp]) -> tuple[str, ...]:
    """Return the ids at positions, in half of the time that indexing one by one takes."""
    if len(positions) < 2:
        return tuple(map(ids.__getitem__, positions.tolist()))
    found: tuple[str, ...] = itemgetter(*positions.tolist())(ids)
    return found


def smallest_columns(values: NDArray[np.floating], count: int) -> NDArray[np.intp]:
    """Return the columns of the ``count`` smallest values of each row, without sorting it.

    The row is folded into groups whose minima are one vectorised pass; the ``count`` smallest
    values lie in the ``count`` groups with the smallest minima, so only those are looked into.

    Args:
        values: ``(q, n)`` float, without NaN.
        count: how many, at most ``n``.

    Returns:
        ``(q, count)`` columns, in no particular order.
    """
    rows, columns = values.shape
    if count >= columns:
        return np.tile(np.arange(columns), (rows, 1))
    members = math.isqrt(columns // count)
    if columns <= _SMALL_ROW or members < 4:
        return _partition(values, count)
    groups = columns // members
    grouped = values[:, : groups * members].reshape(rows, members, groups)
    minima = grouped.min(axis=1)
    best = _partition(minima, count)
    inside = best[:, :, np.newaxis] + groups * np.arange(members)
    rest = np.arange(groups * members, columns)
    tail = np.broadcast_to(rest, (rows, len(rest)))
    pool = np.concatenate([inside.reshape(rows, count * members), tail], axis=1)
    pooled = np.take_along_axis(values, pool, axis=1)
    chosen = _partition(pooled, count)
    selected: NDArray[np.intp] = np.take_along_axis(pool, chosen, axis=1)
    return selected


def pick_by_keys(
    keys: NDArray[np.float32], errors: NDArray[np.float64], k: int, most: int
) -> list[Pick]:
    """Return a pick for each row of keys that may be wrong by the row's error.

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
    """Return the pick of one query, from bounds of its distances: ``(n,)`` each."""
    count = min(k + SPARE, len(lower))
    columns = smallest_columns(lower[np.newaxis], count)[0]
    kth = float(np.partition(upper, min(k, count) - 1)[min(k, count) - 1])
    return _widened(lower, kth, columns, most)


def _order_ties(
    order: NDArray[np.intp],
    ranked: NDArray[np.float64],
    ids: Sequence[str],
    start: int,
    stop: int,
) -> None:
    """Sort ``order[start:stop]``, the stretch that holds every tie, by (distance, id)."""
    stretch = zip(ranked[start:stop].tolist(), order[start:stop].tolist(), strict=True)
    ordered = sorted(stretch, key=lambda pair: (pair[0], ids[pair[1]]))
    order[start:stop] = [position for _, position in ordered]


def _partition(values: NDArray[np.floating], count: int) -> NDArray[np.intp]:
    return np.asarray(np.argpartition(values, count - 1, axis=1)[:, :count])


def _widened(
    values: NDArray[np.floating], limit: float, columns: NDArray[np.intp], most: int
) -> Pick:
    """Take in everything up to the limit, if that is few enough, and one more as the proof."""
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
