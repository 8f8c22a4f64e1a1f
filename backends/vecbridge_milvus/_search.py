"""Searches of a collection: certified where they look at every record, else by a recall.

Searches that certify keep to the band of norms in which the engine's arithmetic is safe. The few
records outside of it are read, and take part as they are.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates, Hits
from vecbridge.locks import reentrant_lock
from vecbridge.ranking import UNCERTIFIED, SentQuery, distances, ids_at, rank
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._expr import both
from vecbridge_milvus._index_types import IndexSettings
from vecbridge_milvus._reader import Reader
from vecbridge_milvus._recall import RecallTuner, SearchEffort
from vecbridge_milvus._schema import MAX_LIMIT
from vecbridge_milvus._wire import (
    Entity,
    SearchResult,
    engine_geometry,
    to_ids,
    to_stored,
    to_vectors,
)

_NORMS_SAMPLED = 64
_WIDENINGS_AT_MOST = 40

# Spare hits tell near ties at the end apart, and those come with their vectors, which is what costs
# a server most; the deeper a ranking goes, the closer its distances are.
_SPARE, _SPARE_SHARE = 4, 32
_OUTSIDE_AT_LEAST = 16
"""Records outside of the band to list, where less hits are asked for."""

_HARDER = 8
"""How many times the effort to try again with where hits are missing."""

_LOOK_S = 1.0
"""How long no record is taken to be outside of the band where none was, by reads that need not see
what others wrote since."""


class _Outside(NamedTuple):
    """The records of a scope whose norms lie outside the band of the search.

    Attributes:
        ids: of those that are listed.
        vectors: ``(n, d)`` of those that are listed.
        lower_bound: of the distance of those that are not.
    """

    ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    lower_bound: float


class ExactRanker:
    """Asks a collection whose searches look at every record."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._layout = collection.layout
        self._geometry = engine_geometry(self._layout)
        self._lock = reentrant_lock()
        # How far float32 errs in a dot product grows with the norms, so the band is kept narrow.
        self._high = 0.0 if self._layout.info.metric == "dotproduct" else self._geometry.band[1]
        # A filter slows a search down, so it goes without while no record is seen to be outside.
        # Lite fails on what overflows, and has to be kept from it.
        self._all_inside = not collection.lite
        self._looked = -_LOOK_S

    def candidates(
        self, reader: Reader, queries: NDArray[np.float32], k: int, scope: str
    ) -> list[Candidates]:
        """Return candidates of each query among the records that match ``scope``."""
        limit = min(k + _SPARE + k // _SPARE_SHARE, MAX_LIMIT)
        sent, asked = self._geometry.prepare(queries)
        stored = to_stored(self._layout, sent)
        outside, high, found = self._read(reader, stored, limit, scope)
        answers = []
        for query, hits in zip(asked, found, strict=True):
            lowest = min(self._lower_bound(query, hits, limit, high), outside.lower_bound)
            ids, vectors = _joined(outside.ids, outside.vectors, hits.ids, hits.vectors)
            answers.append(Candidates(ids, vectors, lowest))
        return answers

    def native(
        self, reader: Reader, queries: NDArray[np.float32], k: int, scope: str
    ) -> list[Hits]:
        """Return the engine's own ranking of each query, with what the engine leaves out."""
        sent, asked = self._geometry.prepare(queries)
        found = self._hits(reader, to_stored(self._layout, sent), k, scope)
        answers = [
            Hits(hits.ids[:k], self._geometry.distances(hits.scores[:k], query))
            for query, hits in zip(asked, found, strict=True)
        ]
        if not any(self._lacks(hits.distances, k) for hits in answers):
            return answers
        whole = self._merged(answers, queries, self._outliers(reader, scope, k), k)
        # Without norms, it is not known which records the engine drops.
        blind = self._layout.norm is None and self._layout.info.metric == "cosine"
        if not blind and all(len(hits) >= k for hits in whole):
            return whole
        wanted = min(k, reader.count(scope))
        short = [
            place
            for place, hits in enumerate(whole)
            if len(hits) < wanted or (blind and self._lacks(hits.distances, wanted))
        ]
        if short:
            best = [Hits((), np.empty(0)) for _ in short]
            output = [self._layout.key, self._layout.vector]
            for page in reader.pages(output, self._layout.page_rows, scope=scope):
                best = self._merged(best, queries[short], self._records(page), k)
            for place, hits in zip(short, best, strict=True):
                whole[place] = hits
        return whole

    def _hits(
        self, reader: Reader, queries: NDArray[np.float32], k: int, scope: str
    ) -> list[SearchResult]:
        return reader.search(queries, k, scope, vectors=False)

    def _outliers(self, reader: Reader, scope: str, limit: int) -> _Outside:
        """Return records on which the engine's arithmetic is not safe, at most ``limit``."""
        if self._layout.norm is None:
            return self._records([])
        return self._query(reader, self._beyond(*self._geometry.band), scope, limit)

    def _read(
        self, reader: Reader, queries: NDArray[np.float32], limit: int, scope: str
    ) -> tuple[_Outside, float, list[SearchResult]]:
        """Return what is outside, the band's upper end, and the hits inside of the band."""
        supposed, bare = self._high, self._all_inside
        if bare and self._seen_inside(reader):
            return self._records([]), supposed, self._inside(reader, queries, limit, scope, None)
        begun = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            reader.wait()
            looking = pool.submit(self._outside, reader, scope, limit)
            band = None if bare else supposed
            found = self._inside(reader, queries, limit, scope, band)
            outside, high = looking.result()
        everything = not outside.ids and outside.lower_bound == math.inf
        self._all_inside = everything and not self._collection.lite
        if high != supposed or (bare and not everything):
            found = self._inside(reader, queries, limit, scope, high)
        elif everything and not scope:
            self._looked = begun
        return outside, high, found

    def _seen_inside(self, reader: Reader) -> bool:
        """Return whether a read this fresh may go by a look that found no record outside."""
        fresh = time.monotonic() - self._looked < _LOOK_S
        return reader.lenient and fresh and not self._collection.session.moved_since(self._looked)

    def _inside(
        self,
        reader: Reader,
        queries: NDArray[np.float32],
        limit: int,
        scope: str,
        high: float | None,
    ) -> list[SearchResult]:
        """Return the hits among the records inside of the band; of all where it is ``None``."""
        norm = self._layout.norm
        if norm is not None and high is not None:
            scope = self._layout.expressions.inside(norm, self._geometry.band[0], high, scope)
        return reader.search(queries, limit, scope, vectors=True)

    def _lower_bound(self, query: SentQuery, hits: SearchResult, limit: int, high: float) -> float:
        """Return a lower bound of the distance of what the search left out of the band."""
        whole = self._layout.norm is not None and len(hits.ids) < limit
        if whole and self._geometry.trusts(query):
            return math.inf
        after = UNCERTIFIED
        if hits.ids:
            native = self._geometry.distances(hits.scores, query)
            after = self._geometry.lower_bound(native, query, hits.vectors, high)
        # Where keys may have several rows, shortness proves nothing, and what overflows is dropped;
        # but that is farther than any norm of the band.
        return after if self._layout.norm is not None else min(after, self._geometry.band[1])

    def _outside(self, reader: Reader, scope: str, limit: int) -> tuple[_Outside, float]:
        """Return what lies outside of the band, and the band's upper end."""
        low = self._geometry.band[0]
        if self._layout.norm is None:
            return self._records([]), self._high
        limit = max(limit, _OUTSIDE_AT_LEAST)
        for _ in range(_WIDENINGS_AT_MOST):
            high = self._high
            found = self._query(reader, self._beyond(low, high), scope, limit)
            if len(found.ids) < limit:
                return found, high
            if not self._widen(reader, scope):
                break
        return self._too_many(reader, scope, limit), self._geometry.band[1]

    def _too_many(self, reader: Reader, scope: str, limit: int) -> _Outside:
        """Return some of more than a search lists; zero vectors among them are known to be at 1."""
        norm = self._layout.norm
        low, high = self._geometry.band
        zeros = 1.0 if self._layout.info.metric == "cosine" else UNCERTIFIED
        found = self._query(reader, f"{norm} > 0.0 and ({self._beyond(low, high)})", scope, limit)
        return found._replace(lower_bound=zeros if len(found.ids) < limit else UNCERTIFIED)

    def _widen(self, reader: Reader, scope: str) -> bool:
        """Widen the band so that most records outside come in; ``False`` where it may not be."""
        top = self._geometry.band[1]
        with self._lock:
            if self._high >= top:
                return False
            beyond = both(scope, f"{self._layout.norm} > {self._high!r}")
            rows = reader.query(beyond, [str(self._layout.norm)], limit=_NORMS_SAMPLED)
            seen = sorted(float(row[str(self._layout.norm)]) for row in rows)
            if seen:
                # Not twice the largest: one giant would spoil the bound for all.
                self._high = min(2.0 * seen[(3 * len(seen)) // 4], top)
            return True

    def _beyond(self, low: float, high: float) -> str:
        return self._layout.expressions.beyond(str(self._layout.norm), low, high)

    def _query(self, reader: Reader, expression: str, scope: str, limit: int) -> _Outside:
        output = [self._layout.key, self._layout.vector]
        found = reader.query(both(scope, expression), output, limit=min(limit, MAX_LIMIT))
        return self._records(found)

    def _records(self, rows: Sequence[Entity]) -> _Outside:
        return _Outside(to_ids(self._layout, rows), to_vectors(self._layout, rows), math.inf)

    def _lacks(self, distances: NDArray[np.float64], k: int) -> bool:
        """Return whether records that the engine drops, zero vectors above all, may belong here."""
        if len(distances) < k:
            return True
        return self._layout.info.metric == "cosine" and k > 0 and bool(distances[k - 1] >= 1.0)

    def _merged(
        self, best: Sequence[Hits], queries: NDArray[np.float32], records: _Outside, k: int
    ) -> list[Hits]:
        """Return the best ``k`` of each query's hits and of records."""
        if not records.ids:
            return list(best)
        merged = []
        for hits, query in zip(best, queries, strict=True):
            measured = distances(self._layout.info.metric, query, records.vectors)
            names, table = _joined(records.ids, measured, hits.ids, hits.distances)
            order = rank(names, table, k)
            merged.append(Hits(ids_at(names, order), table[order]))
        return merged


class ApproximateRanker(ExactRanker):
    """Asks an approximate index: with the effort that its recall needs, and never short."""

    def __init__(self, collection: Collection, settings: IndexSettings) -> None:
        super().__init__(collection)
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
        doubts = [self._doubtful(query, hits, k) for query, hits in zip(asked, found, strict=True)]
        count, outliers = math.inf, self._records([])
        if any(doubts):
            outliers = self._outliers(reader, scope, effort.limit(k))
            count = reader.count(scope)
        answers = []
        for doubt, hits in zip(doubts, found, strict=True):
            ids, vectors = _joined(outliers.ids, outliers.vectors, hits.ids, hits.vectors)
            lowest = -math.inf
            if len(ids) >= count:
                lowest = math.inf
            elif len(ids) < k or not effort.met or (doubt and self._layout.norm is None):
                # Not what was asked for, and a scan is.
                lowest = UNCERTIFIED
            answers.append(Candidates(ids, vectors, lowest))
        return answers

    def _hits(
        self, reader: Reader, queries: NDArray[np.float32], k: int, scope: str
    ) -> list[SearchResult]:
        effort = self._effort(reader, queries, k, scope)
        return self._found(reader, queries, k, scope, effort, vectors=False)

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
        values = [effort.value, _HARDER * effort.value, kind.most()]
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
        """Return whether records that the engine drops, or misjudges, may belong here."""
        native = self._geometry.distances(hits.scores, query)
        return not self._geometry.trusts(query) or self._lacks(native, k)


def _joined(
    ids: tuple[str, ...],
    values: NDArray[Any],
    other_ids: Sequence[str],
    other_values: NDArray[Any],
) -> tuple[tuple[str, ...], NDArray[Any]]:
    """Return records, and of others those that are not among them, with a value of each."""
    if not ids:
        return tuple(other_ids), other_values
    known = set(ids)
    kept = [row for row, name in enumerate(other_ids) if name not in known]
    names = (*ids, *(other_ids[row] for row in kept))
    return names, np.concatenate([values, other_values[kept]])
