"""``FaissIndex``: FAISS over the records of the local store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates, Capabilities, Consistency, Filter, Hits
from vecbridge.local import LocalIndex, LocalTable, Scoped
from vecbridge_faiss._approximate import Approximate
from vecbridge_faiss._cache import Cache
from vecbridge_faiss._exact import Exact
from vecbridge_faiss._settings import FaissSettings


class FaissIndex(LocalIndex):
    """Searches every record exactly, or by an approximate index where one is asked for.

    Args:
        table: the records.
        capabilities: what the index can do.
        settings: how it is searched.
        folder: where what FAISS builds is kept; ``None`` keeps it in memory only.
    """

    def __init__(
        self,
        table: LocalTable,
        capabilities: Capabilities,
        settings: FaissSettings,
        folder: Path | None,
    ) -> None:
        super().__init__(table, capabilities, "faiss")
        info = table.info
        self._exact = Exact(info.metric)
        self._approximate: Approximate | None = None
        if not settings.exact:
            cache = Cache(folder, info.name, info.metric, info.dimension, settings.index)
            self._approximate = Approximate(info, settings, self._exact, cache)

    def in_range(
        self,
        queries: NDArray[np.float32],
        radius: float,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Candidates]:
        """Every record within the distance, by the exact search, and perhaps others."""
        return self._exact.in_range(queries, radius, self._scoped(within, where, "range_search"))

    def _search(self, queries: NDArray[np.float32], k: int, scoped: Scoped) -> list[Hits]:
        return self._way(k, scoped).search(queries, k, scoped)

    def _candidates(self, queries: NDArray[np.float32], k: int, scoped: Scoped) -> list[Candidates]:
        return self._way(k, scoped).candidates(queries, k, scoped)

    def _way(self, k: int, scoped: Scoped) -> Exact | Approximate:
        approximate = self._approximate
        if approximate is not None and approximate.serves(k, scoped):
            return approximate
        return self._exact
