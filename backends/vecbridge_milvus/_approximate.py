"""Search by an approximate index: with the effort that its recall needs, and never short."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._expr import both
from vecbridge_milvus._foreign import search_with_vectors
from vecbridge_milvus._geometry import USELESS, Geometry, Query
from vecbridge_milvus._index_settings import IndexSettings
from vecbridge_milvus._rows import to_ids, to_stored, to_vectors
from vecbridge_milvus._tuning import Effort, Tuning
from vecbridge_milvus._view import Entity, View

_WIDER = 8


class Approximate:
    """Asks an approximate index.

    Args:
        collection: the collection.
        settings: the recall or the effort that the user names.
    """

    def __init__(self, collection: Collection, settings: IndexSettings) -> None:
        self._collection = collection
        self._layout = collection.layout
        self._geometry = Geometry(self._layout.info.metric, self._layout.stored_dimension)
        self._tuning = Tuning(collection, settings)
        self._given = settings.search_params

    def candidates(
        self, view: View, queries: NDArray[np.float32], k: int, scope: str
    ) -> list[Candidates]:
        """At least ``min(k, n)`` records of each query, and no promise about the others."""
        sent, asked = self._geometry.prepare(queries)
        stored = to_stored(self._layout, sent)
        effort = self._tuning.effort(view, stored, k)
        found = self._found(view, stored, k, scope, effort, vectors=True)
        pairs = zip(asked, found, strict=True)
        doubtful = any(self._doubtful(query, hits, k) for query, hits in pairs)
        outliers = self._outliers(view, scope, effort.limit(k)) if doubtful else []
        count = view.count(scope) if doubtful else None
        return [
            self._offered(query, hits, k, outliers, count, effort)
            for query, hits in zip(asked, found, strict=True)
        ]

    def hits(
        self, view: View, queries: NDArray[np.float32], k: int, scope: str
    ) -> list[list[Entity]]:
        """The engine's hits of each query, as it is sent."""
        effort = self._tuning.effort(view, queries, k)
        found = self._found(view, queries, k, scope, effort, vectors=False)
        return [hits[:k] for hits in found]

    def _found(
        self,
        view: View,
        queries: NDArray[np.float32],
        k: int,
        scope: str,
        effort: Effort,
        *,
        vectors: bool,
    ) -> list[list[Entity]]:
        """What the engine finds; it tries harder where it finds less than ``k``."""
        kind, limit = self._layout.index, effort.limit(k)
        found: list[list[Entity]] = [[] for _ in queries]
        short = list(range(len(queries)))
        values = [effort.value, _WIDER * effort.value, kind.most()]
        for value in dict.fromkeys(min(value, kind.most()) for value in values):
            parameters = kind.parameters(limit, value, self._given)
            asked = queries[short]
            again = (
                search_with_vectors(self._layout, view, asked, limit, scope, parameters)
                if vectors
                else view.search(asked, limit, scope, vectors=False, parameters=parameters)
            )
            for place, hits in zip(short, again, strict=True):
                found[place] = hits
            short = [place for place in short if len(found[place]) < k]
            if not short or kind.knob is None:
                break
        return found

    def _doubtful(self, query: Query, hits: Sequence[Entity], k: int) -> bool:
        """Whether records that the engine drops, zero vectors above all, may belong here."""
        if len(hits) < k or not self._geometry.trusts(query):
            return True
        if self._layout.info.metric != "cosine":
            return False
        return bool(self._geometry.contract([hits[k - 1]["distance"]], query)[0] >= 1.0)

    def _offered(
        self,
        query: Query,
        hits: Sequence[Entity],
        k: int,
        outliers: Sequence[Entity],
        count: int | None,
        effort: Effort,
    ) -> Candidates:
        listed = {row[self._layout.key]: row for row in (hit["entity"] for hit in hits)}
        listed |= {row[self._layout.key]: row for row in outliers}
        rows = list(listed.values())
        floor = -math.inf
        if count is not None and len(rows) >= count:
            floor = math.inf
        elif len(rows) < k or not effort.met or self._lacks(query, hits, k):
            # Not what was asked for, and a scan is.
            floor = USELESS
        return Candidates(to_ids(self._layout, rows), to_vectors(self._layout, rows), floor)

    def _lacks(self, query: Query, hits: Sequence[Entity], k: int) -> bool:
        """Whether zero vectors may belong here, and nothing tells which records they are."""
        return self._layout.norm is None and self._doubtful(query, hits, k)

    def _outliers(self, view: View, scope: str, limit: int) -> list[Entity]:
        if self._layout.norm is None:
            return []
        beyond = self._collection.beyond(*self._geometry.band)
        return view.query(both(scope, beyond), [self._layout.key, self._layout.vector], limit=limit)
