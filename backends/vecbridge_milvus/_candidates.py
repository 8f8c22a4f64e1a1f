"""Candidates with a floor that is proven, whatever the norms of the records are."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates
from vecbridge_milvus._collection import MAX_LIMIT, Collection
from vecbridge_milvus._expr import both
from vecbridge_milvus._foreign import search_with_vectors
from vecbridge_milvus._geometry import USELESS, Geometry, Query
from vecbridge_milvus._rows import to_ids, to_stored, to_vectors
from vecbridge_milvus._tuning import SPARE
from vecbridge_milvus._view import Entity, View

_SAMPLE = 64
_ROUNDS = 40


@dataclass(frozen=True)
class Outside:
    """The records of a scope whose norms lie outside the band of the search.

    Attributes:
        ids: ids of those that are listed.
        vectors: ``(n, d)`` their vectors.
        floor: lower bound of the distance of those that are not listed.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    floor: float


class Ranker:
    """Asks a collection whose searches look at every record for candidates.

    Args:
        collection: the collection.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._layout = collection.layout
        self.geometry = Geometry(self._layout.info.metric, self._layout.stored_dimension)
        self._lock = threading.Lock()
        # How far float32 errs in a dot product grows with the norms, so the band is kept narrow.
        self._high = 0.0 if self._layout.info.metric == "dotproduct" else self.geometry.band[1]
        # A filter slows a search down, so it goes without while nothing is seen to be outside.
        # Lite fails on what overflows, and has to be kept from it.
        self._all_inside = not collection.lite

    def candidates(
        self, view: View, queries: NDArray[np.float32], k: int, scope: str
    ) -> list[Candidates]:
        """Candidates of each query among the records that match ``scope``."""
        limit = k + SPARE
        sent, asked = self.geometry.prepare(queries)
        stored = to_stored(self._layout, sent)
        supposed, bare = self._high, self._all_inside
        quiet = self._collection.session.ended()
        with ThreadPoolExecutor(1) as pool:
            view.wait()
            looking = pool.submit(self._outside, view, scope, limit)
            band = None if bare else supposed
            found = self._inside(view, stored, limit, scope, band)
            outside, high = looking.result()
        everything = not outside.ids and outside.floor == math.inf
        self._all_inside = everything and not self._collection.lite
        if high != supposed or (bare and not everything):
            found = self._inside(view, stored, limit, scope, high)
        if self._layout.norm is not None and self._collection.session.begun() != quiet:
            outside, high, found = self._again(view, stored, limit, scope, outside, high)
            if outside.ids or self._collection.session.left(self.geometry.band[0], high):
                # Some cross the band, perhaps more than once while they are looked for.
                with self._collection.session.paused():
                    before, high = self._outside(view, scope, limit)
                    outside, high, found = self._again(view, stored, limit, scope, before, high)
        return [
            self._listed(query, hits, limit, outside, high)
            for query, hits in zip(asked, found, strict=True)
        ]

    def _again(
        self,
        view: View,
        queries: NDArray[np.float32],
        limit: int,
        scope: str,
        before: Outside,
        high: float,
    ) -> tuple[Outside, float, list[list[Entity]]]:
        """Reads once more, in an order in which no record can slip from one read to the other.

        What came into the band after the search of it was outside before; what left the band
        before the search of it is outside after.
        """
        found = self._inside(view, queries, limit, scope, high)
        after, widened = self._outside(view, scope, limit)
        if widened != high:
            return after, widened, self._inside(view, queries, limit, scope, widened)
        new = set(after.ids) | {hit["entity"][self._layout.key] for hits in found for hit in hits}
        kept = [row for row, name in enumerate(before.ids) if name not in new]
        both_times = Outside(
            (*after.ids, *(before.ids[row] for row in kept)),
            np.concatenate([after.vectors, before.vectors[kept]]),
            min(before.floor, after.floor),
        )
        return both_times, high, found

    def outliers(self, view: View, scope: str, limit: int) -> list[Entity]:
        """Records on which the engine's arithmetic is not safe, at most ``limit``."""
        if self._layout.norm is None:
            return []
        return self._query(view, self._collection.beyond(*self.geometry.band), scope, limit)

    def _inside(
        self, view: View, queries: NDArray[np.float32], limit: int, scope: str, high: float | None
    ) -> list[list[Entity]]:
        """The engine's hits among the records inside of the band; of all where it is ``None``."""
        if self._layout.norm is not None and high is not None:
            scope = self._collection.inside(self.geometry.band[0], high, scope)
        return search_with_vectors(self._layout, view, queries, limit, scope)

    def _listed(
        self,
        query: Query,
        hits: Sequence[Entity],
        limit: int,
        outside: Outside,
        high: float,
    ) -> Candidates:
        entities = [hit["entity"] for hit in hits]
        ids, vectors = to_ids(self._layout, entities), to_vectors(self._layout, entities)
        floor = self._floor(query, hits, vectors, limit, high)
        if not outside.ids:
            return Candidates(ids, vectors, min(floor, outside.floor))
        doubled = set(outside.ids)
        kept = [row for row, name in enumerate(ids) if name not in doubled]
        return Candidates(
            (*outside.ids, *(ids[row] for row in kept)),
            np.concatenate([outside.vectors, vectors[kept]]),
            min(floor, outside.floor),
        )

    def _floor(
        self,
        query: Query,
        hits: Sequence[Entity],
        vectors: NDArray[np.float32],
        limit: int,
        high: float,
    ) -> float:
        """Lower bound of the distance of what the search left out of the band."""
        if self._layout.norm is None:
            # Shortness proves nothing: copies of one key shorten answers, and what overflows is
            # dropped, but that is farther than any norm of the band.
            native = self.geometry.contract([hit["distance"] for hit in hits], query)
            floor = self.geometry.floor(query, native, vectors, high) if hits else USELESS
            return min(floor, self.geometry.band[1])
        if len(hits) < limit and self.geometry.trusts(query):
            return math.inf
        if not hits:
            return USELESS
        native = self.geometry.contract([hit["distance"] for hit in hits], query)
        return self.geometry.floor(query, native, vectors, high)

    def _outside(self, view: View, scope: str, limit: int) -> tuple[Outside, float]:
        """What lies outside of the band, and the band's upper end."""
        low = self.geometry.band[0]
        nothing = Outside((), np.empty((0, self._layout.info.dimension), np.float32), math.inf)
        if self._layout.norm is None:
            return nothing, self._high
        for _ in range(_ROUNDS):
            high = self._high
            rows = self._query(view, self._collection.beyond(low, high), scope, limit)
            if len(rows) < limit:
                ids, vectors = to_ids(self._layout, rows), to_vectors(self._layout, rows)
                return Outside(ids, vectors, math.inf), high
            if not self._widen(view, scope):
                break
        return self._too_many(view, scope, limit), self.geometry.band[1]

    def _too_many(self, view: View, scope: str, limit: int) -> Outside:
        """More are outside than a search lists; zero vectors among them are known to be at 1."""
        norm = self._layout.norm
        low, high = self.geometry.band
        zeros = 1.0 if self._layout.info.metric == "cosine" else USELESS
        rows = self._query(
            view, f"{norm} > 0.0 and ({self._collection.beyond(low, high)})", scope, limit
        )
        floor = zeros if len(rows) < limit else USELESS
        return Outside(to_ids(self._layout, rows), to_vectors(self._layout, rows), floor)

    def _widen(self, view: View, scope: str) -> bool:
        """Widens the band so that most records outside come in; ``False`` where it may not."""
        top = self.geometry.band[1]
        with self._lock:
            if self._high >= top:
                return False
            beyond = both(scope, f"{self._layout.norm} > {self._high!r}")
            rows = view.query(beyond, [str(self._layout.norm)], limit=_SAMPLE)
            seen = sorted(float(row[str(self._layout.norm)]) for row in rows)
            if seen:
                # Not twice the largest: one giant would spoil the bound for all.
                self._high = min(2.0 * seen[(3 * len(seen)) // 4], top)
            return True

    def _query(self, view: View, expression: str, scope: str, limit: int) -> list[Entity]:
        output = [self._layout.key, self._layout.vector]
        return view.query(both(scope, expression), output, limit=min(limit, MAX_LIMIT))
