"""``SklearnBackend``: indexes in the local store, searched by scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from vecbridge import Consistency, FieldType, Metric
from vecbridge.local import LocalStore, local_capabilities
from vecbridge_sklearn._index import SklearnIndex
from vecbridge_sklearn._settings import SklearnSettings


class SklearnBackend:
    """The reference store: exact, in a directory or in memory.

    Args:
        settings: where the records are kept.
    """

    name: ClassVar[str] = "sklearn"
    settings_type: ClassVar[type[SklearnSettings]] = SklearnSettings

    def __init__(self, settings: SklearnSettings) -> None:
        self._store = LocalStore(settings.path, backend=self.name)
        self._capabilities = local_capabilities(self._store, exact=True)

    def create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType],
        consistency: Consistency | None,
    ) -> SklearnIndex:
        """Makes an empty index.

        Raises:
            IndexExistsError: the name is taken.
        """
        table = self._store.create(
            name,
            dimension=dimension,
            metric=metric,
            fields=fields,
            consistency=consistency or "strong",
        )
        return SklearnIndex(table, self._capabilities, self.name)

    def open_index(self, name: str) -> SklearnIndex:
        """Opens an existing index.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        return SklearnIndex(self._store.open(name), self._capabilities, self.name)

    def index_names(self) -> list[str]:
        """Names of the indexes, sorted."""
        return self._store.names()

    def drop_index(self, name: str) -> None:
        """Removes an index and its records.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        self._store.drop(name)

    def close(self) -> None:
        """Closes the file and every index opened from it. May be called twice."""
        self._store.close()
