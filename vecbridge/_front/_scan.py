"""Exact ranking by looking at every record, in bounded memory.

The last resort of certification, and the first of what no engine does natively: the farthest
records, the ranking of everything, rankings by several queries at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._consistency import Consistency
from vecbridge._contract._filters import Filter
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._matching import matches
from vecbridge._contract._metric import Metric
from vecbridge._contract._protocols import VectorIndex
from vecbridge._contract._records import Records
from vecbridge._front._topk import TopK
from vecbridge.ranking import distance_matrix

SCAN_BATCH_BYTES = 16 << 20
_TABLE_BYTES = 32 << 20

Reducer = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Turns the ``(q, n)`` distances of several queries into one row to rank: ``(1, n)``."""


@dataclass(frozen=True)
class Scope:
    """Which records are candidates, and how fresh the reads must be.

    Attributes:
        within: ids of the candidates, where they are listed.
        where: a settled filter.
        consistency: level of the reads.
        nothing: whether the filter matches no record: the store need not be asked.
    """

    within: Sequence[str] | None
    where: Filter | None
    consistency: Consistency
    nothing: bool = False

    def distinct(self) -> Scope:
        """The same records, each listed once."""
        return self if self.within is None else replace(self, within=[*dict.fromkeys(self.within)])


def no_hits(count: int, *, exact: bool) -> list[Hits]:
    """The answers of so many queries where no record is in scope."""
    return [Hits((), np.empty(0), exact=exact) for _ in range(count)]


def no_candidates(count: int, dimension: int) -> list[Candidates]:
    """The same of an engine: nothing is left out."""
    return [
        Candidates((), np.empty((0, dimension), dtype=np.float32), math.inf) for _ in range(count)
    ]


def batch_rows(index: VectorIndex, budget: int = SCAN_BATCH_BYTES) -> int:
    """Records whose vectors fit the budget of bytes."""
    return max(1, budget // (4 * index.info.dimension))


def scan_rank(
    index: VectorIndex,
    queries: NDArray[np.float32],
    k: int | None,
    scope: Scope,
    *,
    farthest: bool = False,
    reduce: Reducer | None = None,
) -> list[Hits]:
    """Ranks every candidate by its exact distance; one answer a query, or a reduced row."""
    metric = index.info.metric
    best = [TopK(k, farthest=farthest) for _ in range(len(queries) if reduce is None else 1)]
    for records in candidates_in(index, scope):
        if reduce is None:
            for at, row in distance_rows(metric, queries, records.vectors):
                best[at].add(records.ids, row)
        else:
            for start, stop in _blocks(len(records), len(queries)):
                table = distance_matrix(metric, queries, records.vectors[start:stop])
                best[0].add(records.ids[start:stop], reduce(table)[0])
    return [top.hits() for top in best]


def distance_rows(
    metric: Metric, queries: NDArray[np.float32], vectors: NDArray[np.float32]
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """The position of each query, and its distances to every vector; never those of all queries."""
    for start, stop in _blocks(len(queries), len(vectors)):
        yield from enumerate(distance_matrix(metric, queries[start:stop], vectors), start)


def _blocks(count: int, width: int) -> list[tuple[int, int]]:
    """Ranges of rows, ``width`` float64 each, that fit the budget of bytes; or single ones."""
    size = max(1, _TABLE_BYTES // (8 * max(width, 1)))
    return [(start, min(start + size, count)) for start in range(0, count, size)]


def candidates_in(index: VectorIndex, scope: Scope) -> Iterator[Records]:
    """Streams the records of a scope."""
    if scope.nothing:
        return
    rows = batch_rows(index)
    if scope.within is None:
        stream = index.scan(rows, consistency=scope.consistency)
    else:
        slices = (scope.within[at : at + rows] for at in range(0, len(scope.within), rows))
        stream = (index.fetch(part, consistency=scope.consistency) for part in slices)
    for records in stream:
        kept = records if scope.where is None else _keep(records, scope.where)
        if len(kept):
            yield kept


def _keep(records: Records, where: Filter) -> Records:
    positions = np.flatnonzero(matches(where, records.fields, len(records))).tolist()
    return Records(
        tuple(records.ids[position] for position in positions), records.vectors[positions]
    )
