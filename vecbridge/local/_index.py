"""What every local backend's index has in common: all but searching."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._capabilities import Capabilities
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._filters import Filter
from vecbridge._contract._records import Fields, IndexInfo, Records
from vecbridge._errors import ClosedError
from vecbridge.local._snapshot import Snapshot
from vecbridge.local._store import LocalStore
from vecbridge.local._table import LocalTable


class LocalIndex:
    """The record operations of :class:`vecbridge.VectorIndex` over a :class:`LocalTable`.

    A backend derives from it and adds ``search`` and ``candidates``, which begin with
    :meth:`_candidates_in`.

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

    def close(self) -> None:
        """Lets go of the records in memory. May be called twice."""
        self._open_table = None

    def _candidates_in(
        self, within: Sequence[str] | None, where: Filter | None, operation: str = "search"
    ) -> tuple[Snapshot, NDArray[np.intp] | None]:
        """The records as they are now, and which rows may answer: ``None`` for all of them."""
        snapshot = self._table(operation).snapshot(operation)
        rows = None if within is None else snapshot.rows_of(within)
        if where is not None:
            rows = snapshot.rows_where(where, rows)
        return snapshot, rows

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
    store: LocalStore, *, exact: bool, recall: float | None = None
) -> Capabilities:
    """What an index over the local store can do.

    Args:
        store: where its records are.
        exact: whether its engine scans every record and proves its floor.
        recall: what an approximate engine is tuned to find.
    """
    return Capabilities(
        exact=exact,
        recall=recall,
        max_k=None,
        max_within=None,
        max_batch_bytes=None,
        fields=True,
        filters=True,
        consistency=frozenset({"strong"}),
        durable=store.durable,
        shared=store.durable,
    )
