"""The records of one index: kept by a journal, held in memory as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._records import Fields, IndexInfo, Records
from vecbridge.local._columns import Columns
from vecbridge.local._journal import Journal
from vecbridge.local._log import Change
from vecbridge.local._snapshot import Snapshot

T = TypeVar("T")

_PART_BYTES = 2 << 20
"""Copies that a processor's cache holds are read while they are there."""


class LocalTable:
    """Records, read with strong consistency: every read catches up with every process first.

    Safe to use from several threads. Obtained from :class:`vecbridge.local.LocalStore`.

    Attributes:
        info: what the index is.
    """

    def __init__(self, info: IndexInfo, journal: Journal) -> None:
        self.info = info
        self._journal = journal
        self._columns = Columns(info.dimension, info.fields)

    def upsert(
        self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields | None = None
    ) -> None:
        """Insert records or replace them: all of them, durably, or none.

        Args:
            ids: distinct ids.
            vectors: ``(len(ids), d)`` float32; neither kept nor changed.
            fields: one column per field of the index.
        """
        if not len(ids):
            return
        change = Change(ids, vectors, {} if fields is None else fields)
        self._run("upsert", lambda: self._journal.write(self._columns, change, "upsert"))

    def delete(self, ids: Sequence[str]) -> None:
        """Remove records: all of them, durably, or none. Ids that are not there are ignored."""
        self._run("delete", lambda: self._delete(ids))

    def fetch(self, ids: Sequence[str]) -> Records:
        """Return copies of records in request order, the missing ones listed."""
        view = self.snapshot("fetch")
        rows = view.rows_of(ids)
        missing: tuple[str, ...] = ()
        if len(rows) < len(ids):
            found = set(view.ids_at(rows))
            missing = tuple(one for one in ids if one not in found)
        return view.records(rows, missing)

    def contains(self, ids: Sequence[str]) -> NDArray[np.bool_]:
        """Tell for each id whether it is there."""

        def look() -> NDArray[np.bool_]:
            return np.fromiter((one in self._columns for one in ids), np.bool_, len(ids))

        return self._read("contains", look)

    def count(self) -> int:
        """Return the number of records."""
        return self._read("count", lambda: len(self._columns))

    def scan(self, batch_size: int) -> Iterator[Records]:
        """Yield copies of every record once, as they are when the scan begins."""
        view = self.snapshot("scan")
        size = max(1, min(batch_size, _PART_BYTES // (4 * self.info.dimension)))
        for start in range(0, len(view), size):
            yield view.part(start, min(start + size, len(view)))

    def snapshot(self, operation: str = "search") -> Snapshot:
        """Return a frozen view of the records, for an engine to search."""
        return self._read(operation, self._columns.snapshot)

    def _delete(self, ids: Sequence[str]) -> None:
        self._journal.catch_up(self._columns, "delete")
        gone = [one for one in ids if one in self._columns]
        if gone:
            nothing = np.empty((0, self.info.dimension), dtype=np.float32)
            self._journal.write(self._columns, Change((), nothing, deleted=gone), "delete")

    def _read(self, operation: str, work: Callable[[], T]) -> T:
        def after_catching_up() -> T:
            self._journal.catch_up(self._columns, operation)
            return work()

        return self._run(operation, after_catching_up)

    def _run(self, operation: str, work: Callable[[], T]) -> T:
        return self._journal.run(self._columns, operation, work)
