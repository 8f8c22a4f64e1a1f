"""What every local backend's index has in common: all but the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._capabilities import MAX_DIMENSION, Capabilities
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._filters import FILTER_OPERATORS, Filter
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._records import Fields, IndexInfo, Records
from vecbridge._errors import ClosedError
from vecbridge.local._far import far_candidates
from vecbridge.local._scoped import Scoped
from vecbridge.local._snapshot import Snapshot
from vecbridge.local._store import LocalStore
from vecbridge.local._table import LocalTable


class LocalIndex:
    """The record operations of :class:`vecbridge.VectorIndex` over a :class:`LocalTable`.

    A backend derives from it and adds the searching of the records in scope: :meth:`_search` and
    :meth:`_candidates`. Whoever holds no snapshot between searches makes no write copy anything.

    Args:
        table: the records.
        capabilities: what the index can do.
        backend: name of the backend, for errors.
    """

    def __init__(self, table: LocalTable, capabilities: Capabilities, backend: str) -> None:
        self._open_table: LocalTable | None = table
        self._info = table.info
        self._capabilities = capabilities
        self._backend = backend

    @property
    def info(self) -> IndexInfo:
        """Name, dimension, metric and fields, as the store has them."""
        return self._info

    @property
    def capabilities(self) -> Capabilities:
        """What this index can do."""
        return self._capabilities

    def upsert(
        self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields | None = None
    ) -> None:
        """Inserts records or replaces them whole, all or none."""
        self._table("upsert").upsert(ids, vectors, fields)

    def delete(self, ids: Sequence[str]) -> None:
        """Removes records; ids that are not there are ignored."""
        self._table("delete").delete(ids)

    def fetch(self, ids: Sequence[str], *, consistency: Consistency | None = None) -> Records:
        """Records in request order; ids that are not there are listed in ``missing``."""
        return self._table("fetch").fetch(ids)

    def contains(
        self, ids: Sequence[str], *, consistency: Consistency | None = None
    ) -> NDArray[np.bool_]:
        """Whether each id is there."""
        return self._table("contains").contains(ids)

    def count(self, *, consistency: Consistency | None = None) -> int:
        """The number of live records."""
        return self._table("count").count()

    def scan(self, batch_size: int, *, consistency: Consistency | None = None) -> Iterator[Records]:
        """Every record once, as they are when the scan begins."""
        return self._table("scan").scan(batch_size)

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Hits]:
        """The engine's own ranking."""
        return self._search(queries, k, self._scoped(within, where, "search"))

    def candidates(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Candidates]:
        """The likely best records, with a proven floor under the distance of the others."""
        return self._candidates(queries, k, self._scoped(within, where, "search"))

    def far_candidates(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Candidates]:
        """The likely farthest records, with a proven floor under *minus* the others' distance."""
        scoped = self._scoped(within, where, "farthest")
        return far_candidates(self.info.metric, queries, k, scoped)

    def snapshot(self) -> Snapshot:
        """A frozen view of the records as they are now, for who can do without a copy of them.

        Raises:
            ClosedError: the index or its store was closed.
        """
        return self._table("snapshot").snapshot("snapshot")

    def close(self) -> None:
        """Lets go of the records in memory. May be called twice."""
        self._open_table = None

    def _search(self, queries: NDArray[np.float32], k: int, scoped: Scoped) -> list[Hits]:
        """The engine's own ranking of the records in scope."""
        raise NotImplementedError

    def _candidates(self, queries: NDArray[np.float32], k: int, scoped: Scoped) -> list[Candidates]:
        """At least ``min(k, len(scoped))`` records a query, and what is proven of the others."""
        raise NotImplementedError

    def _scoped(self, within: Sequence[str] | None, where: Filter | None, operation: str) -> Scoped:
        """The records as they are now, and which of them may answer."""
        snapshot = self._table(operation).snapshot(operation)
        rows = None if within is None else snapshot.rows_of(within)
        if where is not None:
            rows = snapshot.rows_where(where, rows)
        return Scoped(snapshot, rows)

    def _table(self, operation: str) -> LocalTable:
        if self._open_table is None:
            raise ClosedError(
                f"{operation} was asked of index {self._info.name!r}, which was closed; "
                f"open it again",
                backend=self._backend,
                operation=operation,
            )
        return self._open_table


def local_capabilities(
    store: LocalStore, *, exact: bool, recall: float | None = None, range_search: bool = False
) -> Capabilities:
    """Return what an index over the local store can do.

    Args:
        store: where its records are.
        exact: whether its engine scans every record and proves its floor.
        recall: what an approximate engine is tuned to find.
        range_search: whether the engine finds by distance.
    """
    return Capabilities(
        exact=exact,
        recall=recall,
        range_search=range_search,
        farthest=True,
        max_dimension=MAX_DIMENSION,
        max_k=None,
        max_within=None,
        max_batch_bytes=None,
        fields=True,
        filters=FILTER_OPERATORS,
        consistency=frozenset({"strong"}),
        durable=store.durable,
        shared=store.durable,
    )
