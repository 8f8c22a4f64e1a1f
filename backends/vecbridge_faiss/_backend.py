"""``FaissBackend``: indexes in the local store, searched by FAISS."""

from __future__ import annotations

import contextlib
from typing import ClassVar

from vecbridge import Metric
from vecbridge.local import LocalBackend, LocalTable
from vecbridge_faiss._built import least_records
from vecbridge_faiss._cache import cache_path
from vecbridge_faiss._index import FaissIndex
from vecbridge_faiss._settings import FaissSettings


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
