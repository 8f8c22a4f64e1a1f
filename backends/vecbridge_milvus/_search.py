"""Searches of a collection: certified where they look at every record, else by a recall.

:mod:`vecbridge.remote` certifies. Here is what is Milvus's own: no vectors come with the engine's
own ranking, and a filter and a second read are spared while no record is seen outside of the band.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vecbridge import Hits, Scope
from vecbridge.ranking import EngineGeometry, SentQuery
from vecbridge.remote import ApproximateRanker, ExactRanker, Nearest, Outside
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._index_types import IndexSettings
from vecbridge_milvus._reader import Reader
from vecbridge_milvus._recall import MilvusTuner
from vecbridge_milvus._schema import MAX_LIMIT
from vecbridge_milvus._searched import IndexedRecords, SearchedRecords, SearchEffort

_LOOK_S = 1.0
"""How long no record is taken to be outside of the band where none was, by reads that need not see
what others wrote since."""


class FlatRanker(ExactRanker[Reader]):
    """Asks a collection whose searches look at every record."""

    def __init__(self, collection: Collection, records: SearchedRecords | None = None) -> None:
        records = records or SearchedRecords(collection.layout)
        super().__init__(records, most=MAX_LIMIT, norms=collection.layout.norm is not None)
        self._records = records
        self._lite = collection.lite
        self._session = collection.session
        # A filter slows a search down, so it goes without while no record is seen to be outside.
        # Lite fails on what overflows, and has to be kept from it.
        self._all_inside = not collection.lite
        self._looked = -_LOOK_S

    def native(
        self, reader: Reader, /, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Hits]:
        """Return the engine's own ranking of each query, with what the engine leaves out."""
        sent, asked = self.geometry.prepare(queries)
        found = self._records.searched(reader, sent, k, scope, vectors=False)
        return self.completed(reader, queries, _as_hits(self.geometry, asked, found, k), k, scope)

    def found(
        self, reader: Reader, /, sent: NDArray[np.float32], limit: int, scope: Scope
    ) -> tuple[Outside, float, list[Nearest]]:
        """Look for what is outside of the band and search beside each other, as far as may be."""
        supposed, bare = self.high, self._all_inside
        nearest = partial(self.collection.nearest, reader, sent, limit)
        if bare and self._seen_inside(reader):
            return Outside.nothing(sent.shape[1]), supposed, nearest(scope, None)
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

    def _seen_inside(self, reader: Reader) -> bool:
        """Return whether a read this fresh may go by a look that found no record outside."""
        fresh = time.monotonic() - self._looked < _LOOK_S
        return reader.lenient and fresh and not self._session.moved_since(self._looked)


class TunedRanker(ApproximateRanker[Reader]):
    """Asks an approximate index: with the effort that its recall needs, and never short."""

    def __init__(self, collection: Collection, settings: IndexSettings) -> None:
        records = IndexedRecords(collection.layout, settings.search_params)
        exact = FlatRanker(collection, records)
        super().__init__(records, exact, MilvusTuner(collection, records, exact, settings))
        self._records = records

    def native(
        self, reader: Reader, /, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Hits]:
        """Return the engine's own ranking of each query, with what the engine leaves out."""
        geometry = self.exact.geometry
        sent, asked = geometry.prepare(queries)
        effort = self.tuner.effort(reader, sent, k, scope)
        found = self._records.tried(reader, sent, k, scope, effort.value, vectors=False)
        return self.exact.completed(reader, queries, _as_hits(geometry, asked, found, k), k, scope)

    def found(
        self,
        reader: Reader,
        /,
        sent: NDArray[np.float32],
        k: int,
        scope: Scope,
        effort: SearchEffort,
    ) -> list[Nearest]:
        """Return what the engine finds; it tries harder where it finds less than ``k``."""
        return self._records.tried(reader, sent, k, scope, effort, vectors=True)


def _as_hits(
    geometry: EngineGeometry, asked: Sequence[SentQuery], found: Sequence[Nearest], k: int
) -> list[Hits]:
    """Return the engine's own ranking as hits."""
    return [
        Hits(hits.ids[:k], geometry.distances(hits.scores[:k], query))
        for query, hits in zip(asked, found, strict=True)
    ]
