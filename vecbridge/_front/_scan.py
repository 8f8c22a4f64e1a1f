"""Exact ranking by looking at every record, in bounded memory.

The last resort of certification, and the first of what no engine does natively: the farthest
records, the ranking of everything, rankings by several queries at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._consistency import Consistency
from vecbridge._contract._filters import Filter
from vecbridge._contract._hits import Hits
from vecbridge._contract._matching import matches
from vecbridge._contract._protocols import VectorIndex
from vecbridge._contract._records import Records
from vecbridge._front._topk import TopK
from vecbridge.ranking import distance_matrix

SCAN_BATCH_BYTES = 16 << 20

Reducer = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Turns the ``(q, n)`` distances of several queries into rows to rank: ``(r, n)``."""


@dataclass(frozen=True)
class Scope:
    """Which records are candidates, and how fresh the reads must be."""

    within: Sequence[str] | None
    where: Filter | None
    consistency: Consistency

    def distinct(self) -> Scope:
        """The same records, each listed once."""
        return self if self.within is None else replace(self, within=[*dict.fromkeys(self.within)])


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
    best: list[TopK] = []
    for records in candidates_in(index, scope):
        table = distance_matrix(index.info.metric, queries, records.vectors)
        rows = table if reduce is None else reduce(table)
        best = best or [TopK(k, farthest=farthest) for _ in rows]
        for top, row in zip(best, rows, strict=True):
            top.add(records.ids, row)
    if not best:
        answers = len(queries) if reduce is None else 1
        best = [TopK(k) for _ in range(answers)]
    return [top.hits() for top in best]


def candidates_in(index: VectorIndex, scope: Scope) -> Iterator[Records]:
    """Streams the records of a scope."""
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
