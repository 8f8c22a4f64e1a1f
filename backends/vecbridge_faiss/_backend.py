"""``FaissBackend``: indexes in the local store, searched by FAISS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from vecbridge import Consistency, FieldType, Metric
from vecbridge.local import LocalStore, local_capabilities
from vecbridge_faiss._built import least_records
from vecbridge_faiss._cache import cache_path
from vecbridge_faiss._index import FaissIndex
from vecbridge_faiss._settings import FaissSettings


class FaissBackend:
    """Records in a directory or in memory, searched by FAISS.

    Args:
        settings: where the records are kept, and how they are searched.
    """

    name: ClassVar[str] = "faiss"
    settings_type: ClassVar[type[FaissSettings]] = FaissSettings

    def __init__(self, settings: FaissSettings) -> None:
        self._settings = settings
        self._store = LocalStore(settings.path, backend=self.name)
        self._capabilities = local_capabilities(
            self._store, exact=settings.exact, recall=settings.tuned_recall
        )

    def create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType],
        consistency: Consistency | None,
    ) -> FaissIndex:
        """Makes an empty index.

        Raises:
            IndexExistsError: the name is taken.
            InvalidArgumentError: FAISS cannot make such an index; none was created.
        """
        if not self._settings.exact:
            least_records(metric, self._settings.index, dimension)
        table = self._store.create(
            name,
            dimension=dimension,
            metric=metric,
            fields=fields,
            consistency=consistency or "strong",
        )
        return FaissIndex(table, self._capabilities, self._settings)

    def open_index(self, name: str) -> FaissIndex:
        """Opens an existing index.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        return FaissIndex(self._store.open(name), self._capabilities, self._settings)

    def index_names(self) -> list[str]:
        """Names of the indexes, sorted."""
        return self._store.names()

    def drop_index(self, name: str) -> None:
        """Removes an index and its records.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        self._store.drop(name)
        if self._store.durable:
            cache_path(Path(self._settings.path or "").expanduser(), name).unlink(missing_ok=True)

    def close(self) -> None:
        """Closes the file and every index opened from it. May be called twice."""
        self._store.close()
