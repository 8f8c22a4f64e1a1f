"""Search by an approximate index: with the effort that its recall needs, and never short."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates
from vecbridge.locks import reentrant_lock
from vecbridge.ranking import UNCERTIFIED, SentQuery
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._exact import ExactRanker
from vecbridge_milvus._index_types import IndexSettings, effort_given
from vecbridge_milvus._reader import Reader
from vecbridge_milvus._recall_sample import Probe, RecallSample, draw
from vecbridge_milvus._schema import MAX_LIMIT
from vecbridge_milvus._wire import Entity, SearchResult, to_ids, to_stored, to_vectors

SPARE = 16
"""Candidates beyond ``k``, so that ties and near ties at the end can be told apart."""

_SMALLEST_BUCKET = 16
_SHALLOWEST = 256
_DEEPEST = 2048
_MOST_FETCHED = 16
_CHECK_S = 10.0
_SETTLED_S = 120.0
_GROWN = 1.5
_STALLED = 0.01
_LOOKED_AT = 4096
_DEEP = 4
_APART = 4.0
_POOR = 3

_log = logging.getLogger("vecbridge.milvus")
_WIDER = 8


class SearchEffort(NamedTuple):
    """How a search is made.

    Attributes:
        value: of the index's knob.
        fetched: how many times the candidates to fetch; what codes lose is found among more.
        met: whether that meets the recall that was asked for.
    """

    value: int
    fetched: int
    met: bool

    def limit(self, k: int) -> int:
        """Return how many hits to ask for."""
        return min((k + SPARE) * self.fetched, MAX_LIMIT)


class RecallTuner:
    """Finds the least effort that meets a recall, and keeps to it while the collection does.

    Args:
        collection: an approximate index.
        settings: the recall or the effort that the user names.
    """

    def __init__(self, collection: Collection, settings: IndexSettings) -> None:
        self._collection = collection
        self._kind = collection.layout.index
        self._recall = settings.recall
        self._given = effort_given(settings.search_params, self._kind)
        self._lock = reentrant_lock()
        self._sample: RecallSample | None = None
        self._efforts: dict[int, SearchEffort] = {}
        self._progress = (0, 0)
        self._tuned = 0.0
        self._checked = 0.0

    def effort(self, reader: Reader, queries: NDArray[np.float32], k: int) -> SearchEffort:
        """Return the effort of a search for ``k``; the first one for a recall reads every record.

        Args:
            reader: what to read.
            queries: ``(q, d)`` that are being asked, as they are sent.
            k: how many hits they want.
        """
        limit = k + SPARE
        if self._kind.exhaustive:
            return SearchEffort(0, 1, met=True)
        if self._given is not None:
            return SearchEffort(self._given, 1, met=True)
        if self._recall is None:
            return SearchEffort(self._kind.usual(limit), 2 if self._kind.lossy else 1, met=True)
        bucket = max(_SMALLEST_BUCKET, 1 << (k - 1).bit_length())
        with self._lock:
            self._refresh(reader)
            shallow = min(bucket, _DEEPEST)
            if shallow not in self._efforts:
                self._efforts[shallow] = self._find(reader, queries, shallow, self._recall)
            effort = self._efforts[shallow]
        # Deeper searches are not measured: effort grows with k as it does below.
        return effort._replace(value=effort.value * (bucket // shallow))

    def within(self, effort: SearchEffort, k: int, matching: int, records: int) -> SearchEffort:
        """Return the effort of a search among those records alone that match a filter.

        An index walks past the records that do not match: of what it looks at, their share is lost,
        and more than that where what matches lies together, far from a query. So the effort grows
        as the share shrinks, and few records are looked at one by one. So are all where a graph is
        so poor that it takes much effort without a filter: some records it may not reach at all.

        Args:
            effort: of a search among all.
            k: how many hits are wanted.
            matching: how many records match.
            records: how many there are.
        """
        if matching >= records:
            return effort
        poor = self._kind.family == "graph" and effort.value > _POOR * self._kind.least(k + SPARE)
        if poor or matching <= max(_LOOKED_AT, _DEEP * k):
            return effort._replace(met=False)
        more = _APART * records / matching
        value = min(math.ceil(more * effort.value), self._kind.most())
        fetched = effort.fetched
        if self._kind.search_param is None:
            fetched = min(
                math.ceil(more * fetched), _MOST_FETCHED, max(1, MAX_LIMIT // (k + SPARE))
            )
        return effort._replace(value=max(value, effort.value), fetched=fetched)

    @property
    def names_recall(self) -> bool:
        """Return whether a recall has to be met, and is not one that an effort leaves to chance."""
        return self._recall is not None and self._given is None and not self._kind.exhaustive

    def _find(
        self, reader: Reader, queries: NDArray[np.float32], k: int, recall: float
    ) -> SearchEffort:
        """Double the effort until each kind of query finds enough."""
        if self._sample is None or self._sample.depth < min(k, self._sample.records):
            self._progress = self._collection.progress()
            self._sample = draw(self._collection, reader, queries, max(k, _SHALLOWEST))
            self._tuned = self._checked = time.monotonic()
        sample = self._sample
        effort = SearchEffort(self._kind.least(k + SPARE), 1, met=True)
        share = 0.0
        while True:
            before, share = share, 1.0
            for probe in sample.probes:
                shares = self._shares(reader, probe, k, effort)
                share = min(share, _mean(shares))
                if not _enough(shares, recall):
                    break
            else:
                return effort
            harder = self._harder(effort, k, stalled=share - before < _STALLED)
            if harder is None:
                break
            effort = harder
        met = share >= recall
        if not met:
            _log.warning(
                "index %r: %s finds %.3f of the nearest %d with all its effort, and recall=%s was "
                "asked for; such searches look at every record instead",
                self._collection.layout.info.name,
                self._kind.name,
                share,
                k,
                recall,
            )
        return effort._replace(met=met)

    def _harder(self, effort: SearchEffort, k: int, *, stalled: bool) -> SearchEffort | None:
        """Return twice the effort, of the kind that still helps; ``None`` where there is none."""
        value, fetched = effort.value, effort.fetched
        more = min(2 * fetched, _MOST_FETCHED, max(1, MAX_LIMIT // (k + SPARE)))
        turns = self._kind.search_param is not None and value < self._kind.most()
        # What codes have lost is found among more records, not by a better search.
        lost = self._kind.search_param is None or (self._kind.lossy and (stalled or not turns))
        if lost and more > fetched:
            return effort._replace(fetched=more)
        return effort._replace(value=min(2 * value, self._kind.most())) if turns else None

    def _refresh(self, reader: Reader) -> None:
        """Measure again where the server may have put an index in the place of a scan.

        Records are searched one by one until their segment is indexed and handed over, which can
        take a while; what was measured before that says little.
        """
        now = time.monotonic()
        if self._sample is None or now - self._checked < _CHECK_S:
            return
        self._checked = now
        progress = self._collection.progress()
        if progress == self._progress and now - self._tuned > _SETTLED_S:
            return
        grown = progress[0] > _GROWN * max(self._progress[0], self._sample.records)
        self._progress = progress
        if grown or not self._still_meets(reader, self._sample):
            self._sample = None
            self._efforts = {}

    def _still_meets(self, reader: Reader, sample: RecallSample) -> bool:
        return all(
            _mean(self._shares(reader, sample.probes[-1], k, effort)) >= (self._recall or 0.0)
            for k, effort in self._efforts.items()
            if effort.met
        )

    def _shares(
        self, reader: Reader, probe: Probe, k: int, effort: SearchEffort
    ) -> NDArray[np.float64]:
        """Return the share of each query's true neighbours that is among the candidates."""
        limit = effort.limit(k)
        found = reader.search(
            probe.queries,
            limit,
            "",
            vectors=False,
            parameters=self._kind.parameters(limit, effort.value),
        )
        return np.array(
            [
                len(set(hits.ids).intersection(true[:k])) / len(true[:k])
                for hits, true in zip(found, probe.truth, strict=True)
            ]
        )


class Approximate:
    """Asks an approximate index.

    Args:
        collection: the collection.
        ranker: what knows the records that the engine's arithmetic is not safe with.
        settings: the recall or the effort that the user names.
    """

    def __init__(
        self, collection: Collection, ranker: ExactRanker, settings: IndexSettings
    ) -> None:
        self._layout = collection.layout
        self._ranker = ranker
        self._geometry = ranker.geometry
        self._tuning = RecallTuner(collection, settings)
        self._given = settings.search_params

    def candidates(
        self, reader: Reader, queries: NDArray[np.float32], k: int, scope: str
    ) -> list[Candidates]:
        """Return at least ``min(k, n)`` records of each query, and no promise about the others."""
        sent, asked = self._geometry.prepare(queries)
        stored = to_stored(self._layout, sent)
        effort = self._effort(reader, stored, k, scope)
        found = self._found(reader, stored, k, scope, effort, vectors=True)
        pairs = zip(asked, found, strict=True)
        doubtful = any(self._doubtful(query, hits, k) for query, hits in pairs)
        outliers = self._ranker.outliers(reader, scope, effort.limit(k)) if doubtful else []
        count = reader.count(scope) if doubtful else None
        return [
            self._offered(query, hits, k, outliers, count, effort)
            for query, hits in zip(asked, found, strict=True)
        ]

    def hits(
        self, reader: Reader, queries: NDArray[np.float32], k: int, scope: str
    ) -> list[SearchResult]:
        """Return the engine's hits of each query, as it is sent."""
        effort = self._effort(reader, queries, k, scope)
        found = self._found(reader, queries, k, scope, effort, vectors=False)
        return [SearchResult(hits.ids[:k], hits.scores[:k], hits.vectors[:k]) for hits in found]

    def _effort(
        self, reader: Reader, queries: NDArray[np.float32], k: int, scope: str
    ) -> SearchEffort:
        effort = self._tuning.effort(reader, queries, k)
        if not scope or not self._tuning.names_recall:
            return effort
        return self._tuning.within(effort, k, reader.count(scope), reader.count(""))

    def _found(
        self,
        reader: Reader,
        queries: NDArray[np.float32],
        k: int,
        scope: str,
        effort: SearchEffort,
        *,
        vectors: bool,
    ) -> list[SearchResult]:
        """Return what the engine finds; it tries harder where it finds less than ``k``."""
        kind, limit = self._layout.index, effort.limit(k)
        found: dict[int, SearchResult] = {}
        short = list(range(len(queries)))
        values = [effort.value, _WIDER * effort.value, kind.most()]
        for value in dict.fromkeys(min(value, kind.most()) for value in values):
            parameters = kind.parameters(limit, value, self._given)
            asked = queries[short]
            again = reader.search(asked, limit, scope, vectors=vectors, parameters=parameters)
            found |= zip(short, again, strict=True)
            short = [place for place in short if len(found[place].ids) < k]
            if not short or kind.search_param is None:
                break
        return [found[place] for place in range(len(queries))]

    def _doubtful(self, query: SentQuery, hits: SearchResult, k: int) -> bool:
        """Return whether records that the engine drops, zero vectors above all, may belong here."""
        if len(hits.ids) < k or not self._geometry.trusts(query):
            return True
        if self._layout.info.metric != "cosine":
            return False
        return bool(self._geometry.distances(hits.scores[k - 1 : k], query)[0] >= 1.0)

    def _offered(
        self,
        query: SentQuery,
        hits: SearchResult,
        k: int,
        outliers: Sequence[Entity],
        count: int | None,
        effort: SearchEffort,
    ) -> Candidates:
        names = set(to_ids(self._layout, outliers))
        kept = [place for place, name in enumerate(hits.ids) if name not in names]
        ids = (*to_ids(self._layout, outliers), *(hits.ids[place] for place in kept))
        floor = -math.inf
        if count is not None and len(ids) >= count:
            floor = math.inf
        elif len(ids) < k or not effort.met or self._lacks(query, hits, k):
            # Not what was asked for, and a scan is.
            floor = UNCERTIFIED
        vectors = np.concatenate([to_vectors(self._layout, outliers), hits.vectors[kept]])
        return Candidates(ids, vectors, floor)

    def _lacks(self, query: SentQuery, hits: SearchResult, k: int) -> bool:
        """Return whether zero vectors may belong here, and nothing tells which records they are."""
        return self._layout.norm is None and self._doubtful(query, hits, k)


def _enough(shares: NDArray[np.float64], recall: float) -> bool:
    """Return whether other queries of the kind will find that much too.

    Half of what the target allows to be missed is kept in reserve, and two standard errors are:
    where queries differ much, as in a poor graph, the mean of a few says little.
    """
    if not len(shares):
        return True
    error = float(shares.std()) / math.sqrt(len(shares))
    return _mean(shares) >= max(0.5 * (1.0 + recall), recall + 2.0 * error)


def _mean(shares: NDArray[np.float64]) -> float:
    return float(shares.mean()) if len(shares) else 1.0
