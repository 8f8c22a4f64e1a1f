"""Exact search on top of a store that finds the nearest records and returns their vectors.

A store's float32 arithmetic is safe within a band of norms alone. So searches are kept to the band,
and the few records outside of it are read, and take part as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._filters import And, Comparison, Filter, Or
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge._contract._scope import Scope
from vecbridge.locks import reentrant_lock
from vecbridge.ranking import (
    UNCERTIFIED,
    EngineGeometry,
    SentQuery,
    distances,
    ids_at,
    rank,
)
from vecbridge.remote._collection import NORM, Collection, Columns, Nearest

ClientT = TypeVar("ClientT")

# Spare hits tell near ties at the end apart, and those come with their vectors, which is what costs
# a server most; the deeper a ranking goes, the closer its distances are.
_SPARE, _SPARE_SHARE = 4, 32
_OUTSIDE_AT_LEAST = 16
_NORMS_SAMPLED = 64
_NOTHING_ELSE = Columns(vectors=True)


class Outside(NamedTuple):
    """The records of a scope whose norms lie outside of the band of a search.

    Attributes:
        ids: of those that are listed.
        vectors: ``(n, d)`` of those that are listed.
        lower_bound: of the distance of those that are not.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    lower_bound: float


class ExactRanker(Generic[ClientT]):
    """Searches a collection whose searches look at every record, and proves what they leave out.

    Args:
        collection: the collection; it finds records by their norms.
    """

    def __init__(self, collection: Collection[ClientT]) -> None:
        self._collection = collection
        info = collection.info
        self._geometry = EngineGeometry(info.metric, info.dimension, collection.form)
        self._metric: Metric = info.metric
        self._lock = reentrant_lock()
        # How far float32 errs in a dot product grows with the norms, so the band is kept narrow.
        self._high = 0.0 if info.metric == "dotproduct" else self._geometry.band[1]

    def candidates(
        self, client: ClientT, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Candidates]:
        """Return candidates of each query, and a proven lower bound of the others' distance."""
        limit = k + _SPARE + k // _SPARE_SHARE
        sent, asked = self._geometry.prepare(queries)
        outside, high = self.outside(client, scope, limit)
        found = self._collection.nearest(client, sent, limit, self._inside(scope, high), None)
        answers = []
        for query, hits in zip(asked, found, strict=True):
            lowest = min(self._lower_bound(query, hits, limit, high), outside.lower_bound)
            answers.append(Candidates(*joined(outside, hits), lowest))
        return answers

    def native(
        self, client: ClientT, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Hits]:
        """Return the store's own ranking of each query, with the records outside of the band."""
        sent, asked = self._geometry.prepare(queries)
        outside, high = self.outside(client, scope, k)
        found = self._collection.nearest(client, sent, k, self._inside(scope, high), None)
        return [
            self.ranked(query, hits, outside, k) for query, hits in zip(asked, found, strict=True)
        ]

    def ranked(self, query: SentQuery, hits: Nearest, outside: Outside, k: int) -> Hits:
        """Return the best of what a store found, and of what it was not asked."""
        hits = without(hits, outside.ids)
        ids, vectors = joined(outside, hits)
        table = distances(self._metric, query.asked, vectors)
        if self._geometry.trusts(query):
            # What is no number is the score of a record that the store should not have judged.
            native = self._geometry.distances(hits.scores, query)
            at = slice(len(outside.ids), None)
            table[at] = np.where(np.isfinite(hits.scores), native, table[at])
        order = rank(ids, table, k)
        return Hits(ids_at(ids, order), table[order])

    def unsafe(self, client: ClientT, scope: Scope, limit: int) -> Outside:
        """Return records on which no float32 arithmetic is safe, at most ``limit``."""
        return self._read(client, scope, self._beyond(self._geometry.band[1]), limit)

    def outside(self, client: ClientT, scope: Scope, limit: int) -> tuple[Outside, float]:
        """Return what lies outside of the band, and the band's upper end."""
        limit = max(limit, _OUTSIDE_AT_LEAST)
        while True:
            high = self._high
            found = self._read(client, scope, self._beyond(high), limit)
            if len(found.ids) < limit:
                return found, high
            if not self._widen(client, scope):
                break
        return self._too_many(client, scope, found, limit), self._geometry.band[1]

    def _too_many(self, client: ClientT, scope: Scope, found: Outside, limit: int) -> Outside:
        """Return some of more than a search lists; zero vectors among them are known to be at 1."""
        if self._metric != "cosine":
            return found._replace(lower_bound=UNCERTIFIED)
        others = And(Comparison(NORM, ">", 0.0), self._beyond(self._geometry.band[1]))
        found = self._read(client, scope, others, limit)
        zeros = self._read(client, scope, Comparison(NORM, "==", 0.0), limit)
        bound = UNCERTIFIED if len(found.ids) == limit else 1.0
        vectors = np.concatenate([found.vectors, zeros.vectors])
        return Outside((*found.ids, *zeros.ids), vectors, bound)

    def _read(self, client: ClientT, scope: Scope, where: Filter, limit: int) -> Outside:
        page = self._collection.page(
            client, _narrowed(scope, where), None, limit, None, _NOTHING_ELSE
        )
        return Outside(page.records.ids, page.records.vectors, math.inf)

    def _widen(self, client: ClientT, scope: Scope) -> bool:
        """Widen the band so that most records outside come in; ``False`` where it may not be."""
        top = self._geometry.band[1]
        with self._lock:
            if self._high >= top:
                return False
            beyond = Comparison(NORM, ">", self._high)
            seen = self._read(client, scope, beyond, _NORMS_SAMPLED).vectors
            if len(seen):
                norms = np.sort(np.linalg.norm(seen.astype(np.float64), axis=1))
                # Not twice the largest: one giant would spoil the bound for all.
                self._high = min(2.0 * float(norms[(3 * len(norms)) // 4]), top)
            return True

    def _inside(self, scope: Scope, high: float) -> Scope:
        low = self._geometry.band[0]
        below = Comparison(NORM, "<=", high)
        return _narrowed(scope, And(Comparison(NORM, ">=", low), below) if low else below)

    def _beyond(self, high: float) -> Filter:
        low = self._geometry.band[0]
        above = Comparison(NORM, ">", high)
        return Or(Comparison(NORM, "<", low), above) if low else above

    def _lower_bound(self, query: SentQuery, hits: Nearest, limit: int, high: float) -> float:
        """Return a lower bound of the distance of what the search left out of the band."""
        if not self._geometry.trusts(query):
            return UNCERTIFIED
        if len(hits.ids) < limit:
            return math.inf
        native = self._geometry.distances(hits.scores, query)
        return self._geometry.lower_bound(native, query, hits.vectors, high)


def _narrowed(scope: Scope, where: Filter) -> Scope:
    return replace(scope, where=where if scope.where is None else And(scope.where, where))


def without(hits: Nearest, ids: Sequence[str]) -> Nearest:
    """Return the hits that are none of these ids."""
    others = frozenset(ids)
    rows = [row for row, name in enumerate(hits.ids) if name not in others]
    if len(rows) == len(hits.ids):
        return hits
    return Nearest(ids_at(hits.ids, np.array(rows, np.intp)), hits.scores[rows], hits.vectors[rows])


def joined(outside: Outside, hits: Nearest) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Return ids and vectors of what was read and of what was found, the latter last.

    A write between the two reads may have moved a record from the one to the other.
    """
    if not outside.ids:
        return hits.ids, hits.vectors
    others = without(hits, outside.ids)
    return (*outside.ids, *others.ids), np.concatenate([outside.vectors, others.vectors])
