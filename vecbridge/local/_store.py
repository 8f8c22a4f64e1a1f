"""The durable store that every local backend keeps its records in."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from vecbridge._contract._consistency import CONSISTENCY_LEVELS, Consistency
from vecbridge._contract._metric import METRICS, Metric
from vecbridge._contract._records import FIELD_TYPES, FieldType, IndexInfo
from vecbridge._errors import ClosedError, IndexExistsError, IndexNotFoundError
from vecbridge.local import _upkeep as upkeep
from vecbridge.local._database import Database, transaction
from vecbridge.local._format import FILE_NAME
from vecbridge.local._journal import DiskJournal, MemoryJournal
from vecbridge.local._table import LocalTable

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
        self._tables: dict[str, tuple[LocalTable, MemoryJournal]] = {}
        self._closed = False

    def create(self, info: IndexInfo) -> LocalTable:
        self._check_open("create_index")
        journal = MemoryJournal(info, self._backend)
        table = LocalTable(info, journal)
        if self._tables.setdefault(info.name, (table, journal))[0] is not table:
            raise _exists(info.name)
        return table

    def open(self, name: str) -> LocalTable:
        self._check_open("open_index")
        try:
            return self._tables[name][0]
        except KeyError:
            raise _not_found(name, self._tables) from None

    def names(self) -> list[str]:
        self._check_open("index_names")
        return list(self._tables)

    def drop(self, name: str) -> None:
        self._check_open("drop_index")
        try:
            _, journal = self._tables.pop(name)
        except KeyError:
            raise _not_found(name, self._tables) from None
        journal.drop()

    def close(self) -> None:
        self._closed = True
        for _, journal in self._tables.values():
            journal.close()
        self._tables = {}

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
        with self._database.session("create_index", create=True) as connection:
            with transaction(connection, "IMMEDIATE"):
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
            return self._table(int(cursor.lastrowid or 0), info)

    def open(self, name: str) -> LocalTable:
        with self._reading("open_index", name) as connection:
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

    def names(self) -> list[str]:
        if not self._database.exists("index_names"):
            return []
        with self._database.session("index_names") as connection:
            return _names(connection)

    def drop(self, name: str) -> None:
        with self._reading("drop_index", name) as connection:
            with transaction(connection, "IMMEDIATE"):
                row = connection.execute(
                    "SELECT id FROM indexes WHERE name = ?", (name,)
                ).fetchone()
                if row is None:
                    raise _not_found(name, _names(connection))
                connection.execute("DELETE FROM indexes WHERE id = ?", row)
                connection.execute("DELETE FROM segments WHERE index_id = ?", row)
                self._database.notify()
            # The index is gone, whatever becomes of its pages; the next shrinking tries again.
            with contextlib.suppress(sqlite3.Error):
                upkeep.shrink(connection)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _reading(self, operation: str, name: str) -> Iterator[sqlite3.Connection]:
        if not self._database.exists(operation):
            raise _not_found(name, ())
        with self._database.session(operation) as connection:
            yield connection

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
