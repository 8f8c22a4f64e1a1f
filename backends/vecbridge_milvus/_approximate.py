"""Search by an approximate index: with the effort that its recall needs, and never short."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates
from vecbridge_milvus._candidates import Ranker
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._foreign import search_with_vectors
from vecbridge_milvus._found import Entity, Found
from vecbridge_milvus._geometry import USELESS, Query
from vecbridge_milvus._index_settings import IndexSettings
from vecbridge_milvus._rows import to_ids, to_stored, to_vectors
from vecbridge_milvus._tuning import Effort, Tuning
from vecbridge_milvus._view import View

_WIDER = 8


class Approximate:
    """Asks an approximate index.

    Args:
        collection: the collection.
        ranker: what knows the records that the engine's arithmetic is not safe with.
        settings: the recall or the effort that the user names.
    """

    def __init__(self, collection: Collection, ranker: Ranker, settings: IndexSettings) -> None:
        self._layout = collection.layout
        self._ranker = ranker
        self._geometry = ranker.geometry
        self._tuning = Tuning(collection, settings)
        self._given = settings.search_params

    def candidates(
        self, view: View, queries: NDArray[np.float32], k: int, scope: str
    ) -> list[Candidates]:
        """At least ``min(k, n)`` records of each query, and no promise about the others."""
        sent, asked = self._geometry.prepare(queries)
        stored = to_stored(self._layout, sent)
        effort = self._effort(view, stored, k, scope)
        found = self._found(view, stored, k, scope, effort, vectors=True)
        pairs = zip(asked, found, strict=True)
        doubtful = any(self._doubtful(query, hits, k) for query, hits in pairs)
        outliers = self._ranker.outliers(view, scope, effort.limit(k)) if doubtful else []
        count = view.count(scope) if doubtful else None
        return [
            self._offered(query, hits, k, outliers, count, effort)
            for query, hits in zip(asked, found, strict=True)
        ]

    def hits(self, view: View, queries: NDArray[np.float32], k: int, scope: str) -> list[Found]:
        """The engine's hits of each query, as it is sent."""
        effort = self._effort(view, queries, k, scope)
        found = self._found(view, queries, k, scope, effort, vectors=False)
        return [Found(hits.ids[:k], hits.numbers[:k], hits.vectors[:k]) for hits in found]

    def _effort(self, view: View, queries: NDArray[np.float32], k: int, scope: str) -> Effort:
        effort = self._tuning.effort(view, queries, k)
        if not scope or not self._tuning.names_recall:
            return effort
        return self._tuning.within(effort, k, view.count(scope), view.count(""))

    def _found(
        self,
        view: View,
        queries: NDArray[np.float32],
        k: int,
        scope: str,
        effort: Effort,
        *,
        vectors: bool,
    ) -> list[Found]:
        """What the engine finds; it tries harder where it finds less than ``k``."""
        kind, limit = self._layout.index, effort.limit(k)
        found: dict[int, Found] = {}
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
            found |= zip(short, again, strict=True)
            short = [place for place in short if len(found[place].ids) < k]
            if not short or kind.knob is None:
                break
        return [found[place] for place in range(len(queries))]

    def _doubtful(self, query: Query, hits: Found, k: int) -> bool:
        """Whether records that the engine drops, zero vectors above all, may belong here."""
        if len(hits.ids) < k or not self._geometry.trusts(query):
            return True
        if self._layout.info.metric != "cosine":
            return False
        return bool(self._geometry.contract(hits.numbers[k - 1 : k], query)[0] >= 1.0)

    def _offered(
        self,
        query: Query,
        hits: Found,
        k: int,
        outliers: Sequence[Entity],
        count: int | None,
        effort: Effort,
    ) -> Candidates:
        names = set(to_ids(self._layout, outliers))
        kept = [place for place, name in enumerate(hits.ids) if name not in names]
        ids = (*to_ids(self._layout, outliers), *(hits.ids[place] for place in kept))
        floor = -math.inf
        if count is not None and len(ids) >= count:
            floor = math.inf
        elif len(ids) < k or not effort.met or self._lacks(query, hits, k):
            # Not what was asked for, and a scan is.
            floor = USELESS
        vectors = np.concatenate([to_vectors(self._layout, outliers), hits.vectors[kept]])
        return Candidates(ids, vectors, floor)

    def _lacks(self, query: Query, hits: Found, k: int) -> bool:
        """Whether zero vectors may belong here, and nothing tells which records they are."""
        return self._layout.norm is None and self._doubtful(query, hits, k)
