"""Picking the few smallest values of a long row, without sorting the row."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_SMALL_ROW = 2048


def smallest_columns(values: NDArray[np.floating], count: int) -> NDArray[np.intp]:
    """Columns of the ``count`` smallest values of each row.

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
    pool = np.concatenate([inside.reshape(rows, -1), tail], axis=1)
    pooled = np.take_along_axis(values, pool, axis=1)
    chosen = _partition(pooled, count)
    selected: NDArray[np.intp] = np.take_along_axis(pool, chosen, axis=1)
    return selected


def _partition(values: NDArray[np.floating], count: int) -> NDArray[np.intp]:
    return np.asarray(np.argpartition(values, count - 1, axis=1)[:, :count])
