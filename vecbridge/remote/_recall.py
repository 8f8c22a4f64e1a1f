"""Searches by an approximate index, with the effort that its recall needs.

The effort is measured where the answers are known. Some of the queries are those that are being
asked; the others are made: records moved by the distance of their nearest neighbour.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge._contract._scope import Scope
from vecbridge.locks import reentrant_lock
from vecbridge.ranking import (
    EngineGeometry,
    distances,
    ids_at,
    meets_recall,
    queries_beside,
    rank,
    shares_found,
)
from vecbridge.remote._collection import ApproximateCollection, Nearest
from vecbridge.remote._search import ExactRanker, Outside, joined
from vecbridge.remote._walk import walked

ClientT = TypeVar("ClientT")

_SPARE = 4
_ASKED, _FEWEST_ASKED, _MADE, _NEAR = 8, 4, 24, 8
_SMALLEST_BUCKET, _DEEPEST = 16, 1024
_CHECK_S = 10.0
_GROWN = 1.5
_LOOKED_AT, _DEEP, _APART = 4096, 4, 4.0
_EVERYTHING = Scope()


class _Probe(NamedTuple):
    """Queries, and the ids of their true neighbours, nearest first."""

    queries: NDArray[np.float32]
    truth: list[tuple[str, ...]]


class RecallTuner(Generic[ClientT]):
    """Finds the least effort that meets a recall, and keeps to it until the collection has grown.

    Args:
        collection: an approximate one.
        exact: searches it exactly, where the store can.
        recall: the share of the true neighbours to find.
    """

    def __init__(
        self, collection: ApproximateCollection[ClientT], exact: ExactRanker[ClientT], recall: float
    ) -> None:
        self._collection = collection
        self._exact = exact
        self._recall = recall
        self._lock = reentrant_lock()
        self._log = logging.getLogger("vecbridge.remote")
        self._probes: list[_Probe] = []
        self._depth = 0
        self._records = 0
        self._checked = 0.0
        self._efforts: dict[int, int | None] = {}

    def effort(self, client: ClientT, queries: NDArray[np.float32], k: int) -> int | None:
        """Return the effort of a search for ``k``; ``None`` where none meets the recall.

        The first search for a recall looks at every record, some thirty times.
        """
        bucket = max(_SMALLEST_BUCKET, 1 << (k - 1).bit_length())
        if bucket > _DEEPEST:
            return None
        with self._lock:
            self._refresh(client)
            if bucket not in self._efforts:
                if self._depth < min(bucket, self._records) or not self._probes:
                    self._draw(client, queries, bucket)
                self._efforts[bucket] = self._least(client, bucket)
            return self._efforts[bucket]

    def _refresh(self, client: ClientT) -> None:
        now = time.monotonic()
        if self._efforts and now - self._checked < _CHECK_S:
            return
        self._checked = now
        records = self._collection.count(client, _EVERYTHING)
        if not self._efforts or not self._records / _GROWN < records < self._records * _GROWN:
            self._collection.prepare(client, records)
            self._records, self._probes, self._efforts = records, [], {}

    def _draw(self, client: ClientT, asked: NDArray[np.float32], depth: int) -> None:
        """Take some queries, make others, and find the true neighbours of each."""
        vectors = self._collection.sample(client, _MADE)
        most = self._collection.efforts[-1]
        near = self._collection.nearest(client, vectors, _NEAR, _EVERYTHING, most)
        lots = [queries_beside(vectors, [hits.vectors for hits in near])]
        # On their own where they are enough to say something: made ones lie where records do.
        if len(asked) >= _FEWEST_ASKED:
            lots.append(asked[:_ASKED])
        self._probes = [_Probe(lot, self._neighbours(client, lot, depth)) for lot in lots]
        self._depth = depth

    def _neighbours(
        self, client: ClientT, queries: NDArray[np.float32], depth: int
    ) -> list[tuple[str, ...]]:
        metric = self._collection.info.metric
        if self._collection.exhaustive:
            best = self._exact.candidates(client, queries, depth, _EVERYTHING)
            pairs = zip(queries, best, strict=True)
            return [_best(metric, query, hits, depth) for query, hits in pairs]
        found = walked(self._collection, client, queries, depth, _EVERYTHING)
        return [hits.ids for hits in found]

    def _least(self, client: ClientT, k: int) -> int | None:
        """Return the least effort with which each kind of query finds enough."""
        share = 1.0
        for effort in self._collection.efforts:
            share = 1.0
            for probe in self._probes:
                shares = self._shares(client, probe, k, effort)
                share = min(share, float(shares.mean()) if len(shares) else 1.0)
                if not meets_recall(shares, self._recall):
                    break
            else:
                return effort
        self._log.warning(
            "index %r finds %.3f of the nearest %d with all its effort, and recall=%s was asked "
            "for; such searches look at every record instead",
            self._collection.info.name,
            share,
            k,
            self._recall,
        )
        return None

    def _shares(self, client: ClientT, probe: _Probe, k: int, effort: int) -> NDArray[np.float64]:
        """Return the share of each query's true neighbours that the index finds."""
        found = self._collection.nearest(client, probe.queries, k + _SPARE, _EVERYTHING, effort)
        unsafe = self._exact.unsafe(client, _EVERYTHING, k).ids
        return shares_found(([*unsafe, *hits.ids] for hits in found), probe.truth, k)


class ApproximateRanker(Generic[ClientT]):
    """Searches a collection by its approximate index.

    What the index is not asked, or cannot answer, is found by looking at every record.

    Args:
        collection: the collection.
        recall: the share of the true neighbours to find.
        effort: a search effort to keep to instead.
    """

    def __init__(
        self,
        collection: ApproximateCollection[ClientT],
        *,
        recall: float,
        effort: int | None = None,
    ) -> None:
        self._collection = collection
        self._exact = ExactRanker(collection, most=collection.capabilities.max_k)
        self._tuning = RecallTuner(collection, self._exact, recall)
        self._given = effort
        info = collection.info
        self._geometry = EngineGeometry(info.metric, info.dimension, collection.form)

    def candidates(
        self, client: ClientT, /, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Candidates]:
        """Return at least ``min(k, n)`` records of each query, likely the nearest."""
        found, unsafe = self._found(client, queries, k, scope)
        others = [at for at, hits in enumerate(found) if hits is None]
        if self._collection.exhaustive:
            exact = self._exact.candidates(client, queries[others], k, scope) if others else []
        else:
            exact = walked(self._collection, client, queries[others], k + _SPARE, scope)
        rest = iter(exact)
        return [
            next(rest) if hits is None else Candidates(*_joined(unsafe, hits), -math.inf)
            for hits in found
        ]

    def native(
        self, client: ClientT, /, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Hits]:
        """Return the index's own ranking of each query."""
        found, unsafe = self._found(client, queries, k, scope)
        _, asked = self._geometry.prepare(queries)
        others = [at for at, hits in enumerate(found) if hits is None]
        rest = iter(self._exact_native(client, queries[others], k, scope) if others else [])
        return [
            next(rest) if hits is None else self._exact.ranked(query, hits, unsafe, k)
            for query, hits in zip(asked, found, strict=True)
        ]

    def _exact_native(
        self, client: ClientT, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Hits]:
        if self._collection.exhaustive:
            return self._exact.native(client, queries, k, scope)
        metric = self._collection.info.metric
        best = walked(self._collection, client, queries, k, scope)
        return [
            Hits(hits.ids, distances(metric, query, hits.vectors))
            for query, hits in zip(queries, best, strict=True)
        ]

    def _found(
        self, client: ClientT, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> tuple[list[Nearest | None], Outside]:
        """Return what the index finds of each query; ``None`` where that is not enough."""
        nothing = Outside.nothing(queries.shape[1])
        effort = self._effort(client, queries, k, scope)
        if effort is None:
            return [None] * len(queries), nothing
        sent, asked = self._geometry.prepare(queries)
        unsafe = self._exact.unsafe(client, scope, k)
        found = self._collection.nearest(client, sent, k + _SPARE, scope, effort)
        enough = [
            hits if self._geometry.trusts(query) and len(_joined(unsafe, hits)[0]) >= k else None
            for query, hits in zip(asked, found, strict=True)
        ]
        return enough, unsafe

    def _effort(
        self, client: ClientT, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> int | None:
        """Return the effort of a search; ``None`` where it is better to look at every record.

        An index walks past the records that do not match: of what it looks at, their share is lost,
        and more than that where what matches lies together, far from a query. So the effort grows
        as the share shrinks, and few records are looked at one by one.
        """
        if scope.within is not None:
            return None
        effort = self._given or self._tuning.effort(client, queries, k)
        if effort is None or scope.where is None:
            return effort
        matching = self._collection.count(client, scope)
        if matching <= max(_LOOKED_AT, _DEEP * k):
            return None
        records = self._collection.count(client, replace(scope, where=None))
        more = effort * _APART * records / matching if matching < records else effort
        efforts = self._collection.efforts
        return next((each for each in efforts if each >= more), None)


def _best(
    metric: Metric, query: NDArray[np.float32], found: Candidates, depth: int
) -> tuple[str, ...]:
    order = rank(found.ids, distances(metric, query, found.vectors), depth)
    return ids_at(found.ids, order)


def _joined(unsafe: Outside, hits: Nearest) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    return joined(unsafe.ids, unsafe.vectors, hits.ids, hits.vectors)
