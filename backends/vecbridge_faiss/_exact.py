"""Candidates with a proof: FAISS in float32 first, float64 for what that leaves open."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates, Hits, Metric
from vecbridge.local import Scoped, Snapshot
from vecbridge.ranking import SPARE, norms
from vecbridge_faiss._flat import Flat, Nearest, Way

_CANDIDATE_BYTES = 32 << 20
_SPARSE = 4
_WIDER = 4
_NONE = np.empty(0, dtype=np.intp)


class Exact:
    """Searches every record in scope.

    Holds what is worth keeping between searches, and no view of the records.

    Args:
        metric: of the index.
    """

    def __init__(self, metric: Metric) -> None:
        self._metric: Metric = metric
        self._whole: tuple[int, Flat] | None = None

    def search(self, queries: NDArray[np.float32], k: int, scoped: Scoped) -> list[Hits]:
        """FAISS's ranking, or that of float64 where float32 would overflow."""
        count = min(k, len(scoped))
        if not count:
            return [Hits((), np.empty(0)) for _ in queries]
        reach = self._reach(scoped)
        query_norms = norms(queries)
        usable = reach.flat.usable(query_norms)
        found = reach.nearest(queries[usable], count, "own")
        distances = iter(reach.flat.distances(found, query_norms[usable]))
        columns = iter(found.columns)
        return [
            scoped.hits(reach.rows(next(columns)), next(distances))
            if fits
            else scoped.float64_hits(self._metric, query, count)
            for query, fits in zip(queries, usable.tolist(), strict=True)
        ]

    def candidates(self, queries: NDArray[np.float32], k: int, scoped: Scoped) -> list[Candidates]:
        """At least ``k`` records a query, with a proven floor under the distance of the others."""
        count = min(k + SPARE, len(scoped))
        if count == len(scoped):
            return [scoped.everything() for _ in queries]
        most = _CANDIDATE_BYTES // (4 * queries.shape[1] * max(len(queries), 1))
        reach = self._reach(scoped)
        query_norms = norms(queries)
        usable = np.flatnonzero(reach.flat.usable(query_norms))
        wider = min(_WIDER * count, len(scoped))
        tries: list[tuple[int, Way]] = [
            (count, "fast"),
            (wider if wider <= most else count, "close"),
        ]
        offers: dict[int, Candidates | None] = {}
        for size, way in tries:
            left = np.array([at for at in usable.tolist() if not offers.get(at)], dtype=np.intp)
            decided = self._decided(queries[left], query_norms[left], k, size, reach, way)
            offers.update(zip(left.tolist(), decided, strict=True))
        return [
            offers.get(at) or scoped.offer(*scoped.float64_rows(self._metric, query, k, most))
            for at, query in enumerate(queries)
        ]

    def in_range(
        self, queries: NDArray[np.float32], radius: float, scoped: Scoped
    ) -> list[Candidates]:
        """Every record within the distance, and those that float32 cannot tell from them."""
        if math.isinf(radius) or not len(scoped):
            return [
                scoped.everything() if radius > 0 else scoped.offer(_NONE, math.inf)
                for _ in queries
            ]
        reach = self._reach(scoped)
        query_norms = norms(queries)
        usable = reach.flat.usable(query_norms)
        found = iter(reach.in_range(queries[usable], query_norms[usable], radius))
        return [
            scoped.offer(reach.rows(next(found)), math.inf) if fits else scoped.everything()
            for fits in usable.tolist()
        ]

    def _decided(
        self,
        queries: NDArray[np.float32],
        query_norms: NDArray[np.float64],
        k: int,
        count: int,
        reach: _Reach,
        way: Way,
    ) -> list[Candidates | None]:
        """Candidates of each query, or ``None`` where float32 leaves the ``k`` best open."""
        if not len(queries):
            return []
        found = reach.nearest(queries, count, way)
        lower, upper = reach.flat.bounds(found, query_norms)
        # FAISS's order is that of its values, and so is that of the bounds.
        beyond = lower > upper[:, k - 1 : k]
        needed = np.where(beyond[:, -1], np.argmax(beyond, axis=1) + 1, 0)
        return [
            reach.scoped.offer(reach.rows(columns[:most]), float(floors[most - 1]))
            if most
            else None
            for columns, floors, most in zip(found.columns, lower, needed.tolist(), strict=True)
        ]

    def _reach(self, scoped: Scoped) -> _Reach:
        snapshot, rows = scoped.snapshot, scoped.rows
        if rows is None:
            return _Reach(self._whole_of(snapshot), snapshot.vectors, scoped)
        if len(rows) * _SPARSE < len(snapshot):
            vectors = snapshot.vectors[rows]
            flat = Flat(self._metric, vectors, snapshot.norms[rows])
            return _Reach(flat, vectors, scoped, gathered=rows)
        return _Reach(self._whole_of(snapshot), snapshot.vectors, scoped, selected=rows)

    def _whole_of(self, snapshot: Snapshot) -> Flat:
        """The search of all records, made once for a state of them."""
        cached = self._whole
        if cached is None or cached[0] != snapshot.generation:
            added = (
                cached is not None and snapshot.appended_since <= cached[0] < snapshot.generation
            )
            before = cached[1] if cached is not None and added else None
            flat = Flat(self._metric, snapshot.vectors, snapshot.norms, before)
            cached = self._whole = snapshot.generation, flat
        return cached[1]


class _Reach:
    """A matrix that holds the records in scope, and what else it holds is not found."""

    def __init__(
        self,
        flat: Flat,
        vectors: NDArray[np.float32],
        scoped: Scoped,
        *,
        gathered: NDArray[np.intp] | None = None,
        selected: NDArray[np.intp] | None = None,
    ) -> None:
        self.flat = flat
        self.scoped = scoped
        self._vectors = vectors
        self._gathered = gathered
        self._selected = selected

    def nearest(self, queries: NDArray[np.float32], count: int, way: Way) -> Nearest:
        """The nearest records in scope; ``columns`` are rows of the matrix."""
        return self.flat.nearest(queries, self._vectors, count, way, self._selected)

    def in_range(
        self, queries: NDArray[np.float32], query_norms: NDArray[np.float64], radius: float
    ) -> list[NDArray[np.intp]]:
        """Every record in scope within a distance, and perhaps others: rows of the matrix."""
        return self.flat.in_range(queries, query_norms, self._vectors, radius, self._selected)

    def rows(self, found: NDArray[np.intp]) -> NDArray[np.intp]:
        """Rows of the snapshot that rows of the matrix stand for."""
        return found if self._gathered is None else self._gathered[found]
