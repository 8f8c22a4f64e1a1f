"""Where the reference engine keeps its rows: in memory, or in a file that processes share."""

from __future__ import annotations

import pickle
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import FieldValue, IndexInfo

_WAIT_SECONDS = 30.0


class Row(NamedTuple):
    """One record. Rows are replaced, never changed."""

    id: str
    vector: NDArray[np.float32]
    fields: dict[str, FieldValue]


@dataclass(frozen=True)
class Table:
    """An index: what it is, and its rows in the order in which they were written.

    No index that is made later under the same name has the same token.
    """

    info: IndexInfo
    rows: list[Row] = field(default_factory=list)
    token: str = field(default_factory=lambda: uuid.uuid4().hex)


Tables = dict[str, Table]
Change = Callable[[Tables], object]


class Shelf:
    """Keeps the tables of one backend object in memory, gone with it."""

    durable = False

    def __init__(self) -> None:
        self._tables: Tables = {}
        self._alone = threading.RLock()

    def read(self) -> Tables:
        """Return the tables as they are; the caller must not change them."""
        return self._tables

    def change(self, change: Change) -> None:
        """Apply a function to a copy of the mapping, alone, and keep what it leaves."""
        with self._alone:
            tables = dict(self._tables)
            change(tables)
            self._tables = tables


class FileShelf(Shelf):
    """Tables in one SQLite row, so that a change survives the process and is seen by others.

    Args:
        path: the file; made on first use.
    """

    durable = True

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._made = False
        self._seen: tuple[int, Tables] = (-1, {})

    def read(self) -> Tables:
        """Return the tables as the file has them."""
        with self._connected() as connection:
            return self._load(connection)

    def change(self, change: Change) -> None:
        """Apply a change in one transaction."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            tables = dict(self._load(connection))
            change(tables)
            # Read back from the bytes, as every other process will have it.
            blob = pickle.dumps(tables)
            connection.execute("UPDATE shelf SET version = version + 1, tables = ?", (blob,))
            connection.execute("COMMIT")

    def _load(self, connection: sqlite3.Connection) -> Tables:
        (version,) = connection.execute("SELECT version FROM shelf").fetchone()
        seen, tables = self._seen
        if version != seen:
            (blob,) = connection.execute("SELECT tables FROM shelf").fetchone()
            tables = pickle.loads(blob)  # noqa: S301  (our own bytes)
            self._seen = (version, tables)
        return tables

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=_WAIT_SECONDS)) as connection:
            connection.isolation_level = None
            # A killed process loses nothing without it; a killed machine is not tested here.
            connection.execute("PRAGMA synchronous = OFF")
            if not self._made:
                _make(connection)
                self._made = True
            yield connection


def _make(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TABLE IF NOT EXISTS shelf (version INT, tables BLOB)")
    connection.execute(
        "INSERT INTO shelf SELECT 0, ? WHERE NOT EXISTS (SELECT 1 FROM shelf)", (pickle.dumps({}),)
    )
    connection.execute("COMMIT")
