"""What every local backend has in common: all but the engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from vecbridge._contract._consistency import Consistency
from vecbridge._contract._metric import Metric
from vecbridge._contract._records import FieldType
from vecbridge.local._index import LocalIndex, local_capabilities
from vecbridge.local._store import LocalStore
from vecbridge.local._table import LocalTable

LocalIndexT = TypeVar("LocalIndexT", bound=LocalIndex)


class LocalBackend(Generic[LocalIndexT]):
    """A :class:`vecbridge.Backend` over a :class:`LocalStore`.

    A backend derives from it, names itself and its settings, and makes its index of a table in
    :meth:`_index`. What its engine cannot build, it refuses in :meth:`_check`.

    Args:
        path: the directory of the records; ``None`` or ``":memory:"`` for none.
        exact: whether the engine scans every record and proves its floor.
        recall: what an approximate engine is tuned to find.
        range_search: whether the engine finds by distance.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Any]]

    def __init__(
        self,
        path: str | Path | None,
        *,
        exact: bool = True,
        recall: float | None = None,
        range_search: bool = False,
    ) -> None:
        self._store = LocalStore(path, backend=self.name)
        self._capabilities = local_capabilities(
            self._store, exact=exact, recall=recall, range_search=range_search
        )

    def create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType],
        consistency: Consistency | None,
    ) -> LocalIndexT:
        """Makes an empty index.

        Raises:
            IndexExistsError: the name is taken.
            InvalidArgumentError: the engine cannot make such an index; none was created.
        """
        self._check(dimension, metric)
        table = self._store.create(
            name,
            dimension=dimension,
            metric=metric,
            fields=fields,
            consistency=consistency or "strong",
        )
        return self._index(table)

    def open_index(self, name: str) -> LocalIndexT:
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

    def _check(self, dimension: int, metric: Metric) -> None:
        """Refuses, before anything is created, what the engine cannot build."""

    def _index(self, table: LocalTable) -> LocalIndexT:
        """The engine over a table."""
        raise NotImplementedError
