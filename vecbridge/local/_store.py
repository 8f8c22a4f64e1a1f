"""The durable store that every local backend keeps its records in."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from vecbridge._contract._consistency import CONSISTENCY_LEVELS, Consistency
from vecbridge._contract._metric import METRICS, Metric
from vecbridge._contract._records import FIELD_TYPES, FieldType, IndexInfo
from vecbridge._errors import ClosedError, IndexExistsError, IndexNotFoundError
from vecbridge.local import _upkeep as upkeep
from vecbridge.local._database import Database, transact
from vecbridge.local._failures import refuse_nested
from vecbridge.local._format import FILE_NAME
from vecbridge.local._journal import DiskJournal, MemoryJournal
from vecbridge.local._table import LocalTable
from vecbridge.locks import ForkSafeLock

T = TypeVar("T")

MEMORY = ":memory:"


class LocalStore:
    """Indexes in a directory, or in memory.

    In a directory it is one SQLite file, ``records.vecbridge``, in WAL mode with every commit
    synced: what a write acknowledged survives the death of the process. Any number of processes
    and threads may use it at once; each read sees every write acknowledged before it began.

    Args:
        path: the directory, made at the first write; ``None`` or ``":memory:"`` keeps the records
            in memory only.
        backend: name of the backend that uses the store, for its errors.
    """

    def __init__(self, path: str | Path | None, backend: str) -> None:
        in_memory = path is None or str(path) == MEMORY
        self.durable = not in_memory
        self._backend = backend
        self._keeper: _Memory | _Disk
        if path is None or in_memory:
            self._keeper = _Memory(backend)
        else:
            self._keeper = _Disk(Path(path).expanduser() / FILE_NAME, backend)

    def create(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType] | None = None,
        consistency: Consistency = "strong",
    ) -> LocalTable:
        """Makes an empty index.

        Raises:
            IndexExistsError: the name is taken.
        """
        columns: Mapping[str, FieldType] = MappingProxyType(dict(fields or {}))
        return self._keeper.create(IndexInfo(name, dimension, metric, columns, consistency))

    def open(self, name: str) -> LocalTable:
        """Opens an index.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        return self._keeper.open(name)

    def names(self) -> list[str]:
        """Names of the indexes, sorted."""
        return sorted(self._keeper.names())

    def drop(self, name: str) -> None:
        """Removes an index and its records, for every process.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        self._keeper.drop(name)

    def close(self) -> None:
        """Closes the file; tables that came from here are of no more use. May be called twice."""
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

    def __init__(self, path: Path, backend: str) -> None:
        self._database = Database(path, backend)
        # Handles of one index share its records in memory.
        self._tables: weakref.WeakValueDictionary[tuple[int, int], LocalTable]
        self._tables = weakref.WeakValueDictionary()

    def create(self, info: IndexInfo) -> LocalTable:
        def insert(connection: sqlite3.Connection) -> int:
            if info.name in _names(connection):
                raise _exists(info.name)
            cursor = connection.execute(
                "INSERT INTO indexes "
                "(name, dimension, metric, fields, consistency, epoch, seq, logged) "
                "VALUES (?, ?, ?, ?, ?, 0, 0, 0)",
                (
                    info.name,
                    info.dimension,
                    info.metric,
                    json.dumps(dict(info.fields)),
                    info.consistency,
                ),
            )
            return int(cursor.lastrowid or 0)

        def create(connection: sqlite3.Connection) -> LocalTable:
            number = transact(connection, lambda: insert(connection), "IMMEDIATE")
            return self._table(number, info)

        return self._database.run("create_index", create, create=True)

    def open(self, name: str) -> LocalTable:
        return self._run("open_index", name, lambda connection: self._open(connection, name))

    def names(self) -> list[str]:
        if not self._database.exists("index_names"):
            return []
        return self._database.run("index_names", _names)

    def drop(self, name: str) -> None:
        def delete(connection: sqlite3.Connection) -> None:
            row = connection.execute("SELECT id FROM indexes WHERE name = ?", (name,)).fetchone()
            if row is None:
                raise _not_found(name, _names(connection))
            connection.execute("DELETE FROM indexes WHERE id = ?", row)
            connection.execute("DELETE FROM segments WHERE index_id = ?", row)
            self._database.notify()

        def drop(connection: sqlite3.Connection) -> None:
            transact(connection, lambda: delete(connection), "IMMEDIATE")
            # The index is gone, whatever becomes of its pages; the next shrinking tries again.
            with contextlib.suppress(sqlite3.Error):
                upkeep.shrink(connection)

        self._run("drop_index", name, drop)

    def close(self) -> None:
        self._database.close()

    def _open(self, connection: sqlite3.Connection, name: str) -> LocalTable:
        row = connection.execute(
            "SELECT id, dimension, metric, fields, consistency FROM indexes WHERE name = ?",
            (name,),
        ).fetchone()
        if row is None:
            raise _not_found(name, _names(connection))
        try:
            info = _info(name, *row[1:])
        except (TypeError, ValueError) as error:
            raise self._database.blame.corrupt(
                "open_index", f"what it says of index {name!r} makes no sense: {error}"
            ) from error
        return self._table(int(row[0]), info)

    def _run(self, operation: str, name: str, work: Callable[[sqlite3.Connection], T]) -> T:
        if not self._database.exists(operation):
            raise _not_found(name, ())
        return self._database.run(operation, work)

    def _table(self, number: int, info: IndexInfo) -> LocalTable:
        key = self._database.file, number
        table = self._tables.get(key)
        if table is None:
            table = LocalTable(info, DiskJournal(self._database, number, info))
            self._tables[key] = table
        return table


def _info(name: str, dimension: object, metric: str, fields: str, consistency: str) -> IndexInfo:
    """What an index is, as its row says.

    Raises:
        TypeError, ValueError: the row is not as it was written.
    """
    columns = json.loads(fields)
    if not isinstance(dimension, int) or dimension < 1:
        raise ValueError(f"its dimension is {dimension!r}")
    if not isinstance(columns, dict) or not set(columns.values()) <= set(FIELD_TYPES):
        raise ValueError(f"its fields are {columns!r}")
    if metric not in METRICS or consistency not in CONSISTENCY_LEVELS:
        raise ValueError(f"its metric is {metric!r}, its consistency {consistency!r}")
    return IndexInfo(name, dimension, metric, MappingProxyType(columns), consistency)


def _names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM indexes")]


def _exists(name: str) -> IndexExistsError:
    return IndexExistsError(f"an index named {name!r} exists already; open it, or drop it first")


def _not_found(name: str, present: Iterable[str]) -> IndexNotFoundError:
    known = ", ".join(sorted(present)) or "none"
    return IndexNotFoundError(f"there is no index named {name!r}; there are: {known}")
