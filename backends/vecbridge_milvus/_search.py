"""Searches of a collection: certified where they look at every record, else by a recall.

:mod:`vecbridge.remote` certifies. Here is what is Milvus's own: what its engine drops without a
word, and how a filter and a second read are spared where records are all of a common length.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates, Hits, IdRange, IndexInfo, Records, Scope
from vecbridge.ranking import UNCERTIFIED, ScoreForm, SentQuery, distances, ids_at, rank
from vecbridge.remote import Columns, ExactRanker, Nearest, Outside, Page, joined
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._expr import both
from vecbridge_milvus._index_types import IndexSettings
from vecbridge_milvus._reader import Reader
from vecbridge_milvus._recall import RecallTuner, SearchEffort
from vecbridge_milvus._schema import MAX_LIMIT, Layout
from vecbridge_milvus._wire import FORMS, to_ids, to_stored, to_vectors

_HARDER = 8
"""How many times the effort to try again with where hits are missing."""

_LOOK_S = 1.0
"""How long no record is taken to be outside of the band where none was, by reads that need not see
what others wrote since."""


class SearchedRecords:
    """Implements :class:`vecbridge.remote.SearchedCollection` by the reads of an operation."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @property
    def info(self) -> IndexInfo:
        """The schema, as the server has it."""
        return self._layout.info

    @property
    def form(self) -> ScoreForm:
        """How Milvus gives its scores."""
        return FORMS[self.info.metric]

    def count(self, reader: Reader, scope: Scope) -> int:
        """Return the number of rows in scope."""
        return reader.count(self._layout.expressions.of(scope))

    def page(
        self,
        reader: Reader,
        scope: Scope,
        ids: IdRange | None,
        limit: int,
        after: str | None,
        columns: Columns,
    ) -> Page:
        """Return the first records in scope by id, with their vectors, or those after an id."""
        layout = self._layout
        where = layout.expressions.of(scope)
        if after is not None:
            where = both(where, layout.expressions.after(after))
        pages = reader.pages([layout.key, layout.vector], min(limit, layout.page_rows), scope=where)
        rows = next(pages, [])
        names = to_ids(layout, rows)
        return Page(Records(names, to_vectors(layout, rows)), names[-1] if names else None)

    def nearest(
        self,
        reader: Reader,
        queries: NDArray[np.float32],
        limit: int,
        scope: Scope,
        effort: int | None,
    ) -> list[Nearest]:
        """Return what a search without any parameters finds."""
        where = self._layout.expressions.of(scope)
        return reader.search(to_stored(self._layout, queries), limit, where, vectors=True)


class FlatRanker(ExactRanker[Reader]):
    """Asks a collection whose searches look at every record."""

    def __init__(self, collection: Collection) -> None:
        self._layout = collection.layout
        super().__init__(SearchedRecords(self._layout), most=MAX_LIMIT)
        self._lite = collection.lite
        self._session = collection.session
        # A filter slows a search down, so it goes without while no record is seen to be outside.
        # Lite fails on what overflows, and has to be kept from it.
        self._all_inside = not collection.lite
        self._looked = -_LOOK_S

    def native(
        self, reader: Reader, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Hits]:
        """Return the engine's own ranking of each query, with what the engine leaves out."""
        sent, asked = self.geometry.prepare(queries)
        found = self._hits(reader, sent, k, scope)
        answers = [
            Hits(hits.ids[:k], self.geometry.distances(hits.scores[:k], query))
            for query, hits in zip(asked, found, strict=True)
        ]
        if not any(self._lacks(hits.distances, k) for hits in answers):
            return answers
        unsafe = self.unsafe(reader, scope, k)
        whole = self._merged(answers, queries, unsafe.ids, unsafe.vectors, k)
        # Without norms, it is not known which records the engine drops.
        blind = self._layout.norm is None and self._layout.info.metric == "cosine"
        if not blind and all(len(hits) >= k for hits in whole):
            return whole
        wanted = min(k, self.collection.count(reader, scope))
        short = [
            place
            for place, hits in enumerate(whole)
            if len(hits) < wanted or (blind and self._lacks(hits.distances, wanted))
        ]
        if short:
            best = [Hits((), np.empty(0)) for _ in short]
            output = [self._layout.key, self._layout.vector]
            where = self._layout.expressions.of(scope)
            for page in reader.pages(output, self._layout.page_rows, scope=where):
                ids, vectors = to_ids(self._layout, page), to_vectors(self._layout, page)
                best = self._merged(best, queries[short], ids, vectors, k)
            for place, hits in zip(short, best, strict=True):
                whole[place] = hits
        return whole

    def found(
        self, reader: Reader, sent: NDArray[np.float32], limit: int, scope: Scope
    ) -> tuple[Outside, float, list[Nearest]]:
        """Look for what is outside of the band and search beside each other, as far as may be."""
        supposed, bare = self.high, self._all_inside
        nearest = partial(self.collection.nearest, reader, sent, limit)
        if bare and self._seen_inside(reader):
            nothing = Outside.nothing(self._layout.info.dimension)
            return nothing, supposed, nearest(scope, None)
        begun = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            reader.wait()
            looking = pool.submit(self.outside, reader, scope, limit)
            hits = nearest(scope if bare else self.inside(scope, supposed), None)
            outside, high = looking.result()
        everything = not outside.ids and outside.lower_bound == math.inf
        self._all_inside = everything and not self._lite
        if high != supposed or (bare and not everything):
            hits = nearest(self.inside(scope, high), None)
        elif everything and scope.where is None and scope.within is None:
            self._looked = begun
        return outside, high, hits

    def outside(self, reader: Reader, scope: Scope, limit: int) -> tuple[Outside, float]:
        """Return what lies outside of the band, as far as norms are known, and its upper end."""
        if self._layout.norm is None:
            return Outside.nothing(self._layout.info.dimension), self.high
        return super().outside(reader, scope, limit)

    def unsafe(self, reader: Reader, scope: Scope, limit: int) -> Outside:
        """Return records on which float32 is not safe, as far as norms are known."""
        if self._layout.norm is None:
            return Outside.nothing(self._layout.info.dimension)
        return super().unsafe(reader, scope, limit)

    def inside(self, scope: Scope, high: float) -> Scope:
        """Return the part of a scope inside of the band, as far as norms are known."""
        return scope if self._layout.norm is None else super().inside(scope, high)

    def lower_bound(self, query: SentQuery, hits: Nearest, limit: int, high: float) -> float:
        """Return a lower bound of the distance of what the search left out of the band."""
        if self._layout.norm is not None:
            return super().lower_bound(query, hits, limit, high)
        # Where keys may have several rows, shortness proves nothing, and what overflows is dropped;
        # but that is farther than any norm of the band.
        if not hits.ids:
            return UNCERTIFIED
        return min(super().lower_bound(query, hits, 0, high), self.geometry.band[1])

    def _hits(
        self, reader: Reader, sent: NDArray[np.float32], k: int, scope: Scope
    ) -> Sequence[Nearest]:
        where = self._layout.expressions.of(scope)
        return reader.search(to_stored(self._layout, sent), k, where, vectors=False)

    def _seen_inside(self, reader: Reader) -> bool:
        """Return whether a read this fresh may go by a look that found no record outside."""
        fresh = time.monotonic() - self._looked < _LOOK_S
        return reader.lenient and fresh and not self._session.moved_since(self._looked)

    def _lacks(self, distances: NDArray[np.float64], k: int) -> bool:
        """Return whether records that the engine drops, zero vectors above all, may belong here."""
        if len(distances) < k:
            return True
        return self._layout.info.metric == "cosine" and k > 0 and bool(distances[k - 1] >= 1.0)

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
            measured = distances(self._layout.info.metric, query, vectors)
            names, table = joined(ids, measured, hits.ids, hits.distances)
            order = rank(names, table, k)
            merged.append(Hits(ids_at(names, order), table[order]))
        return merged


class TunedRanker(FlatRanker):
    """Asks an approximate index: with the effort that its recall needs, and never short."""

    def __init__(self, collection: Collection, settings: IndexSettings) -> None:
        super().__init__(collection)
        self._tuning = RecallTuner(collection, settings)
        self._given = settings.search_params

    def candidates(
        self, reader: Reader, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Candidates]:
        """Return at least ``min(k, n)`` records of each query, and no promise about the others."""
        sent, asked = self.geometry.prepare(queries)
        effort = self._effort(reader, sent, k, scope)
        found = self._tried(reader, sent, k, scope, effort, vectors=True)
        doubts = [self._doubtful(query, hits, k) for query, hits in zip(asked, found, strict=True)]
        count, unsafe = math.inf, Outside.nothing(queries.shape[1])
        if any(doubts):
            unsafe = self.unsafe(reader, scope, effort.limit(k))
            count = self.collection.count(reader, scope)
        answers = []
        for doubt, hits in zip(doubts, found, strict=True):
            ids, vectors = joined(unsafe.ids, unsafe.vectors, hits.ids, hits.vectors)
            lowest = -math.inf
            if len(ids) >= count:
                lowest = math.inf
            elif len(ids) < k or not effort.met or (doubt and self._layout.norm is None):
                # Not what was asked for, and a scan is.
                lowest = UNCERTIFIED
            answers.append(Candidates(ids, vectors, lowest))
        return answers

    def _hits(
        self, reader: Reader, sent: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Nearest]:
        effort = self._effort(reader, sent, k, scope)
        return self._tried(reader, sent, k, scope, effort, vectors=False)

    def _effort(
        self, reader: Reader, sent: NDArray[np.float32], k: int, scope: Scope
    ) -> SearchEffort:
        effort = self._tuning.effort(reader, to_stored(self._layout, sent), k)
        if (scope.where is None and scope.within is None) or not self._tuning.names_recall:
            return effort
        count = self.collection.count
        return self._tuning.within(effort, k, count(reader, scope), count(reader, Scope()))

    def _tried(
        self,
        reader: Reader,
        sent: NDArray[np.float32],
        k: int,
        scope: Scope,
        effort: SearchEffort,
        *,
        vectors: bool,
    ) -> list[Nearest]:
        """Return what the engine finds; it tries harder where it finds less than ``k``."""
        kind, limit = self._layout.index, effort.limit(k)
        queries, where = to_stored(self._layout, sent), self._layout.expressions.of(scope)
        found: dict[int, Nearest] = {}
        short = list(range(len(queries)))
        values = [effort.value, _HARDER * effort.value, kind.most()]
        for value in dict.fromkeys(min(value, kind.most()) for value in values):
            parameters = kind.parameters(limit, value, self._given)
            asked = queries[short]
            again = reader.search(asked, limit, where, vectors=vectors, parameters=parameters)
            found |= zip(short, again, strict=True)
            short = [place for place in short if len(found[place].ids) < k]
            if not short or kind.search_param is None:
                break
        return [found[place] for place in range(len(queries))]

    def _doubtful(self, query: SentQuery, hits: Nearest, k: int) -> bool:
        """Return whether records that the engine drops, or misjudges, may belong here."""
        native = self.geometry.distances(hits.scores, query)
        return not self.geometry.trusts(query) or self._lacks(native, k)
