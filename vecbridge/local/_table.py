"""The records of one index: held in memory as columns, kept by a journal.

A journal keeps the writes of its index, and applies those of other processes.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._filters import Filter
from vecbridge._contract._records import Fields, IndexInfo, Records
from vecbridge._contract._scope import IdRange
from vecbridge._errors import ClosedError, IndexNotFoundError, VecbridgeError
from vecbridge.local._catalogue import Head, IndexRow
from vecbridge.local._columns import Columns
from vecbridge.local._compaction import Compaction
from vecbridge.local._database import Database, transact
from vecbridge.local._failures import refuse_nested
from vecbridge.local._log import Change, Log
from vecbridge.local._snapshot import Snapshot
from vecbridge.locks import ForkSafeLock

T = TypeVar("T")

_PART_BYTES = 2 << 20
"""Copies that a processor's cache holds are read while they are there."""

_PART_ROWS = 1 << 16


class LocalTable:
    """Records, read with strong consistency: every read catches up with every process first.

    Safe to use from several threads. Obtained from :class:`vecbridge.local.LocalStore`.

    Attributes:
        info: what the index is.
    """

    def __init__(self, info: IndexInfo, journal: MemoryJournal | DiskJournal) -> None:
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

    def fetch(self, ids: Sequence[str], *, vectors: bool = True) -> Records:
        """Return copies of records in request order, the missing ones listed."""
        view = self.snapshot("fetch")
        rows = view.rows_of(ids)
        missing: tuple[str, ...] = ()
        if len(rows) < len(ids):
            found = set(view.ids_at(rows))
            missing = tuple(one for one in ids if one not in found)
        return view.records(rows, missing, vectors=vectors)

    def contains(self, ids: Sequence[str]) -> NDArray[np.bool_]:
        """Tell for each id whether it is there."""

        def look() -> NDArray[np.bool_]:
            return np.fromiter((one in self._columns for one in ids), np.bool_, len(ids))

        return self._read("contains", look)

    def count(self, where: Filter | None = None) -> int:
        """Return the number of records that a filter accepts, or of all."""
        if where is None:
            return self._read("count", lambda: len(self._columns))
        return len(self.snapshot("count").rows_where(where))

    def scan(
        self,
        batch_size: int,
        where: Filter | None = None,
        ids: IdRange | None = None,
        *,
        vectors: bool = True,
    ) -> Iterator[Records]:
        """Yield copies of records, each once, as they are when the scan begins.

        Args:
            batch_size: most records at a time.
            where: only records that this filter accepts; ``None`` for no filter.
            ids: only ids of this range, in ascending order; ``None`` for all, in any order.
            vectors: whether their vectors are wanted.
        """
        view = self.snapshot("scan")
        fitting = _PART_BYTES // (4 * self.info.dimension) if vectors else _PART_ROWS
        size = max(1, min(batch_size, fitting))
        if ids is not None:
            for rows in view.pages_where(ids, where, size):
                yield view.records(rows, vectors=vectors)
        elif where is None and vectors:
            for start in range(0, len(view), size):
                yield view.part(start, min(start + size, len(view)))
        else:
            rows = np.arange(len(view)) if where is None else view.rows_where(where)
            for start in range(0, len(rows), size):
                yield view.records(rows[start : start + size], vectors=vectors)

    def partitions(self, count: int) -> list[IdRange]:
        """Return at most ``count`` ranges of ids with about as many records each."""
        # As long as it is held, ids that are removed stay in the table that it looks at.
        view = self.snapshot("partitions")
        return view.ids.order(merged=True).ranges(count)

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


class MemoryJournal:
    """Keeps nothing, since the columns are all there is; otherwise as :class:`DiskJournal`."""

    def __init__(self, info: IndexInfo, backend: str) -> None:
        self._info = info
        self._backend = backend
        self._lock = ForkSafeLock()
        self._closed = False
        self.dropped = False

    def run(self, columns: Columns, operation: str, work: Callable[[], T]) -> T:
        """Do some work with other threads kept out."""
        return self._lock.run(
            lambda: self._whole(columns, operation, work),
            nested=lambda: refuse_nested(operation, self._backend, f"index {self._info.name!r}"),
        )

    def drop(self) -> None:
        """Refuse further calls: the index was dropped."""
        self.dropped = True

    def close(self) -> None:
        """Refuse further calls: the store was closed."""
        self._closed = True

    def catch_up(self, columns: Columns, operation: str) -> None:
        """Do nothing: no other process writes."""

    def write(self, columns: Columns, change: Change, operation: str) -> None:
        """Apply a change: an exception at any moment leaves all of it to be taken back."""
        columns.reserve(len(change.ids))
        columns.apply_whole(change)

    def _whole(self, columns: Columns, operation: str, work: Callable[[], T]) -> T:
        if self._closed:
            raise ClosedError(
                f"{operation} was asked of index {self._info.name!r} of a closed store; "
                f"what was in memory is gone",
                backend=self._backend,
                operation=operation,
            )
        if self.dropped:
            raise _dropped(self._info)
        columns.restore()
        return work()


class DiskJournal:
    """The log of one index in a database."""

    def __init__(self, database: Database, row: IndexRow, compaction: Compaction) -> None:
        self._database = database
        self._compaction = compaction
        self._log = Log(database.context, row.id, row.uid, row.info)
        self._info = row.info
        self._connection: sqlite3.Connection
        self._version: tuple[int, int] | None = None
        self._seen: Head | None = None
        # Whether a change of the columns has begun and not ended.
        self._torn = False
        self._file = database.file

    def run(self, columns: Columns, operation: str, work: Callable[[], T]) -> T:
        """Do some work with other threads kept out; errors inside it are the contract's.

        Columns that an interrupted call left half changed are made whole first.
        """

        def on(connection: sqlite3.Connection) -> T:
            if self._file != self._database.file:
                raise IndexNotFoundError(
                    f"the file of index {self._info.name!r}, {self._database.context.path}, was "
                    f"replaced after it was opened; open the index again"
                )
            self._connection = connection
            if self._torn:
                self._forget(columns)
            return work()

        return self._database.run(operation, on)

    def catch_up(self, columns: Columns, operation: str) -> None:
        """Apply the writes of other processes; costs next to nothing where there are none.

        Raises:
            IndexNotFoundError: the index was dropped.
            CorruptStoreError: the log is not as it was written.
        """
        version = self._database.version(self._connection)
        if version != self._version:
            transact(self._connection, lambda: self._look(columns, operation))
            self._version = version

    def write(self, columns: Columns, change: Change, operation: str) -> None:
        """Append a change durably, then apply it.

        Either the whole change is kept when this returns, or none of it is when it raises. Where
        an exception comes out of a signal handler, the change may be kept too.
        """
        head, version = transact(
            self._connection, lambda: self._append(columns, change, operation), "IMMEDIATE"
        )
        self._torn = True
        try:
            columns.apply(change)
        except MemoryError:
            # It is written; the next use reads it again, where there is memory for that.
            return
        self._seen = head
        self._torn = False
        self._version = version
        # The write is acknowledged whatever becomes of compaction; the next one tries again.
        failures = (VecbridgeError, MemoryError)
        with contextlib.suppress(*failures), self._database.context.mapped(operation):
            self._tidy(columns, operation)

    def _look(self, columns: Columns, operation: str) -> None:
        head = self._head(operation)
        if head != self._seen:
            self._torn = True
            try:
                self._read(columns, head, operation)
            except VecbridgeError:
                self._forget(columns)
                raise
            self._torn = False

    def _append(
        self, columns: Columns, change: Change, operation: str
    ) -> tuple[Head, tuple[int, int] | None]:
        self.catch_up(columns, operation)
        seen = self._head(operation)
        columns.reserve(len(change.ids))
        head = Head(seen.epoch, seen.seq + 1, seen.logged + change.weight)
        level, follows = self._compaction.level_of(change), seen.seq if seen.logged else 0
        self._log.append(self._connection, head.seq, change, level, follows=follows)
        self._log.move(self._connection, operation, head)
        # An interrupt may come when this is committed and not applied: then look again.
        version, self._version = self._version, None
        return head, version

    def _read(self, columns: Columns, head: Head, operation: str) -> None:
        if self._seen is None or head.epoch != self._seen.epoch:
            columns.clear()
            position = 0
        else:
            position = self._seen.seq
        weight, loading = 0, not position
        if loading:
            # What the head says was verified, and what the segments say was not yet.
            columns.reserve(head.logged)
        for place, change in self._log.read_after(self._connection, operation, position):
            if loading and change.deleted:
                columns.keep_latest()
                loading = False
            if loading:
                columns.load(change)
            else:
                columns.reserve(len(change.ids))
                columns.apply(change)
            position, weight = place.seq, weight + change.weight
        if loading:
            columns.keep_latest()
        whole = position == head.seq or not head.logged
        if not whole or (self._seen is None and weight != head.logged):
            raise self._log.ends_early(operation, head, position, weight)
        self._seen = head

    def _tidy(self, columns: Columns, operation: str) -> None:
        head = self._seen
        if head is None:
            return
        if self._compaction.is_mostly_dead(head, len(columns)):
            self._seen = transact(
                self._connection, lambda: self._rewrite(columns, operation), "IMMEDIATE"
            )
            self._compaction.shrink(self._connection)
        elif self._compaction.is_due(head):
            self._seen = transact(
                self._connection, lambda: self._merge(columns, operation), "IMMEDIATE"
            )

    def _rewrite(self, columns: Columns, operation: str) -> Head:
        self.catch_up(columns, operation)
        head = self._head(operation)
        return self._compaction.rewrite(self._connection, self._log, head, columns.as_change)

    def _merge(self, columns: Columns, operation: str) -> Head:
        self.catch_up(columns, operation)
        self._compaction.merge_tail(self._connection, self._log)
        return self._head(operation)

    def _head(self, operation: str) -> Head:
        head = self._log.head(self._connection, operation)
        if head is None:
            raise _dropped(self._info)
        return head

    def _forget(self, columns: Columns) -> None:
        """Forget columns that were left half changed; the next use reads them again."""
        self._version = None
        self._seen = None
        columns.clear()
        self._torn = False


def _dropped(info: IndexInfo) -> IndexNotFoundError:
    return IndexNotFoundError(
        f"index {info.name!r} was dropped after it was opened; create it again"
    )
