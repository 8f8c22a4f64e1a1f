"""Where an index's writes go, and where the writes of others come from."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from vecbridge._contract._records import IndexInfo
from vecbridge._errors import ClosedError, IndexNotFoundError, VecbridgeError
from vecbridge.local import _log as log
from vecbridge.local import _upkeep as upkeep
from vecbridge.local._catalogue import Head, IndexRow
from vecbridge.local._change import Change
from vecbridge.local._columns import Columns
from vecbridge.local._database import Database, transaction


class Journal(Protocol):
    """What a table needs of the place that keeps its records."""

    def session(self, operation: str) -> AbstractContextManager[None]:
        """Keeps other threads out; errors inside it are the contract's."""
        ...

    def catch_up(self, columns: Columns, operation: str) -> None:
        """Applies what others have written. Call in a session."""

    def write(self, columns: Columns, change: Change, operation: str) -> None:
        """Keeps a change, then applies it. Call in a session."""


class MemoryJournal:
    """Keeps nothing: the columns are all there is."""

    def __init__(self, info: IndexInfo, backend: str) -> None:
        self._info = info
        self._backend = backend
        self._lock = threading.RLock()
        self._dropped = self._closed = False

    @contextmanager
    def session(self, operation: str) -> Iterator[None]:
        """Keeps other threads out."""
        with self._lock:
            if self._closed:
                raise ClosedError(
                    f"{operation} was asked of index {self._info.name!r} of a closed store; "
                    f"what was in memory is gone",
                    backend=self._backend,
                    operation=operation,
                )
            if self._dropped:
                raise _dropped(self._info)
            yield

    def drop(self) -> None:
        """The index is no more."""
        self._dropped = True

    def close(self) -> None:
        """The store is no more."""
        self._closed = True

    def catch_up(self, columns: Columns, operation: str) -> None:
        """Nobody else writes."""

    def write(self, columns: Columns, change: Change, operation: str) -> None:
        """Applies a change."""
        columns.reserve(len(change.ids))
        columns.apply(change)


class DiskJournal:
    """The log of one index in a database.

    Args:
        database: where it is.
        row: which index it is there.
    """

    def __init__(self, database: Database, row: IndexRow) -> None:
        self._database = database
        self._log = log.Log(database.blame, row.id, row.uid, row.info)
        self._info = row.info
        self._connection: sqlite3.Connection
        self._version: tuple[int, int] | None = None
        self._seen: Head | None = None
        self._era = database.era
        self._file = database.file

    @contextmanager
    def session(self, operation: str) -> Iterator[None]:
        """Keeps other threads out; errors inside it are the contract's."""
        with self._database.session(operation) as connection:
            if self._file != self._database.file:
                raise IndexNotFoundError(
                    f"the file of index {self._info.name!r}, {self._database.blame.path}, was "
                    f"replaced after it was opened; open the index again"
                )
            self._connection = connection
            yield

    def catch_up(self, columns: Columns, operation: str) -> None:
        """Applies the writes of other processes; costs next to nothing where there are none.

        Raises:
            IndexNotFoundError: the index was dropped.
            CorruptStoreError: the log is not as it was written.
        """
        if self._era != self._database.era:
            columns.clear()
            self._forget()
        version = self._database.version(self._connection)
        if version == self._version:
            return
        with transaction(self._connection):
            head = self._head(operation)
            if head != self._seen:
                with self._all_or_nothing(columns):
                    self._read(columns, head, operation)
        self._version = version

    def write(self, columns: Columns, change: Change, operation: str) -> None:
        """Appends a change durably, then applies it.

        Either the whole change is kept when this returns, or none of it is when it raises.
        """
        with transaction(self._connection, "IMMEDIATE"):
            self.catch_up(columns, operation)
            seen = self._head(operation)
            columns.reserve(len(change.ids))
            head = Head(seen.epoch, seen.seq + 1, seen.logged + change.weight)
            level, follows = upkeep.level_of(change), seen.seq if seen.logged else 0
            self._log.append(self._connection, head.seq, change, level, follows=follows)
            self._log.move(self._connection, operation, head)
            # An interrupt may come when this is committed and not applied: then look again.
            version, self._version = self._version, None
        with self._all_or_nothing(columns):
            columns.apply(change)
            self._seen = head
        self._version = version
        # The write is acknowledged whatever becomes of upkeep; the next one tries again.
        upkeep_failures = (VecbridgeError, MemoryError)
        with contextlib.suppress(*upkeep_failures), self._database.blame.mapped(operation):
            self._tidy(columns, operation)

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
                columns.settle()
                loading = False
            if loading:
                columns.load(change)
            else:
                columns.reserve(len(change.ids))
                columns.apply(change)
            position, weight = place.seq, weight + change.weight
        if loading:
            columns.settle()
        whole = position == head.seq or not head.logged
        if not whole or (self._seen is None and weight != head.logged):
            raise self._log.ends_early(operation, head, position, weight)
        self._seen = head

    def _tidy(self, columns: Columns, operation: str) -> None:
        head = self._seen
        if head is None:
            return
        if upkeep.is_mostly_dead(head, len(columns)):
            with transaction(self._connection, "IMMEDIATE"):
                self.catch_up(columns, operation)
                fresh = upkeep.rewrite(
                    self._connection, self._log, self._head(operation), columns.as_change
                )
            self._seen = fresh
            upkeep.shrink(self._connection)
        elif head.seq % upkeep.CHECK_EVERY == 0:
            with transaction(self._connection, "IMMEDIATE"):
                self.catch_up(columns, operation)
                upkeep.merge_tail(self._connection, self._log)
                merged = self._head(operation)
            self._seen = merged

    def _head(self, operation: str) -> Head:
        head = self._log.head(self._connection, operation)
        if head is None:
            raise _dropped(self._info)
        return head

    @contextmanager
    def _all_or_nothing(self, columns: Columns) -> Iterator[None]:
        """Columns that were left half changed are forgotten, and read again at the next use."""
        try:
            yield
        except BaseException:
            columns.clear()
            self._forget()
            raise

    def _forget(self) -> None:
        self._version = None
        self._seen = None
        self._era = self._database.era


def _dropped(info: IndexInfo) -> IndexNotFoundError:
    return IndexNotFoundError(
        f"index {info.name!r} was dropped after it was opened; create it again"
    )
