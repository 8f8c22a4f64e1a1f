"""The exact search of every engine in this process: float32 products, then float64 for the rest.

An engine supplies no more than the product of two float32 matrices. The keys made of it
(:class:`vecbridge.ranking.Float32Keys`) decide nearly every query; a query that float32 cannot
decide, or must not be asked, is decided by float64 bounds of the same records.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge.local._snapshot import SearchScope, Snapshot
from vecbridge.ranking import (
    Bounds,
    Float32Keys,
    float64_bounds,
    norms,
    pick_by_bounds,
    pick_by_keys,
    smallest_columns,
)

Products: TypeAlias = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
"""Takes ``(q, d)`` queries and ``(n, d)`` vectors; returns ``(q, n)`` dot products.

All are float32, sums are accumulated in float32 or wider, and the result is the caller's own.
"""

_MIB = 1 << 20
_NO_ROWS = np.empty(0, dtype=np.intp)


def matmul(queries: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``(q, n)`` dot products, by numpy."""
    return np.asarray(np.matmul(queries, vectors.T))


class ExactSearch:
    """Searches every record in scope, and proves what it leaves out.

    Keeps the scales of the keys between searches, and no view of the records: a write that
    follows a search copies nothing. Safe to use from several threads.

    Args:
        metric: of the index.
        dimension: of its vectors.
        products: the engine's matrix product.
        key_bytes: how much memory the keys of one block of queries may take.
        candidate_bytes: how much memory the candidates of all queries of a call may take; where
            more records tie than fit, float64 or the client layer decides.
        gathered_bytes: how much memory the copied vectors of records in scope may take at once.

    Example:
        >>> from vecbridge.local import LocalStore
        >>> table = LocalStore(None, "example").create("p", dimension=2, metric="euclidean")
        >>> table.upsert(["a", "b"], np.float32([[3, 4], [0, 1]]))
        >>> exact = ExactSearch("euclidean", 2)
        >>> exact.search(np.float32([[0, 0]]), 1, SearchScope(table.snapshot()))[0].ids
        ('b',)
    """

    def __init__(
        self,
        metric: Metric,
        dimension: int,
        *,
        products: Products = matmul,
        key_bytes: int = 32 * _MIB,
        candidate_bytes: int = 32 * _MIB,
        gathered_bytes: int = 16 * _MIB,
    ) -> None:
        self._metric: Metric = metric
        self._products = products
        self._key_bytes = key_bytes
        self._candidate_bytes = candidate_bytes
        self._gathered_rows = max(1, gathered_bytes // (4 * dimension))
        self._dimension = dimension
        self._cached: tuple[int, Float32Keys] | None = None

    def candidate_rows(self, queries: int) -> int:
        """Return how many candidates each of so many queries may have to settle a near tie."""
        return self._candidate_bytes // (4 * self._dimension * max(queries, 1))

    def search(self, queries: NDArray[np.float32], k: int, scope: SearchScope) -> list[Hits]:
        """Return the ranking of float32 products; of float64 where float32 would overflow.

        Args:
            queries: ``(q, d)``.
            k: how many hits per query.
            scope: the records.
        """
        return [scope.hits(rows, distances) for rows, distances in self.nearest(queries, k, scope)]

    def nearest(
        self, queries: NDArray[np.float32], k: int, scope: SearchScope
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
        """Yield what :meth:`search` ranks, as snapshot rows and distances, in no order.

        Args:
            queries: ``(q, d)``.
            k: how many records per query.
            scope: the records.
        """
        count = min(k, len(scope))
        if not count:
            yield from ((_NO_ROWS, np.empty(0)) for _ in queries)
            return
        for block in self._blocks(queries, scope):
            scores = self._scores(block, scope)
            best = smallest_columns(scores.table, count)
            for at, query in enumerate(block):
                row = scores.rows.get(at)
                if row is None:
                    bounds = self._float64_bounds(query, scope)
                    middle = 0.5 * (bounds.lower + bounds.upper)
                    columns = smallest_columns(middle, count)[0]
                    yield scope.rows_at(columns), middle[0, columns]
                else:
                    found = scores.keys.native(scores.table[row, best[row]], scores.norms[at])
                    yield scope.rows_at(best[row]), found

    def candidates(
        self, queries: NDArray[np.float32], k: int, scope: SearchScope
    ) -> list[Candidates]:
        """Return at least ``min(k, len(scope))`` records per query, and a proven lower bound.

        Args:
            queries: ``(q, d)``.
            k: how many answers there must be.
            scope: the records.
        """
        most = self.candidate_rows(len(queries))
        return [
            self._by_float64(query, k, most, scope) if found is None else found
            for query, found in zip(queries, self._by_float32(queries, k, scope), strict=True)
        ]

    def far_candidates(
        self, queries: NDArray[np.float32], k: int, scope: SearchScope
    ) -> list[Candidates]:
        """Return at least ``k`` records per query that are likely the farthest.

        Returns:
            Candidates whose lower bound is one of *minus* the distance of every other record;
            ``-inf``, and no records, where float32 cannot tell.
        """
        undecided = scope.candidates_for(_NO_ROWS, -math.inf)
        return [
            undecided if found is None else found
            for found in self._by_float32(queries, k, scope, farthest=True)
        ]

    def in_range(
        self, queries: NDArray[np.float32], radius: float, scope: SearchScope
    ) -> list[Candidates]:
        """Return every record within a distance, and those that float32 cannot tell from them.

        Args:
            queries: ``(q, d)``.
            radius: the distance.
            scope: the records.
        """
        if math.isinf(radius) or not len(scope):
            nothing = scope.candidates_for(_NO_ROWS, math.inf)
            return [scope.all_candidates() if radius > 0 else nothing for _ in queries]
        found: list[Candidates] = []
        for block in self._blocks(queries, scope):
            scores = self._scores(block, scope)
            for at, query in enumerate(block):
                row = scores.rows.get(at)
                if row is None:
                    inside = self._float64_bounds(query, scope).lower[0] <= radius
                else:
                    limit = scores.keys.key_within(radius, scores.norms[at])
                    inside = scores.table[row] <= limit
                rows = scope.rows_at(np.flatnonzero(inside))
                found.append(scope.candidates_for(rows, math.inf))
        return found

    def _by_float32(
        self,
        queries: NDArray[np.float32],
        k: int,
        scope: SearchScope,
        *,
        farthest: bool = False,
    ) -> Iterator[Candidates | None]:
        """Yield the candidates of each query; ``None`` where float32 does not decide."""
        if len(scope) <= k:
            yield from (scope.all_candidates() for _ in queries)
            return
        most = self.candidate_rows(len(queries))
        for block in self._blocks(queries, scope):
            # The keys are let go before float64 bounds take memory of their own.
            decided = self._certified(self._scores(block, scope), k, most, scope, farthest=farthest)
            yield from (decided.get(at) for at in range(len(block)))

    def _certified(
        self, scores: _Scores, k: int, most: int, scope: SearchScope, *, farthest: bool
    ) -> dict[int, Candidates]:
        """Return candidates of the queries that float32 decides, by their place in the block."""
        keys = scores.keys
        places = list(scores.rows)
        errors = np.array([keys.error(scores.norms[at]) for at in places])
        table = np.negative(scores.table, out=scores.table) if farthest else scores.table
        found: dict[int, Candidates] = {}
        for at, pick, error in zip(
            places, pick_by_keys(table, errors, k, most), errors.tolist(), strict=True
        ):
            if pick.certified:
                bound = (
                    -keys.upper_bound(-pick.least, error, scores.norms[at])
                    if farthest
                    else keys.lower_bound(pick.least, error, scores.norms[at])
                )
                found[at] = scope.candidates_for(scope.rows_at(pick.columns), bound)
        return found

    def _by_float64(
        self, query: NDArray[np.float32], k: int, most: int, scope: SearchScope
    ) -> Candidates:
        bounds = self._float64_bounds(query, scope)
        pick = pick_by_bounds(bounds.lower[0], bounds.upper[0], k, most)
        return scope.candidates_for(scope.rows_at(pick.columns), pick.least)

    def _float64_bounds(self, query: NDArray[np.float32], scope: SearchScope) -> Bounds:
        snapshot = scope.snapshot
        return float64_bounds(
            self._metric, query[np.newaxis], snapshot.vectors, snapshot.norms, scope.rows
        )

    def _scores(self, queries: NDArray[np.float32], scope: SearchScope) -> _Scores:
        """Return the keys of the queries that float32 may be asked with."""
        snapshot, rows = scope.snapshot, scope.rows
        if scope.is_sparse:
            keys = Float32Keys(self._metric, self._dimension, snapshot.norms[rows])
        else:
            keys = self._keys_of(snapshot)
        query_norms = norms(queries).tolist()
        usable = [at for at, norm in enumerate(query_norms) if keys.usable(norm)]
        positions = {at: row for row, at in enumerate(usable)}
        if not usable:
            return _Scores(keys, np.empty((0, len(scope)), np.float32), positions, query_norms)
        asked = queries if len(usable) == len(queries) else queries[usable]
        if rows is None or not scope.is_sparse:
            table = keys.keys(self._products(asked, snapshot.vectors))
            if rows is not None:
                table = table[:, rows]
        else:
            table = keys.keys(self._gathered_products(asked, snapshot.vectors, rows))
        return _Scores(keys, table, positions, query_norms)

    def _gathered_products(
        self, queries: NDArray[np.float32], vectors: NDArray[np.float32], rows: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Return ``(q, len(rows))`` products; few of the vectors are copied at once."""
        size = self._gathered_rows
        if len(rows) <= size:
            return self._products(queries, vectors[rows])
        found = np.empty((len(queries), len(rows)), dtype=np.float32)
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            found[:, part] = self._products(queries, vectors[rows[part]])
        return found

    def _keys_of(self, snapshot: Snapshot) -> Float32Keys:
        """Return the keys of all records, made once per state of them."""
        cached = self._cached
        if cached is None or cached[0] != snapshot.generation:
            keys = Float32Keys(self._metric, self._dimension, snapshot.norms)
            cached = self._cached = snapshot.generation, keys
        return cached[1]

    def _blocks(
        self, queries: NDArray[np.float32], scope: SearchScope
    ) -> Iterator[NDArray[np.float32]]:
        """Yield queries whose keys fit the budget, in blocks of equal size."""
        width = len(scope)
        if scope.rows is not None and not scope.is_sparse:
            # The keys of all records, and then copies of those in scope.
            width += len(scope.snapshot)
        most = max(1, self._key_bytes // (4 * max(width, 1)))
        blocks = max(1, -(-len(queries) // most))
        size = max(1, -(-len(queries) // blocks))
        for start in range(0, len(queries), size):
            yield queries[start : start + size]


class _Scores(NamedTuple):
    """Keys of a block of queries.

    Attributes:
        keys: what they mean.
        table: ``(u, n)`` keys, of the queries that float32 may be asked with.
        rows: the row in the table of each such query, by its place in the block.
        norms: of all queries.
    """

    keys: Float32Keys
    table: NDArray[np.float32]
    rows: dict[int, int]
    norms: list[float]
