"""The backend and the index that every local engine builds on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._capabilities import MAX_DIMENSION, Capabilities
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._field_types import FIELD_TYPES, FieldType
from vecbridge._contract._filters import FILTER_OPERATORS
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge._contract._records import Fields, IndexInfo, Records
from vecbridge._contract._scope import IdRange, Scope
from vecbridge._errors import ClosedError
from vecbridge.local._exact import ExactSearch
from vecbridge.local._snapshot import SearchScope, Snapshot
from vecbridge.local._store import LocalStore
from vecbridge.local._table import LocalTable

LocalIndexT = TypeVar("LocalIndexT", bound="LocalIndex")


class LocalIndex:
    """The record operations of :class:`vecbridge.VectorIndex`, and an exact search of the records.

    It is whole as it is. An engine with a faster product gives it an :class:`ExactSearch` that
    uses it; one that builds an index of its own derives from this class, overrides
    :meth:`search_in` and :meth:`candidates_in`, and leaves what it cannot answer to the exact
    search. Keep no snapshot between searches: writes then copy nothing.

    Args:
        table: the records.
        capabilities: what the index can do.
        backend: name of the backend, for errors.
        exact: the exact search; one by numpy where none is given.
    """

    def __init__(
        self,
        table: LocalTable,
        capabilities: Capabilities,
        backend: str,
        *,
        exact: ExactSearch | None = None,
    ) -> None:
        self._open_table: LocalTable | None = table
        self._info = table.info
        self._capabilities = capabilities
        self._backend = backend
        self.exact = exact or ExactSearch(table.info.metric, table.info.dimension)

    @property
    def info(self) -> IndexInfo:
        """Name, dimension, metric and fields, as the store has them."""
        return self._info

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of this index."""
        return self._capabilities

    def upsert(
        self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields | None = None
    ) -> None:
        """Insert records or replace them whole, all or none."""
        self._table("upsert").upsert(ids, vectors, fields)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove records; ids that are not there are ignored."""
        self._table("delete").delete(ids)

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        """Return records in request order; ids that are not there are listed in ``missing``."""
        return self._table("fetch").fetch(ids, vectors=vectors)

    def contains(self, ids: Sequence[str], *, consistency: Consistency) -> NDArray[np.bool_]:
        """Tell for each id whether it is there."""
        return self._table("contains").contains(ids)

    def count(self, scope: Scope) -> int:
        """Return the number of live records in scope."""
        return self._table("count").count(scope.where)

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        """Yield every record in scope once, as they are when the scan begins."""
        return self._table("scan").scan(batch_size, scope.where, ids, vectors=vectors)

    def partitions(self, count: int, *, consistency: Consistency) -> list[IdRange]:
        """Return ranges of ids with about as many records each."""
        return self._table("partitions").partitions(count)

    def search(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Hits]:
        """Return the engine's own ranking."""
        return self.search_in(queries, k, self.resolve(scope, "search"))

    def candidates(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Candidates]:
        """Return the likely best records, and a proven lower bound of the others' distance."""
        return self.candidates_in(queries, k, self.resolve(scope, "search"))

    def far_candidates(
        self, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> list[Candidates]:
        """Return the likely farthest records, and a lower bound of *minus* the others' distance."""
        return self.exact.far_candidates(queries, k, self.resolve(scope, "farthest"))

    def in_range(
        self, queries: NDArray[np.float32], radius: float, scope: Scope
    ) -> list[Candidates]:
        """Return every record within the distance, and perhaps others."""
        return self.exact.in_range(queries, radius, self.resolve(scope, "range_search"))

    def snapshot(self) -> Snapshot:
        """Return a frozen view of the records as they are now, without a copy of them.

        Raises:
            ClosedError: the index or its store was closed.
        """
        return self._table("snapshot").snapshot("snapshot")

    def close(self) -> None:
        """Let go of the records in memory. May be called twice."""
        self._open_table = None

    def resolve(self, scope: Scope, operation: str = "search") -> SearchScope:
        """Return the records as they are now, and which of them may answer.

        Args:
            scope: which records.
            operation: what is being done, for errors.

        Raises:
            ClosedError: the index or its store was closed.
        """
        snapshot = self._table(operation).snapshot(operation)
        rows = None if scope.within is None else snapshot.rows_of(scope.within)
        if scope.where is not None:
            rows = snapshot.rows_where(scope.where, rows)
        return SearchScope(snapshot, rows)

    def search_in(self, queries: NDArray[np.float32], k: int, scope: SearchScope) -> list[Hits]:
        """Return the engine's own ranking of the records in scope."""
        return self.exact.search(queries, k, scope)

    def candidates_in(
        self, queries: NDArray[np.float32], k: int, scope: SearchScope
    ) -> list[Candidates]:
        """Return at least ``min(k, len(scope))`` records per query, and a bound of the others."""
        return self.exact.candidates(queries, k, scope)

    def _table(self, operation: str) -> LocalTable:
        if self._open_table is None:
            raise ClosedError(
                f"{operation} was asked of index {self._info.name!r}, which was closed; "
                f"open it again",
                backend=self._backend,
                operation=operation,
            )
        return self._open_table


class LocalBackend(Generic[LocalIndexT]):
    """A :class:`vecbridge.Backend` over a :class:`LocalStore`.

    A backend derives from it, names itself and its settings, and returns its engine over a table
    from :meth:`index_over`. What its engine cannot build, it refuses in :meth:`check_buildable`.

    Args:
        path: the directory of the records; ``None`` or ``":memory:"`` for none.
        exact: whether the engine scans every record and proves what it leaves out.
        recall: what an approximate engine is tuned to find.
        range_search: whether the engine finds by distance.
        max_dimension: the largest dimension that the engine builds; the contract's by default.

    Attributes:
        store: the records.
        capabilities: what each of its indexes declares.

    Example:
        The whole of an exact engine with the products of numpy:

        >>> import vecbridge
        >>> from vecbridge.local import LocalBackend, LocalIndex
        >>> from vecbridge.settings import Settings
        >>> class NumpyBackend(LocalBackend[LocalIndex]):
        ...     name = "numpy"
        ...     settings_type = Settings
        ...
        ...     def __init__(self, settings):
        ...         super().__init__(path=None)
        ...
        ...     def index_over(self, table):
        ...         return LocalIndex(table, self.capabilities, self.name)
        >>> with vecbridge.Store(NumpyBackend(Settings())) as store:
        ...     index = store.create_index("a", dimension=2, metric="euclidean")
        ...     index.upsert(["x", "y"], [[0, 0], [3, 4]])
        ...     index.search([0, 0], k=2)[0].distances.tolist()
        [0.0, 5.0]
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
        max_dimension: int | None = None,
    ) -> None:
        self.store = LocalStore(path, backend=self.name)
        self.capabilities = local_capabilities(
            self.store,
            exact=exact,
            recall=recall,
            range_search=range_search,
            max_dimension=max_dimension,
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
        """Make an empty index.

        Raises:
            IndexExistsError: the name is taken.
            InvalidArgumentError: the engine cannot make such an index; none was created.
        """
        self.check_buildable(dimension, metric)
        table = self.store.create(
            name,
            dimension=dimension,
            metric=metric,
            fields=fields,
            consistency=consistency or "strong",
        )
        return self.index_over(table)

    def open_index(self, name: str) -> LocalIndexT:
        """Open an existing index.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        return self.index_over(self.store.open(name))

    def index_names(self) -> list[str]:
        """Return the names of the indexes, sorted."""
        return self.store.names()

    def drop_index(self, name: str) -> None:
        """Remove an index and its records.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        self.store.drop(name)

    def close(self) -> None:
        """Close the file and every index opened from it. May be called twice."""
        self.store.close()

    def check_buildable(self, dimension: int, metric: Metric) -> None:
        """Refuse, before anything is created, what the engine cannot build."""

    def index_over(self, table: LocalTable) -> LocalIndexT:
        """Return the engine over a table."""
        raise NotImplementedError


def local_capabilities(
    store: LocalStore,
    *,
    exact: bool,
    recall: float | None = None,
    range_search: bool = False,
    max_dimension: int | None = None,
) -> Capabilities:
    """Return what an index over the local store can do.

    Args:
        store: where its records are.
        exact: whether its engine scans every record and proves what it leaves out.
        recall: what an approximate engine is tuned to find.
        range_search: whether the engine finds by distance.
        max_dimension: the largest dimension that the engine builds; the contract's by default.
    """
    return Capabilities(
        exact=exact,
        recall=recall,
        range_search=range_search,
        farthest=True,
        partitions=True,
        max_dimension=max_dimension or MAX_DIMENSION,
        max_k=None,
        max_within=None,
        max_batch_bytes=None,
        field_types=frozenset(FIELD_TYPES),
        filters=FILTER_OPERATORS,
        filters_except=frozenset(),
        consistency=frozenset({"strong"}),
        durable=store.durable,
        shared=store.durable,
    )
