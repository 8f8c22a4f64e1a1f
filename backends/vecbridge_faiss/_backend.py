"""``FaissBackend`` and ``FaissIndex``: records of the local store, searched by FAISS."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates, Capabilities, Hits, Metric
from vecbridge.local import ExactSearch, LocalBackend, LocalIndex, LocalTable, SearchScope
from vecbridge_faiss._approximate import Approximate
from vecbridge_faiss._built import largest_dimension, least_records
from vecbridge_faiss._cache import Cache, cache_path
from vecbridge_faiss._settings import FaissSettings


class FaissIndex(LocalIndex):
    """Searches every record exactly, or by an index that FAISS built where one is asked for.

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
        self._approximate: Approximate | None = None
        if not settings.exact:
            cache = Cache(folder, info.name, info.metric, info.dimension, settings.index)
            self._approximate = Approximate(info, settings, self.exact, cache)

    @property
    def entries(self) -> int:
        """The number of entries of the index of FAISS; 0 where there is none yet."""
        return 0 if self._approximate is None else self._approximate.entries

    @property
    def builds(self) -> int:
        """The number of times an index was built here, and not taken from its file."""
        return 0 if self._approximate is None else self._approximate.builds

    def search_in(self, queries: NDArray[np.float32], k: int, scope: SearchScope) -> list[Hits]:
        """Return FAISS's ranking, or that of the exact search."""
        return self._way(k, scope).search(queries, k, scope)

    def candidates_in(
        self, queries: NDArray[np.float32], k: int, scope: SearchScope
    ) -> list[Candidates]:
        """Return candidates by the index of FAISS, or by the exact search."""
        return self._way(k, scope).candidates(queries, k, scope)

    def _way(self, k: int, scope: SearchScope) -> ExactSearch | Approximate:
        approximate = self._approximate
        if approximate is not None and approximate.serves(k, scope):
            return approximate
        return self.exact


class FaissBackend(LocalBackend[FaissIndex]):
    """Records in a directory or in memory, searched by FAISS.

    Args:
        settings: where the records are kept, and how they are searched.
    """

    name: ClassVar[str] = "faiss"
    settings_type: ClassVar[type[FaissSettings]] = FaissSettings

    def __init__(self, settings: FaissSettings) -> None:
        super().__init__(
            settings.path,
            exact=settings.exact,
            recall=settings.tuned_recall,
            range_search=True,
            max_dimension=None if settings.exact else largest_dimension(settings.index),
        )
        self._settings = settings

    def drop_index(self, name: str) -> None:
        """Remove an index, its records and what FAISS built of them.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        super().drop_index(name)
        if self.store.folder is not None:
            # What cannot be removed is a cache of records that no index has: nothing reads it.
            with contextlib.suppress(OSError):
                cache_path(self.store.folder, name).unlink(missing_ok=True)

    def check_buildable(self, dimension: int, metric: Metric) -> None:
        if not self._settings.exact:
            least_records(metric, self._settings.index, dimension)

    def index_over(self, table: LocalTable) -> FaissIndex:
        return FaissIndex(table, self.capabilities, self._settings, self.store.folder)
