"""Exact ranking by a look at every record in scope, in bounded memory.

The last resort of certification, and the first of what no engine does natively: the farthest
records, the ranking of everything, rankings by several queries at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import _validate as validate
from vecbridge._client._checked import CheckedEngine
from vecbridge._client._pushdown import matching, pushed
from vecbridge._contract._consistency import Consistency, parse_consistency, satisfying_level
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._filters import Filter, shown
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge._contract._ranking import Aggregation
from vecbridge._contract._records import Records
from vecbridge._contract._scope import IdRange, Scope
from vecbridge._contract._settling import settle
from vecbridge._errors import UnsupportedError
from vecbridge.ranking import distance_matrix, rank

Table = NDArray[np.float64]
Reducer = Callable[[Table], Table]
"""Turns the ``(q, n)`` distances of several queries into one row to rank: ``(1, n)``."""


def scope_of(
    index: CheckedEngine,
    level: Consistency,
    within: Iterable[str] | None,
    where: Filter | None,
) -> Scope:
    """Check what a caller says of the scope of a search.

    Args:
        index: the engine.
        level: of the reads, which the engine offers.
        within: as the caller gave it; repeated ids stay in, because to find them takes as long as
            many a search.
        where: as the caller gave it.

    Raises:
        InvalidInputError: an id or the filter is unusable.
        UnsupportedError: the records have no fields.
    """
    can = index.capabilities
    settled: Filter | bool = True
    if where is not None:
        if not can.fields:
            raise UnsupportedError(
                f"this store has no fields and so no filters: index {index.info.name!r} cannot "
                f"answer where={shown(where)}; give the candidates' ids as within=[...]",
                capability="filters",
            )
        settled = settle(where, index.info.fields, index.info.limits)
    ids = None if within is None else validate.id_column(within)
    if isinstance(settled, bool):
        # A filter that matches no record is an empty list of ids: the store need not be asked.
        return Scope(ids if settled else (), None, level)
    return Scope(ids, settled, level)


def level_of(index: CheckedEngine, wanted: Consistency | None, default: Consistency) -> Consistency:
    """Return the level at which an engine answers a read that asks for ``wanted``.

    Raises:
        InvalidArgumentError: there is no such level.
        UnsupportedError: the engine offers none that is as strong.
    """
    asked = default if wanted is None else parse_consistency(wanted)
    level = satisfying_level(asked, index.capabilities.consistency)
    if level is None:
        offered = ", ".join(sorted(index.capabilities.consistency))
        message = f"this store offers {offered} reads; none is as strong as {asked}"
        raise UnsupportedError(message, capability="consistency")
    return level


class TopK:
    """The ``k`` best of a stream of records, by (distance, id), in bounded memory.

    Args:
        k: how many to keep; all of them where ``None``.
        farthest: keep the largest distances instead, largest first, ties still by id.
    """

    def __init__(self, k: int | None, *, farthest: bool = False) -> None:
        self._k = k
        self._sign = -1.0 if farthest else 1.0
        self._best = Hits((), np.empty(0))
        self._pending: list[tuple[Sequence[str], Table]] = []
        self._pending_count = 0

    @property
    def full(self) -> bool:
        """Return whether ``k`` records have been ranked, so that :attr:`last` bounds the answer."""
        return self._k is not None and len(self._best) == self._k

    @property
    def last(self) -> float:
        """Distance of the last of the records that have been ranked."""
        return float(self._best.distances[-1]) * self._sign

    def add(self, ids: Sequence[str], distances: Table) -> None:
        """Add records: ids and their ``(n,)`` distances."""
        keys = distances * self._sign
        if self.full:
            hopeful: list[int] = np.flatnonzero(keys <= self._best.distances[-1]).tolist()
            ids = [ids[position] for position in hopeful]
            keys = keys[hopeful]
        if ids:
            self._pending.append((ids, keys))
            self._pending_count += len(ids)
        # A cut sorts what is kept, so it waits until as much is new as is kept.
        if self._k is not None and self._pending_count >= self._k:
            self._cut()

    def hits(self, *, exact: bool = True) -> Hits:
        """Return the best of all that was added."""
        self._cut()
        best = self._best
        return Hits(best.ids, best.distances * self._sign + 0.0, exact=exact)

    def _cut(self) -> None:
        if not self._pending:
            return
        parts = [(self._best.ids, self._best.distances), *self._pending]
        ids = tuple(each for part, _ in parts for each in part)
        keys = np.concatenate([keys for _, keys in parts])
        self._best = Hits(ids, keys).take(rank(ids, keys, self._k))
        self._pending, self._pending_count = [], 0


def no_hits(count: int, *, exact: bool, types: Mapping[str, FieldType]) -> list[Hits]:
    """Return the answers of ``count`` queries where no record is in scope.

    Args:
        count: how many.
        exact: what the answers say.
        types: of the fields that were asked for.
    """
    return [Hits((), np.empty(0), exact, {name: [] for name in types}, types) for _ in range(count)]


def no_candidates(count: int, dimension: int) -> list[Candidates]:
    """Return an engine's candidates for ``count`` queries where no record is in scope."""
    return [
        Candidates((), np.empty((0, dimension), dtype=np.float32), math.inf) for _ in range(count)
    ]


def scan_rank(
    index: CheckedEngine,
    queries: NDArray[np.float32],
    k: int | None,
    scope: Scope,
    *,
    farthest: bool = False,
    reduce: Reducer | None = None,
) -> list[Hits]:
    """Rank every record in scope; one answer per query, or a single one of the reduced row."""
    metric = index.info.metric
    best = [TopK(k, farthest=farthest) for _ in range(len(queries) if reduce is None else 1)]
    for records in records_in(index, scope):
        if reduce is None:
            for at, row in distance_rows(index, queries, records.vectors):
                best[at].add(records.ids, row)
        else:
            for start, stop in _blocks(index, len(records), len(queries)):
                table = distance_matrix(metric, queries, records.vectors[start:stop])
                best[0].add(records.ids[start:stop], reduce(table)[0])
    return [top.hits() for top in best]


def distance_rows(
    index: CheckedEngine, queries: NDArray[np.float32], vectors: NDArray[np.float32]
) -> Iterator[tuple[int, Table]]:
    """Yield the position of each query, and its distances to every vector, in bounded memory."""
    metric: Metric = index.info.metric
    for start, stop in _blocks(index, len(queries), len(vectors)):
        yield from enumerate(distance_matrix(metric, queries[start:stop], vectors), start)


def _blocks(index: CheckedEngine, count: int, width: int) -> list[tuple[int, int]]:
    """Ranges of rows, ``width`` float64 each, that fit the budget of bytes; or single ones."""
    size = max(1, index.budgets.table_bytes // (8 * max(width, 1)))
    return [(start, min(start + size, count)) for start in range(0, count, size)]


def records_in(
    index: CheckedEngine,
    scope: Scope,
    batch_size: int | None = None,
    ids: IdRange | None = None,
    *,
    vectors: bool = True,
) -> Iterator[Records]:
    """Yield the records in scope, batch by batch; by default batches that fit the budget.

    Args:
        index: the engine.
        scope: which records.
        batch_size: most records at a time.
        ids: only those of a range, in order of ids; without a list of ids, and of an engine that
            declares ``partitions``.
        vectors: whether their vectors are wanted; otherwise they may be left out.
    """
    if scope.is_empty:
        return iter(())
    rows = batch_size or index.scan_rows
    if scope.within is None:
        given = pushed(index, scope)
        left = None if given is scope else scope.where
        stream = index.scan(rows, given, ids, vectors=vectors)
    else:
        left = scope.where
        slices = (scope.within[at : at + rows] for at in range(0, len(scope.within), rows))
        stream = (
            index.fetch(part, vectors=vectors, consistency=scope.consistency) for part in slices
        )
    kept = stream if left is None else (matching(records, left) for records in stream)
    return (records for records in kept if len(records))


def mean_query(queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of ``(q, d)`` queries, taken in float64, as ``(1, d)`` float32."""
    mean = np.mean(queries, axis=0, dtype=np.float64)
    return np.asarray(mean, dtype=np.float32)[np.newaxis]


def _mean_row(table: Table) -> Table:
    # Row by row: numpy's own mean takes another order of summation where there is one column.
    total = np.array(table[:1])
    for row in table[1:]:
        total += row
    return np.asarray(total / len(table))


def _min_row(table: Table) -> Table:
    return np.asarray(table.min(axis=0, keepdims=True))


def _max_row(table: Table) -> Table:
    return np.asarray(table.max(axis=0, keepdims=True))


REDUCERS: Mapping[Aggregation, Reducer] = MappingProxyType(
    {"post-mean": _mean_row, "post-min": _min_row, "post-max": _max_row}
)
"""What makes one row of the distances to each query, for every aggregation but the mean."""
