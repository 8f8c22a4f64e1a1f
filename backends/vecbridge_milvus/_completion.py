"""What an engine's own answer lacks: records that it drops, or never came to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge import Hits
from vecbridge.ranking import distances, rank
from vecbridge_milvus._collection import MAX_LIMIT
from vecbridge_milvus._found import Entity
from vecbridge_milvus._rows import to_ids, to_vectors
from vecbridge_milvus._schema import Layout
from vecbridge_milvus._view import View

_PAGE_BYTES = 16 << 20


class Completion:
    """Completes native answers to ``min(k, n)`` hits.

    Args:
        layout: what the collection is.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def lacks(self, hits: Hits, k: int) -> bool:
        """Whether records that the engine drops, zero vectors above all, may belong here."""
        if len(hits) < k:
            return True
        return self._layout.info.metric == "cosine" and bool(hits.distances[-1] >= 1.0)

    def completed(
        self,
        view: View,
        queries: NDArray[np.float32],
        answers: Sequence[Hits],
        outliers: Sequence[Entity],
        k: int,
        scope: str,
    ) -> list[Hits]:
        """The answers with the outliers in them; those that are still short come from a scan."""
        pairs = zip(answers, queries, strict=True)
        whole = [self._merged(hits, query, outliers, k) for hits, query in pairs]
        # Without norms, nobody knows the records that the engine drops.
        blind = self._layout.norm is None and self._layout.info.metric == "cosine"
        if not blind and all(len(hits) >= k for hits in whole):
            return whole
        wanted = min(k, view.count(scope))
        short = [
            place
            for place, hits in enumerate(whole)
            if len(hits) < wanted or (blind and self.lacks(hits, wanted))
        ]
        if short:
            scanned = self._scanned(view, queries[short], k, scope)
            for place, hits in zip(short, scanned, strict=True):
                whole[place] = hits
        return whole

    def _merged(
        self, hits: Hits, query: NDArray[np.float32], outliers: Sequence[Entity], k: int
    ) -> Hits:
        if not outliers:
            return hits
        ids, vectors = to_ids(self._layout, outliers), to_vectors(self._layout, outliers)
        listed = set(ids)
        kept = [row for row, name in enumerate(hits.ids) if name not in listed]
        return self._ranked(
            (*ids, *(hits.ids[row] for row in kept)),
            np.concatenate(
                [distances(self._layout.info.metric, query, vectors), hits.distances[kept]]
            ),
            k,
        )

    def _scanned(self, view: View, queries: NDArray[np.float32], k: int, scope: str) -> list[Hits]:
        best = [Hits((), np.empty(0)) for _ in queries]
        for ids, vectors in self._pages(view, scope):
            for place, query in enumerate(queries):
                table = distances(self._layout.info.metric, query, vectors)
                known = best[place]
                best[place] = self._ranked(
                    (*known.ids, *ids), np.concatenate([known.distances, table]), k
                )
        return best

    def _pages(
        self, view: View, scope: str
    ) -> Iterator[tuple[tuple[str, ...], NDArray[np.float32]]]:
        rows = max(1, min(MAX_LIMIT, _PAGE_BYTES // (4 * self._layout.stored_dimension)))
        for page in view.pages([self._layout.key, self._layout.vector], rows, scope=scope):
            yield to_ids(self._layout, page), to_vectors(self._layout, page)

    def _ranked(self, ids: tuple[str, ...], table: NDArray[np.float64], k: int) -> Hits:
        order = rank(ids, table, k)
        return Hits(tuple(ids[row] for row in order.tolist()), table[order])
