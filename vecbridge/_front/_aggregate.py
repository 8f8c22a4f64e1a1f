"""Ranking by several queries at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from vecbridge._errors import InvalidArgumentError

Aggregation: TypeAlias = Literal["mean", "post-mean", "post-min", "post-max"]
"""How several queries make one ranking.

``mean``: by the distance to the mean of the queries. ``post-mean``, ``post-min``, ``post-max``: by
the mean, least or greatest of the distances to each query.
"""

AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)


def parse_aggregation(value: object) -> Aggregation:
    """Reads an aggregation.

    Raises:
        InvalidArgumentError: the value names none.
    """
    for known in AGGREGATIONS:
        if isinstance(value, str) and value == known:
            return known
    raise InvalidArgumentError(
        f"aggregation must be one of {', '.join(AGGREGATIONS)}; got {value!r}"
    )


def mean_query(queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of ``(q, d)`` queries, taken in float64, as ``(1, d)`` float32."""
    mean = np.mean(queries, axis=0, dtype=np.float64)
    return np.asarray(mean, dtype=np.float32)[np.newaxis]


def reducer(aggregation: Aggregation) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """What turns the ``(q, n)`` distances of a ``post-`` aggregation into one ``(1, n)`` row."""
    return {"post-mean": _mean_row, "post-min": _min_row, "post-max": _max_row}[aggregation]


def _mean_row(table: NDArray[np.float64]) -> NDArray[np.float64]:
    # Row by row: numpy's own mean takes another order of summation where there is one column.
    total = np.array(table[:1])
    for row in table[1:]:
        total += row
    return np.asarray(total / len(table))


def _min_row(table: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(table.min(axis=0, keepdims=True))


def _max_row(table: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(table.max(axis=0, keepdims=True))
