"""The effort that Milvus's indexes need for a recall.

:mod:`vecbridge.remote` measures. Here is what is Milvus's own: what an index can be told, that its
server puts an index in the place of a scan at some time of its own choosing, and a graph so poor
that it may not reach some records.
"""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from vecbridge import Scope
from vecbridge.ranking import SPARE, shares_found
from vecbridge.remote import Effort, ExactRanker, Probe, RecallTuner
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._index_types import IndexSettings
from vecbridge_milvus._reader import Reader
from vecbridge_milvus._schema import MAX_LIMIT
from vecbridge_milvus._searched import IndexedRecords, SearchEffort

_MOST_FETCHED = 16
_SETTLED_S = 120.0
_GROWN = 1.5
_POOR = 3


class MilvusTuner(RecallTuner[Reader]):
    """Finds the least effort that meets a recall, and keeps to it while the collection does."""

    def __init__(
        self,
        collection: Collection,
        records: IndexedRecords,
        exact: ExactRanker[Reader],
        settings: IndexSettings,
    ) -> None:
        super().__init__(records, settings.recall or 0.0, exact=exact)
        self._milvus = collection
        self._searched_records = records
        self._kind = collection.layout.index
        self._named = settings.effort_for(self._kind)
        self._asks_recall = settings.recall is not None
        self._progress = (-1, -1)
        self._moved = 0.0

    def effort(
        self, reader: Reader, /, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> Effort:
        """Return the effort of a search; tuned only where a recall has to be met."""
        if self._kind.exhaustive:
            return Effort(SearchEffort(0))
        if self._named is not None:
            return Effort(SearchEffort(self._named))
        if not self._asks_recall:
            return Effort(self.ample(k))
        return super().effort(reader, queries, k, scope)

    def ample(self, k: int) -> SearchEffort:
        """Return an effort for a caller who names neither an effort nor a recall."""
        return SearchEffort(self._kind.usual(k + SPARE), 2 if self._kind.lossy else 1)

    def least(self, k: int) -> SearchEffort:
        """Return the least effort that can find ``k``."""
        return SearchEffort(self._kind.least(k + SPARE))

    def harder(self, value: SearchEffort, k: int, *, stalled: bool) -> SearchEffort | None:
        """Return twice the effort, of the kind that still helps; ``None`` where there is none."""
        more = min(2 * value.fetched, _most_fetched(k))
        turns = self._kind.search_param is not None and value.value < self._kind.most()
        # What codes have lost is found among more records, not by a better search.
        lost = self._kind.search_param is None or (self._kind.lossy and (stalled or not turns))
        if lost and more > value.fetched:
            return value._replace(fetched=more)
        return value._replace(value=min(2 * value.value, self._kind.most())) if turns else None

    def raised(self, value: SearchEffort, k: int, times: float) -> SearchEffort | None:
        """Return so many times an effort, as far as it goes; ``None`` of a graph that is poor.

        One that takes much effort without a filter may not reach some records at all.
        """
        if self._kind.family == "graph" and value.value > _POOR * self._kind.least(k + SPARE):
            return None
        if self._kind.search_param is None:
            fetched = min(math.ceil(times * value.fetched), _most_fetched(k))
            return value._replace(fetched=fetched)
        more = min(math.ceil(times * value.value), self._kind.most())
        return value._replace(value=max(more, value.value))

    def outgrown(self, reader: Reader, /) -> bool:
        """Return whether the server has put an index in the place of a scan that finds less.

        Records are searched one by one until their segment is indexed and handed over, which can
        take a while; what was measured before that says little.
        """
        before, self._progress = self._progress, self._milvus.progress()
        now = time.monotonic()
        if self._progress != before:
            self._moved = now
        elif now - self._moved > _SETTLED_S:
            return False
        return self._progress[0] > _GROWN * max(before[0], self.records) or not all(
            _mean(self.shares(reader, self.probes[-1], k, effort.value)) >= self.recall
            for k, effort in self.efforts.items()
            if effort.met
        )

    def shares(
        self, reader: Reader, /, probe: Probe, k: int, value: SearchEffort
    ) -> NDArray[np.float64]:
        """Return the share of each query's true neighbours that is among the candidates."""
        limit = value.limit(k)
        parameters = self._kind.parameters(limit, value.value)
        found = self._searched_records.searched(
            reader, probe.queries, limit, Scope(), parameters, vectors=False
        )
        return shares_found((hits.ids for hits in found), probe.truth, k)


def _most_fetched(k: int) -> int:
    return min(_MOST_FETCHED, max(1, MAX_LIMIT // (k + SPARE)))


def _mean(shares: NDArray[np.float64]) -> float:
    return float(shares.mean()) if len(shares) else 1.0
