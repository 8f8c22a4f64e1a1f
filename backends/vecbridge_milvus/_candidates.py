"""Candidates with a floor that is proven, whatever the norms of the records are."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates
from vecbridge.locks import reentrant_lock
from vecbridge_milvus._collection import MAX_LIMIT, Collection
from vecbridge_milvus._expr import both
from vecbridge_milvus._foreign import search_with_vectors
from vecbridge_milvus._found import Entity, Found
from vecbridge_milvus._geometry import USELESS, Geometry, Query
from vecbridge_milvus._rows import to_ids, to_stored, to_vectors
from vecbridge_milvus._view import View

_SAMPLE = 64
_ROUNDS = 40

# Spare hits tell near ties at the end apart, and those come with their vectors, which is what costs
# a server most; the deeper a ranking goes, the closer its distances are.
_SPARE, _SPARE_SHARE = 4, 32
_MOST_OUTSIDE = 16
_LOOK_S = 1.0
"""How long nothing is taken to be outside of the band where nothing was, by reads that need not
see what others wrote since."""


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
    lower_bound: float


class Ranker:
    """Asks a collection whose searches look at every record for candidates.

    Args:
        collection: the collection.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._layout = collection.layout
        self.geometry = Geometry(self._layout.info.metric, self._layout.stored_dimension)
        self._lock = reentrant_lock()
        # How far float32 errs in a dot product grows with the norms, so the band is kept narrow.
        self._high = 0.0 if self._layout.info.metric == "dotproduct" else self.geometry.band[1]
        # A filter slows a search down, so it goes without while nothing is seen to be outside.
        # Lite fails on what overflows, and has to be kept from it.
        self._all_inside = not collection.lite
        self._looked = -_LOOK_S

    def candidates(
        self, view: View, queries: NDArray[np.float32], k: int, scope: str
    ) -> list[Candidates]:
        """Candidates of each query among the records that match ``scope``."""
        limit = min(k + _SPARE + k // _SPARE_SHARE, MAX_LIMIT)
        sent, asked = self.geometry.prepare(queries)
        stored = to_stored(self._layout, sent)
        quiet = self._collection.session.ended()
        outside, high, found = self._read(view, stored, limit, scope)
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

    def _read(
        self, view: View, queries: NDArray[np.float32], limit: int, scope: str
    ) -> tuple[Outside, float, list[Found]]:
        """What is outside, the band's upper end, and the hits inside of the band."""
        supposed, bare = self._high, self._all_inside
        if bare and self._seen_inside(view):
            return self._nothing(), supposed, self._inside(view, queries, limit, scope, None)
        begun = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            view.wait()
            looking = pool.submit(self._outside, view, scope, limit)
            band = None if bare else supposed
            found = self._inside(view, queries, limit, scope, band)
            outside, high = looking.result()
        everything = not outside.ids and outside.lower_bound == math.inf
        self._all_inside = everything and not self._collection.lite
        if high != supposed or (bare and not everything):
            found = self._inside(view, queries, limit, scope, high)
        elif everything and not scope:
            self._looked = begun
        return outside, high, found

    def _seen_inside(self, view: View) -> bool:
        """Whether a read this fresh may go by a look that found no record outside of the band."""
        fresh = time.monotonic() - self._looked < _LOOK_S
        return view.lenient and fresh and not self._collection.session.moved_since(self._looked)

    def _again(
        self,
        view: View,
        queries: NDArray[np.float32],
        limit: int,
        scope: str,
        before: Outside,
        high: float,
    ) -> tuple[Outside, float, list[Found]]:
        """Reads once more, in an order in which no record can slip from one read to the other.

        What came into the band after the search of it was outside before; what left the band
        before the search of it is outside after.
        """
        found = self._inside(view, queries, limit, scope, high)
        after, widened = self._outside(view, scope, limit)
        if widened != high:
            return after, widened, self._inside(view, queries, limit, scope, widened)
        new = set(after.ids).union(*(hits.ids for hits in found))
        kept = [row for row, name in enumerate(before.ids) if name not in new]
        both_times = Outside(
            (*after.ids, *(before.ids[row] for row in kept)),
            np.concatenate([after.vectors, before.vectors[kept]]),
            min(before.lower_bound, after.lower_bound),
        )
        return both_times, high, found

    def outliers(self, view: View, scope: str, limit: int) -> list[Entity]:
        """Records on which the engine's arithmetic is not safe, at most ``limit``."""
        if self._layout.norm is None:
            return []
        return self._query(view, self._collection.beyond(*self.geometry.band), scope, limit)

    def _inside(
        self, view: View, queries: NDArray[np.float32], limit: int, scope: str, high: float | None
    ) -> list[Found]:
        """The engine's hits among the records inside of the band; of all where it is ``None``."""
        if self._layout.norm is not None and high is not None:
            scope = self._collection.inside(self.geometry.band[0], high, scope)
        return search_with_vectors(self._layout, view, queries, limit, scope)

    def _listed(
        self, query: Query, hits: Found, limit: int, outside: Outside, high: float
    ) -> Candidates:
        floor = min(self._floor(query, hits, limit, high), outside.lower_bound)
        if not outside.ids:
            return Candidates(hits.ids, hits.vectors, floor)
        doubled = set(outside.ids)
        kept = [row for row, name in enumerate(hits.ids) if name not in doubled]
        return Candidates(
            (*outside.ids, *(hits.ids[row] for row in kept)),
            np.concatenate([outside.vectors, hits.vectors[kept]]),
            floor,
        )

    def _floor(self, query: Query, hits: Found, limit: int, high: float) -> float:
        """Lower bound of the distance of what the search left out of the band."""
        if self._layout.norm is not None:
            if len(hits.ids) < limit and self.geometry.trusts(query):
                return math.inf
            return self._floor_after(query, hits, high)
        # Shortness proves nothing: copies of one key shorten answers, and what overflows is
        # dropped, but that is farther than any norm of the band.
        return min(self._floor_after(query, hits, high), self.geometry.band[1])

    def _floor_after(self, query: Query, hits: Found, high: float) -> float:
        """Lower bound of the distance of what the engine ranks after these hits."""
        if not hits.ids:
            return USELESS
        native = self.geometry.contract(hits.numbers, query)
        return self.geometry.floor(query, native, hits.vectors, high)

    def _nothing(self) -> Outside:
        return Outside((), np.empty((0, self._layout.info.dimension), np.float32), math.inf)

    def _outside(self, view: View, scope: str, limit: int) -> tuple[Outside, float]:
        """What lies outside of the band, and the band's upper end."""
        low = self.geometry.band[0]
        if self._layout.norm is None:
            return self._nothing(), self._high
        limit = max(limit, _MOST_OUTSIDE)
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
