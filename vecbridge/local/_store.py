"""The durable store that every local backend keeps its records in."""

from __future__ import annotations

import contextlib
import sqlite3
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from vecbridge._contract._consistency import Consistency
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._metric import Metric
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import ClosedError, IndexExistsError, IndexNotFoundError
from vecbridge.local._catalogue import IndexRow, add_index, read_indexes, remove_index
from vecbridge.local._compaction import Compaction
from vecbridge.local._database import Database, transact
from vecbridge.local._failures import refuse_nested
from vecbridge.local._files import BUSY_SECONDS, FILE_NAME, PAGE_BYTES
from vecbridge.local._table import DiskJournal, LocalTable, MemoryJournal
from vecbridge.locks import ForkSafeLock

T = TypeVar("T")

MEMORY = ":memory:"
_DEFAULT = Compaction()


class LocalStore:
    """Indexes in a directory, or in memory.

    In a directory it is one SQLite file, ``records.vecbridge``, in WAL mode with every commit
    synced: what a write acknowledged survives the death of the process. Any number of processes
    and threads may use it at once; each read sees every write acknowledged before it began.

    Attributes:
        durable: whether it is in a directory.
        folder: the directory, as an absolute path; none for a store in memory.

    Args:
        path: the directory, made at the first write; ``None`` or ``":memory:"`` keeps the records
            in memory only. A relative one is taken from the working directory of this moment.
        backend: name of the backend that uses the store, for its errors.
        page_bytes: size of the pages of a new file, a power of two from 512 to 65536.
        max_pages: how many pages the file may have; a write that needs more fails as on a full
            disk. ``None`` for no limit.
        busy_seconds: how long a call waits for the locks of other processes.
        compaction: when the log of an index is made shorter.
    """

    def __init__(
        self,
        path: str | Path | None,
        backend: str,
        *,
        page_bytes: int = PAGE_BYTES,
        max_pages: int | None = None,
        busy_seconds: float = BUSY_SECONDS,
        compaction: Compaction = _DEFAULT,
    ) -> None:
        in_memory = path is None or str(path) == MEMORY
        self.durable = not in_memory
        self._backend = backend
        self._keeper: _Memory | _Disk
        if path is None or in_memory:
            self.folder: Path | None = None
            self._keeper = _Memory(backend)
        else:
            # Now: the working directory may be another one at the first use, or the next.
            self.folder = Path(path).expanduser().absolute()
            database = Database(
                self.folder / FILE_NAME,
                backend,
                page_bytes=page_bytes,
                max_pages=max_pages,
                busy_seconds=busy_seconds,
            )
            self._keeper = _Disk(database, compaction)

    def create(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType] | None = None,
        consistency: Consistency = "strong",
    ) -> LocalTable:
        """Make an empty index.

        Raises:
            IndexExistsError: the name is taken.
        """
        columns: Mapping[str, FieldType] = MappingProxyType(dict(fields or {}))
        return self._keeper.create(IndexInfo(name, dimension, metric, columns, consistency))

    def open(self, name: str) -> LocalTable:
        """Open an index.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        return self._keeper.open(name)

    def names(self) -> list[str]:
        """Return the names of the indexes, sorted."""
        return sorted(self._keeper.names())

    def drop(self, name: str) -> None:
        """Remove an index and its records, for every process.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        self._keeper.drop(name)

    def close(self) -> None:
        """Close the file; tables that came from here can no longer be used. May be called twice."""
        self._keeper.close()


class _Memory:
    """Indexes in this object only."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._lock = ForkSafeLock()
        # A journal says itself whether its index was dropped: no exception comes in between.
        self._tables: dict[str, tuple[LocalTable, MemoryJournal]] = {}
        self._closed = False

    def create(self, info: IndexInfo) -> LocalTable:
        self._check_open("create_index")
        journal = MemoryJournal(info, self._backend)
        table = LocalTable(info, journal)

        def insert() -> LocalTable:
            if info.name in self._live():
                raise _exists(info.name)
            self._tables[info.name] = table, journal
            return table

        return self._run("create_index", insert)

    def open(self, name: str) -> LocalTable:
        self._check_open("open_index")
        return self._find(name)[0]

    def names(self) -> list[str]:
        self._check_open("index_names")
        return list(self._live())

    def drop(self, name: str) -> None:
        self._check_open("drop_index")

        def delete() -> None:
            self._find(name)[1].drop()
            del self._tables[name]

        self._run("drop_index", delete)

    def close(self) -> None:
        self._closed = True
        for _, journal in list(self._tables.values()):
            journal.close()
        self._tables = {}

    def _run(self, operation: str, work: Callable[[], T]) -> T:
        return self._lock.run(
            work, nested=lambda: refuse_nested(operation, self._backend, "a store in memory")
        )

    def _live(self) -> dict[str, tuple[LocalTable, MemoryJournal]]:
        tables = self._tables.copy()
        return {
            name: (table, journal)
            for name, (table, journal) in tables.items()
            if not journal.dropped
        }

    def _find(self, name: str) -> tuple[LocalTable, MemoryJournal]:
        live = self._live()
        if name not in live:
            raise _not_found(name, live)
        return live[name]

    def _check_open(self, operation: str) -> None:
        if self._closed:
            raise ClosedError(
                f"{operation} was asked of a closed store; get the backend again",
                backend=self._backend,
                operation=operation,
            )


class _Disk:
    """Indexes in a database file."""

    def __init__(self, database: Database, compaction: Compaction) -> None:
        self._database = database
        self._compaction = compaction
        # Handles of one index share its records in memory.
        self._tables: weakref.WeakValueDictionary[tuple[int, bytes], LocalTable]
        self._tables = weakref.WeakValueDictionary()

    def create(self, info: IndexInfo) -> LocalTable:
        context = self._database.context

        def insert(connection: sqlite3.Connection) -> IndexRow:
            if info.name in read_indexes(connection, context, "create_index"):
                raise _exists(info.name)
            return add_index(connection, context, "create_index", info)

        def create(connection: sqlite3.Connection) -> LocalTable:
            return self._table(transact(connection, lambda: insert(connection), "IMMEDIATE"))

        return self._database.run("create_index", create, create=True)

    def open(self, name: str) -> LocalTable:
        def find(connection: sqlite3.Connection) -> LocalTable:
            indexes = self._indexes(connection, "open_index")
            if name not in indexes:
                raise _not_found(name, indexes)
            return self._table(indexes[name])

        return self._run("open_index", name, find)

    def names(self) -> list[str]:
        if not self._database.exists("index_names"):
            return []
        return self._database.run(
            "index_names", lambda connection: list(self._indexes(connection, "index_names"))
        )

    def drop(self, name: str) -> None:
        context = self._database.context

        def delete(connection: sqlite3.Connection) -> None:
            indexes = read_indexes(connection, context, "drop_index")
            if name not in indexes:
                raise _not_found(name, indexes)
            row = indexes[name]
            remove_index(connection, context, "drop_index", row)
            connection.execute("DELETE FROM segments WHERE index_id = ?", (row.id,))
            self._database.notify()

        def drop(connection: sqlite3.Connection) -> None:
            transact(connection, lambda: delete(connection), "IMMEDIATE")
            # The index is gone, whatever becomes of its pages; the next shrinking tries again.
            with contextlib.suppress(sqlite3.Error):
                self._compaction.shrink(connection)

        self._run("drop_index", name, drop)

    def close(self) -> None:
        self._database.close()

    def _indexes(self, connection: sqlite3.Connection, operation: str) -> dict[str, IndexRow]:
        context = self._database.context
        return transact(connection, lambda: read_indexes(connection, context, operation))

    def _run(self, operation: str, name: str, work: Callable[[sqlite3.Connection], T]) -> T:
        if not self._database.exists(operation):
            raise _not_found(name, ())
        return self._database.run(operation, work)

    def _table(self, row: IndexRow) -> LocalTable:
        key = self._database.file, row.uid
        table = self._tables.get(key)
        if table is None:
            table = LocalTable(row.info, DiskJournal(self._database, row, self._compaction))
            self._tables[key] = table
        return table


def _exists(name: str) -> IndexExistsError:
    return IndexExistsError(f"an index named {name!r} exists already; open it, or drop it first")


def _not_found(name: str, present: Iterable[str]) -> IndexNotFoundError:
    known = ", ".join(sorted(present)) or "none"
    return IndexNotFoundError(f"there is no index named {name!r}; there are: {known}")
