"""Exact search on top of a store that finds the nearest records and returns their vectors.

A store's float32 arithmetic is safe within a band of norms alone. So searches are kept to the band,
and the few records outside of it are read, and take part as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._filters import And, Comparison, Filter, Or
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge._contract._records import Records
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
from vecbridge.remote._collection import NORM, Columns, Nearest, SearchedCollection
from vecbridge.remote._walk import walked

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

    @classmethod
    def nothing(cls, dimension: int) -> Outside:
        """Return none, of vectors of a dimension."""
        return cls((), np.empty((0, dimension), np.float32), math.inf)


class ExactRanker(Generic[ClientT]):
    """Searches a collection whose searches look at every record, and proves what they leave out.

    Args:
        collection: the collection; it finds records by their norms.
        most: the most hits that one search of the store returns; ``None`` for any number.
        norms: whether records are found by their norms. Without, as in a collection that another
            program made, only Euclidean distances are proven.

    Attributes:
        collection: the collection.
        blind: nothing is known of norms.
        geometry: what the store's arithmetic can be trusted with.
        high: the upper end of the band that searches are kept to for now.
    """

    def __init__(
        self,
        collection: SearchedCollection[ClientT],
        *,
        most: int | None = None,
        norms: bool = True,
    ) -> None:
        self.collection = collection
        self.blind = not norms
        info = collection.info
        self.geometry = EngineGeometry(info.metric, info.dimension, collection.form)
        # How far float32 errs in a dot product grows with the norms, so the band is kept narrow.
        self.high = 0.0 if info.metric == "dotproduct" else self.geometry.band[1]
        self._most = most
        self._metric: Metric = info.metric
        self._lock = reentrant_lock()

    def candidates(
        self, client: ClientT, /, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Candidates]:
        """Return candidates of each query, and a proven lower bound of the others' distance."""
        limit = self.limit(k)
        sent, asked = self.geometry.prepare(queries)
        outside, high, found = self.found(client, sent, limit, scope)
        answers = []
        for query, hits in zip(asked, found, strict=True):
            lowest = min(self.lower_bound(query, hits, limit, high), outside.lower_bound)
            ids, vectors = joined(outside.ids, outside.vectors, hits.ids, hits.vectors)
            answers.append(Candidates(ids, vectors, lowest))
        return answers

    def native(
        self, client: ClientT, /, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Hits]:
        """Return the store's own ranking of each query, with the records outside of the band."""
        sent, asked = self.geometry.prepare(queries)
        outside, _, found = self.found(client, sent, k, scope)
        best = [
            self.ranked(query, hits, outside, k) for query, hits in zip(asked, found, strict=True)
        ]
        return self.completed(client, queries, best, k, scope) if self.blind else best

    def limit(self, k: int) -> int:
        """Return how many hits to ask for, so that the best ``k`` are told from the next."""
        limit = k + _SPARE + k // _SPARE_SHARE
        return limit if self._most is None else min(limit, self._most)

    def found(
        self, client: ClientT, /, sent: NDArray[np.float32], limit: int, scope: Scope
    ) -> tuple[Outside, float, list[Nearest]]:
        """Return what is outside, the band's upper end, and what is nearest within the band."""
        outside, high = self.outside(client, scope, limit)
        inside = self.inside(scope, high)
        if self._metric == "cosine" and not sent.any(axis=1).all():
            # Everything is equally far, so any direction will do; without one, some stores find
            # nothing. No score of such a query is used.
            sent = sent.copy()
            sent[~sent.any(axis=1), 0] = 1.0
        return outside, high, self.collection.nearest(client, sent, limit, inside, None)

    def ranked(self, query: SentQuery, hits: Nearest, outside: Outside, k: int) -> Hits:
        """Return the best of what a store found, and of what it was not asked."""
        native = self.geometry.distances(hits.scores, query)
        # What is no number is the score of a record that the store should not have judged.
        judged = np.isfinite(hits.scores) & self.geometry.trusts(query)
        if not judged.all():
            native = np.where(judged, native, distances(self._metric, query.asked, hits.vectors))
        measured = distances(self._metric, query.asked, outside.vectors)
        ids, table = joined(outside.ids, measured, hits.ids, native)
        order = rank(ids, table, k)
        return Hits(ids_at(ids, order), table[order])

    def completed(
        self,
        client: ClientT,
        /,
        queries: NDArray[np.float32],
        best: Sequence[Hits],
        k: int,
        scope: Scope,
    ) -> list[Hits]:
        """Return the store's ranking of each query, with what the store leaves out silently.

        What a search of everything, or by an index, may lack is read: first what float32 is no
        good for, and where that is not enough, every record.
        """
        whole = list(best)
        if not any(self.lacks(hits.distances, k) for hits in whole):
            return whole
        unsafe = self.unsafe(client, scope, k)
        whole = self._merged(whole, queries, unsafe.ids, unsafe.vectors, k)
        # Without norms, it is not known which records the store drops.
        blind = self.blind and self._metric == "cosine"
        if not blind and all(len(hits) >= k for hits in whole):
            return whole
        wanted = min(k, self.collection.count(client, scope))
        short = [
            place
            for place, hits in enumerate(whole)
            if len(hits) < wanted or (blind and self.lacks(hits.distances, wanted))
        ]
        if short:
            read = walked(self.collection, client, queries[short], k, scope)
            for place, hits in zip(short, read, strict=True):
                table = distances(self._metric, queries[place], hits.vectors)
                whole[place] = Hits(hits.ids, table)
        return whole

    def lacks(self, distances: NDArray[np.float64], k: int) -> bool:
        """Return whether records that stores drop, zero vectors above all, may belong here."""
        if len(distances) < k:
            return True
        return self._metric == "cosine" and k > 0 and bool(np.sort(distances)[k - 1] >= 1.0)

    def lower_bound(self, query: SentQuery, hits: Nearest, limit: int, high: float) -> float:
        """Return a lower bound of the distance of what the search left out of the band."""
        if not self.geometry.trusts(query) or (self.blind and self._metric != "euclidean"):
            return UNCERTIFIED
        if len(hits.ids) < limit and not self.blind:
            return math.inf
        if not hits.ids:
            return UNCERTIFIED
        native = self.geometry.distances(hits.scores, query)
        bound = self.geometry.lower_bound(native, query, hits.vectors, high)
        # Without norms, shortness proves nothing, since what overflows may be dropped; but that is
        # farther than any norm of the band.
        return min(bound, self.geometry.band[1]) if self.blind else bound

    def inside(self, scope: Scope, high: float) -> Scope:
        """Return the part of a scope that lies within the band, up to ``high``."""
        if self.blind:
            return scope
        low = self.geometry.band[0]
        below = Comparison(NORM, "<=", high)
        return _narrowed(scope, And(Comparison(NORM, ">=", low), below) if low else below)

    def unsafe(self, client: ClientT, /, scope: Scope, limit: int) -> Outside:
        """Return records on which no float32 arithmetic is safe, at most ``limit``."""
        if self.blind:
            return self._nothing()
        return self._read(client, scope, self._beyond(self.geometry.band[1]), limit)

    def outside(self, client: ClientT, /, scope: Scope, limit: int) -> tuple[Outside, float]:
        """Return what lies outside of the band, and the band's upper end."""
        if self.blind:
            return self._nothing(), self.geometry.band[1]
        limit = max(limit, _OUTSIDE_AT_LEAST)
        while True:
            high = self.high
            found = self._read(client, scope, self._beyond(high), limit)
            if found.lower_bound == math.inf:
                return found, high
            if not self._widen(client, scope):
                break
        return self._too_many(client, scope, found, limit), self.geometry.band[1]

    def _nothing(self) -> Outside:
        return Outside.nothing(self.collection.info.dimension)

    def _merged(
        self,
        best: Sequence[Hits],
        queries: NDArray[np.float32],
        ids: tuple[str, ...],
        vectors: NDArray[np.float32],
        k: int,
    ) -> list[Hits]:
        """Return the best ``k`` of each query's hits and of records."""
        if not ids:
            return list(best)
        merged = []
        for hits, query in zip(best, queries, strict=True):
            measured = distances(self._metric, query, vectors)
            names, table = joined(ids, measured, hits.ids, hits.distances)
            order = rank(names, table, k)
            merged.append(Hits(ids_at(names, order), table[order]))
        return merged

    def _too_many(self, client: ClientT, scope: Scope, found: Outside, limit: int) -> Outside:
        """Return some of more than a search lists; zero vectors among them are known to be at 1."""
        if self._metric != "cosine":
            return found
        others = And(Comparison(NORM, ">", 0.0), self._beyond(self.geometry.band[1]))
        found = self._read(client, scope, others, limit)
        zeros = self._read(client, scope, Comparison(NORM, "==", 0.0), limit)
        vectors = np.concatenate([found.vectors, zeros.vectors])
        return Outside((*found.ids, *zeros.ids), vectors, min(found.lower_bound, 1.0))

    def _read(self, client: ClientT, scope: Scope, where: Filter, limit: int) -> Outside:
        """Return records that match, at most ``limit``."""
        narrowed, left, after = _narrowed(scope, where), limit, None
        parts: list[Records] = []
        while True:
            page = self.collection.page(client, narrowed, None, left, after, _NOTHING_ELSE)
            parts.append(page.records)
            left, after = left - len(page.records.ids), page.after
            if after is None or left <= 0:
                break
        return Outside(
            tuple(name for part in parts for name in part.ids),
            np.concatenate([part.vectors for part in parts]),
            math.inf if after is None else UNCERTIFIED,
        )

    def _widen(self, client: ClientT, scope: Scope) -> bool:
        """Widen the band so that most records outside come in; ``False`` where it may not be."""
        top = self.geometry.band[1]
        with self._lock:
            if self.high >= top:
                return False
            beyond = Comparison(NORM, ">", self.high)
            seen = self._read(client, scope, beyond, _NORMS_SAMPLED).vectors
            if len(seen):
                norms = np.sort(np.linalg.norm(seen.astype(np.float64), axis=1))
                # Not twice the largest: one giant would spoil the bound for all.
                self.high = min(2.0 * float(norms[(3 * len(norms)) // 4]), top)
            return True

    def _beyond(self, high: float) -> Filter:
        low = self.geometry.band[0]
        above = Comparison(NORM, ">", high)
        return Or(Comparison(NORM, "<", low), above) if low else above


def _narrowed(scope: Scope, where: Filter) -> Scope:
    return replace(scope, where=where if scope.where is None else And(scope.where, where))


def joined(
    ids: tuple[str, ...],
    values: NDArray[Any],
    other_ids: Sequence[str],
    other_values: NDArray[Any],
) -> tuple[tuple[str, ...], NDArray[Any]]:
    """Return records, and of others those that are not among them, with a value of each.

    A write between the two reads may have moved a record from the one to the other.
    """
    if not ids:
        return tuple(other_ids), other_values
    known = frozenset(ids)
    kept = [row for row, name in enumerate(other_ids) if name not in known]
    names = (*ids, *(other_ids[row] for row in kept))
    return names, np.concatenate([values, other_values[kept]])
