"""Every record within a distance of a query."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge._contract._protocols import RangeIndex, VectorIndex
from vecbridge._errors import InvalidArgumentError
from vecbridge._front._scan import Scope, candidates_in, distance_rows
from vecbridge.ranking import distances, rank
from vecbridge.ranking._order import taken

_LARGEST = int(sys.float_info.max)


def radius_of(value: object) -> float:
    """Checks a distance: a real number or infinity, never NaN.

    Raises:
        InvalidArgumentError: it is none.
    """
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, int) and not isinstance(number, bool):
        # An integer may be beyond every float, and no distance is.
        return float(max(-_LARGEST, min(number, _LARGEST)))
    if not isinstance(number, float) or math.isnan(number):
        raise InvalidArgumentError(f"radius must be a distance, a real number; got {value!r}")
    return number


def native_range(
    index: RangeIndex,
    metric: Metric,
    queries: NDArray[np.float32],
    radius: float,
    scope: Scope,
) -> list[Hits]:
    """What the engine finds, by exact distances, less what those put beyond the radius."""
    found = index.in_range(
        queries,
        radius,
        within=scope.within,
        where=scope.where,
        consistency=scope.consistency,
    )
    return [_cut(metric, query, each, radius) for query, each in zip(queries, found, strict=True)]


def scanned_range(
    index: VectorIndex, queries: NDArray[np.float32], radius: float, scope: Scope
) -> list[Hits]:
    """Looks at every record in scope, in bounded memory beside the answer."""
    ids: list[list[str]] = [[] for _ in queries]
    near: list[list[NDArray[np.float64]]] = [[] for _ in queries]
    for records in candidates_in(index, scope):
        for at, row in distance_rows(index.info.metric, queries, records.vectors):
            inside = np.flatnonzero(row <= radius)
            ids[at].extend(records.ids[place] for place in inside.tolist())
            near[at].append(row[inside])
    return [
        _ranked(names, np.concatenate([np.empty(0), *kept]), exact=True)
        for names, kept in zip(ids, near, strict=True)
    ]


def _cut(metric: Metric, query: NDArray[np.float32], found: Candidates, radius: float) -> Hits:
    table = distances(metric, query, found.vectors)
    # Where nothing is left out, not even an infinite radius reaches beyond the floor.
    whole = found.floor > radius or found.floor == math.inf
    order = rank(found.ids, table)[: np.count_nonzero(table <= radius)]
    return Hits(taken(found.ids, order), table[order], exact=whole)


def _ranked(ids: Sequence[str], table: NDArray[np.float64], *, exact: bool) -> Hits:
    order = rank(ids, table)
    return Hits(taken(ids, order), table[order], exact=exact)
