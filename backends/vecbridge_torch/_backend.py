"""``TorchBackend``: indexes in the local store, searched by torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from vecbridge import Consistency, FieldType, Metric
from vecbridge.local import LocalStore, LocalTable, local_capabilities
from vecbridge_torch._device import arithmetic_of
from vecbridge_torch._index import TorchIndex
from vecbridge_torch._settings import TorchSettings


class TorchBackend:
    """Exact search by torch, over records in a directory or in memory.

    Args:
        settings: where the records are kept, and what searches them.

    Raises:
        ConfigurationError: the device is not there, or cannot do what is asked of it.
    """

    name: ClassVar[str] = "torch"
    settings_type: ClassVar[type[TorchSettings]] = TorchSettings

    def __init__(self, settings: TorchSettings) -> None:
        self._arithmetic = arithmetic_of(settings)
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
    ) -> TorchIndex:
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
        return self._index(table)

    def open_index(self, name: str) -> TorchIndex:
        """Opens an existing index.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        return self._index(self._store.open(name))

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

    def _index(self, table: LocalTable) -> TorchIndex:
        return TorchIndex(table, self._capabilities, self.name, self._arithmetic)
