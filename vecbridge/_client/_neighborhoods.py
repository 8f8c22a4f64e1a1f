"""Neighbourhoods: all that is within a radius of a query, and what is near each record."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vecbridge._client._checked import CheckedEngine
from vecbridge._client._pushdown import candidates_in, is_pushed
from vecbridge._client._scan import distance_rows, records_in
from vecbridge._client._search import Improvable, deepen, is_certified, search
from vecbridge._contract._field_types import FieldType, FieldValue, for_caller
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge._contract._records import Fields, IndexInfo
from vecbridge._contract._scope import Scope
from vecbridge._errors import InvalidArgumentError
from vecbridge.ranking import Pairs, distances, rank
from vecbridge.ranking._near_pairs import Nearest

Progress = Callable[[int, int], None]

_LARGEST = int(sys.float_info.max)
_FIRST_HITS = 64
_GROWTH = 8
# As many float32 as a line or two of the cache.
_COLUMNS_AT_ONCE = 32


def parse_radius(value: object) -> float:
    """Return a radius as a float: a real number or infinity, never NaN.

    Raises:
        InvalidArgumentError: the value is none.
    """
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, int) and not isinstance(number, bool):
        # An integer may be beyond every float, and no distance is.
        return float(max(-_LARGEST, min(number, _LARGEST)))
    if not isinstance(number, float) or math.isnan(number):
        raise InvalidArgumentError(f"radius must be a distance, a real number; got {value!r}")
    return number


def range_search(
    index: CheckedEngine, queries: NDArray[np.float32], radius: float, scope: Scope
) -> list[Hits]:
    """Return every record within a distance of each query, by (exact distance, id).

    There is at least one query, and each id of the scope is listed once.
    """
    if index.capabilities.range_search:
        found = candidates_in(index, scope, lambda given: index.in_range(queries, radius, given))
        metric = index.info.metric
        return [_cut(metric, *each, radius) for each in zip(queries, found, strict=True)]
    if not is_pushed(index, scope):
        # Each of the searches below might end in a look at every record.
        return _scanned(index, queries, radius, scope)

    def ask(positions: list[int], depth: int) -> list[tuple[Hits, int]]:
        found = search(index, queries[positions], depth, scope, "exact")
        return [(hits, depth) for hits in found]

    def prove(_: list[int], found: Sequence[tuple[Hits, int]]) -> Iterable[Improvable]:
        for hits, depth in found:
            beyond = len(hits) < depth or bool(hits.distances[-1] > radius)
            yield _first(hits, radius), not beyond

    answers, left = deepen(
        range(len(queries)),
        _FIRST_HITS,
        ask,
        prove,
        affordable=lambda depth, _: depth <= index.budgets.range_hits,
        deeper=lambda depth: depth * _GROWTH,
    )
    if left:
        answers.update(zip(left, _scanned(index, queries[left], radius, scope), strict=True))
    return [answers[at] for at in range(len(queries))]


def _first(hits: Hits, radius: float) -> Hits:
    count = int(np.searchsorted(hits.distances, radius, side="right"))
    return hits.take(np.arange(count))


def _cut(metric: Metric, query: NDArray[np.float32], found: Candidates, radius: float) -> Hits:
    table = distances(metric, query, found.vectors)
    order = rank(found.ids, table)[: np.count_nonzero(table <= radius)]
    hits = Hits(found.ids, table).take(order)
    # Where nothing is left out, not even an infinite radius reaches beyond the bound.
    complete = is_certified(np.array([radius]), 1, found.lower_bound)
    return Hits(hits.ids, hits.distances, exact=complete)


def _scanned(
    index: CheckedEngine, queries: NDArray[np.float32], radius: float, scope: Scope
) -> list[Hits]:
    """Look at every record in scope, in bounded memory beside the answer."""
    ids: list[list[str]] = [[] for _ in queries]
    near: list[list[NDArray[np.float64]]] = [[np.empty(0)] for _ in queries]
    for records in records_in(index, scope):
        for at, row in distance_rows(index, queries, records.vectors):
            inside = np.flatnonzero(row <= radius)
            ids[at].extend(records.ids[place] for place in inside.tolist())
            near[at].append(row[inside])
    answers: list[Hits] = []
    for some, parts in zip(ids, near, strict=True):
        table = np.concatenate(parts)
        hits = Hits(tuple(some), table).take(rank(some, table))
        answers.append(Hits(hits.ids, hits.distances, exact=True))
    return answers


def neighbors(
    index: CheckedEngine,
    scope: Scope,
    k: int | None,
    progress: Progress | None,
    fields: Sequence[str],
) -> Iterator[tuple[str, Hits]]:
    """Yield each record's id and the nearest others, in ascending order of ids."""
    pairs, columns = _pairs(index, scope, fields)
    for name, (rows, table) in zip(pairs.ids, pairs.neighbors(k, progress=progress), strict=True):
        yield name, _hits(index.info, pairs, columns, rows, table)


def neighbors_within(
    index: CheckedEngine,
    scope: Scope,
    radius: float,
    progress: Progress | None,
    fields: Sequence[str],
) -> Iterator[tuple[str, Hits]]:
    """Yield each record's id and the others within a distance, in ascending order of ids."""
    pairs, columns = _pairs(index, scope, fields)
    for name, (rows, table) in zip(pairs.ids, pairs.within(radius, progress), strict=True):
        # Rows are in the order of ids, and so are ties after a stable sort.
        order = np.argsort(table, kind="stable")
        yield name, _hits(index.info, pairs, columns, rows[order], table[order])


def duplicates(
    index: CheckedEngine, scope: Scope, radius: float, progress: Progress | None
) -> dict[str, Hits]:
    """Return, for each record that is kept and has any, the records that duplicate it."""
    pairs, _ = _pairs(index, scope, ())
    kept = pairs.apart(radius, progress=progress)
    return by_owner(pairs.nearest_among(kept, radius), pairs.ids)


def by_owner(nearest: Nearest, ids: Sequence[str] | Mapping[int, str]) -> dict[str, Hits]:
    """Return the records that are nearest to each owner, nearest first, by the owner's id.

    Args:
        nearest: positions, in the order of ids, of records and of their owners.
        ids: at these positions.
    """
    rows, owners, far = nearest
    # Rows are in the order of ids.
    order = np.lexsort((rows, far, owners))
    rows, owners, far = rows[order], owners[order], far[order]
    answer: dict[str, Hits] = {}
    starts = np.flatnonzero(np.diff(owners, prepend=-1, append=-1)).tolist()
    for start, end in pairwise(starts):
        found = tuple([ids[int(row)] for row in rows[start:end]])
        answer[ids[int(owners[start])]] = Hits(found, far[start:end].copy(), exact=True)
    return answer


def _hits(
    info: IndexInfo,
    pairs: Pairs,
    columns: Fields,
    rows: NDArray[np.intp],
    table: NDArray[np.float64],
) -> Hits:
    at = rows.tolist()
    fields = {
        name: for_caller([column[row] for row in at], info.fields[name])
        for name, column in columns.items()
    }
    types: dict[str, FieldType] = {name: info.fields[name] for name in columns}
    return Hits(tuple([pairs.ids[row] for row in at]), table, True, fields, types)


def _pairs(
    index: CheckedEngine, scope: Scope, fields: Sequence[str]
) -> tuple[Pairs, dict[str, list[FieldValue]]]:
    """Read the records in scope, and columns of their fields, in ascending order of ids."""
    ids: list[str] = []
    columns: dict[str, list[FieldValue]] = {name: [] for name in fields}
    vectors = np.empty((_at_most(index, scope), index.info.dimension), dtype=np.float32)
    for records in records_in(index, scope):
        start, end = len(ids), len(ids) + len(records)
        if end > len(vectors):
            # Others have written since they were counted.
            vectors = np.resize(vectors, (end + end // 4, index.info.dimension))
        vectors[start:end] = records.vectors
        ids.extend(records.ids)
        for name, column in columns.items():
            column.extend(records.fields[name])
    order = sorted(range(len(ids)), key=ids.__getitem__)
    vectors = vectors[: len(ids)]
    _reorder(vectors, order)
    pairs = Pairs(index.info.metric, [ids[at] for at in order], vectors)
    return pairs, {name: [column[at] for at in order] for name, column in columns.items()}


def _at_most(index: CheckedEngine, scope: Scope) -> int:
    """Return how many records are in scope, or how many more there are to choose them from."""
    if scope.is_empty:
        return 0
    if scope.within is not None:
        return len(scope.within)
    return index.count(Scope(None, None, scope.consistency))


def _reorder(vectors: NDArray[np.float32], order: Sequence[int]) -> None:
    """Put rows in an order, in place: two copies of all vectors may not fit in memory."""
    rows = np.asarray(order, dtype=np.intp)
    if np.array_equal(rows, np.arange(len(rows))):
        return
    for start in range(0, vectors.shape[1], _COLUMNS_AT_ONCE):
        part = slice(start, start + _COLUMNS_AT_ONCE)
        vectors[:, part] = vectors[rows, part]
