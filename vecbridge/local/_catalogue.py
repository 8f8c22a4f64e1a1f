"""The rows of the tables ``store`` and ``indexes``, and the checksums that seal all rows.

A row of ``indexes`` is sealed together with the store's id. The one row of ``store`` counts the
commits and holds the sum of the seals, so that a row that is missing, doubled or older is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from vecbridge._contract._consistency import CONSISTENCY_LEVELS, Consistency
from vecbridge._contract._field_types import FIELD_TYPES
from vecbridge._contract._metric import METRICS, Metric
from vecbridge._contract._records import IndexInfo
from vecbridge.local._failures import ErrorContext

Buffer: TypeAlias = "bytes | memoryview[int]"

ID_BYTES = 16

SCHEMA = """
CREATE TABLE store (
    id BLOB NOT NULL,
    commits INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    seal INTEGER NOT NULL
);
CREATE TABLE indexes (
    id INTEGER PRIMARY KEY,
    uid BLOB NOT NULL,
    name TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    metric TEXT NOT NULL,
    fields TEXT NOT NULL,
    consistency TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    logged INTEGER NOT NULL,
    seal INTEGER NOT NULL
);
"""
_SELECT = """
SELECT id, uid, name, dimension, metric, fields, consistency, epoch, seq, logged, seal FROM indexes
"""
_SELECT_ONE = _SELECT + "WHERE id = ?"
_INSERT = """
INSERT INTO indexes
    (id, uid, name, dimension, metric, fields, consistency, epoch, seq, logged, seal)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_TYPES = (int, bytes, str, int, str, str, str, int, int, int, int)


class Head(NamedTuple):
    """The end of a log.

    Attributes:
        epoch: changes when the log is rewritten, so that what was read of it is void.
        seq: number of the latest write.
        logged: records and deletions that the log holds, dead ones too.
    """

    epoch: int
    seq: int
    logged: int


class StoreRow(NamedTuple):
    """The store itself.

    Attributes:
        id: random, made with the file.
        commits: how many transactions have changed the file.
        sum: of the seals of all indexes.
    """

    id: bytes
    commits: int
    sum: int

    @property
    def tag(self) -> int:
        """The beginning of the id, which stands in the header of the file, too."""
        return int.from_bytes(self.id[:3], "big")


class IndexRow(NamedTuple):
    """One index.

    Attributes:
        id: its number in this file.
        uid: random, made with the index; every segment of its log is sealed with it.
        info: what it is.
        head: how far its log has come.
        seal: of the row as it stands in the file.
    """

    id: int
    uid: bytes
    info: IndexInfo
    head: Head
    seal: int


def found_store(connection: sqlite3.Connection, store_id: bytes) -> None:
    """Write the row of a new store."""
    connection.execute("INSERT INTO store VALUES (?, 0, 0, ?)", (store_id, seal(store_id, 0, 0)))


def read_store(connection: sqlite3.Connection, context: ErrorContext, operation: str) -> StoreRow:
    """Return the row of the store.

    Raises:
        CorruptStoreError: it is not as it was written.
    """
    rows = connection.execute("SELECT id, commits, sum, seal FROM store").fetchmany(2)
    if len(rows) != 1 or tuple(map(type, rows[0])) != (bytes, int, int, int):
        raise context.corrupt(operation, "what it says of itself is damaged")
    *values, sealed = rows[0]
    if seal(*values) != sealed:
        raise context.corrupt(operation, "what it says of itself does not match its checksum")
    return StoreRow(*values)


def read_indexes(
    connection: sqlite3.Connection, context: ErrorContext, operation: str
) -> dict[str, IndexRow]:
    """Return every index by its name. Call in a transaction.

    Raises:
        CorruptStoreError: a row is not as it was written, missing, or there twice.
    """
    store = read_store(connection, context, operation)
    found = [_index_row(row, store, context, operation) for row in connection.execute(_SELECT)]
    indexes = {row.info.name: row for row in found}
    if total(*(row.seal for row in found)) != store.sum or len(indexes) != len(found):
        raise context.corrupt(operation, "its list of indexes is not the one that was written")
    return indexes


def read_index(
    connection: sqlite3.Connection, context: ErrorContext, operation: str, index_id: int, uid: bytes
) -> IndexRow | None:
    """Return one index; ``None`` if it was dropped. Call in a transaction.

    Raises:
        CorruptStoreError: its row is not as it was written.
    """
    store = read_store(connection, context, operation)
    row = connection.execute(_SELECT_ONE, (index_id,)).fetchone()
    if row is None:
        # Dropped, or out of reach in a damaged file: then the list as a whole is wrong.
        read_indexes(connection, context, operation)
        return None
    found = _index_row(row, store, context, operation)
    if found.uid != uid:
        return None
    return found


def add_index(
    connection: sqlite3.Connection, context: ErrorContext, operation: str, info: IndexInfo
) -> IndexRow:
    """Write the row of a new index. Call in a transaction that has looked at the names."""
    store = read_store(connection, context, operation)
    index_id, uid, head = store.commits + 1, os.urandom(ID_BYTES), Head(0, 0, 0)
    row = IndexRow(index_id, uid, info, head, _seal_of(store, index_id, uid, info, head))
    connection.execute(
        _INSERT,
        (index_id, uid, *_described(info), *head, row.seal),
    )
    _count_commit(connection, store, added=row.seal)
    return row


def remove_index(
    connection: sqlite3.Connection, context: ErrorContext, operation: str, row: IndexRow
) -> None:
    """Delete the row of an index. Call in a transaction."""
    store = read_store(connection, context, operation)
    connection.execute("DELETE FROM indexes WHERE id = ?", (row.id,))
    _count_commit(connection, store, removed=row.seal)


def move_head(
    connection: sqlite3.Connection, context: ErrorContext, operation: str, row: IndexRow, head: Head
) -> None:
    """Say how far the log of an index has come. Call in a transaction."""
    store = read_store(connection, context, operation)
    sealed = _seal_of(store, row.id, row.uid, row.info, head)
    connection.execute(
        "UPDATE indexes SET epoch = ?, seq = ?, logged = ?, seal = ? WHERE id = ?",
        (*head, sealed, row.id),
    )
    _count_commit(connection, store, added=sealed, removed=row.seal)


def _count_commit(
    connection: sqlite3.Connection, store: StoreRow, *, added: int = 0, removed: int = 0
) -> None:
    commits, summed = store.commits + 1, total(store.sum, added, -removed)
    connection.execute(
        "UPDATE store SET commits = ?, sum = ?, seal = ?",
        (commits, summed, seal(store.id, commits, summed)),
    )


def _described(info: IndexInfo) -> tuple[str, int, str, str, str]:
    fields = json.dumps(dict(info.fields), separators=(",", ":"))
    return info.name, info.dimension, info.metric, fields, info.consistency


def _seal_of(store: StoreRow, index_id: int, uid: bytes, info: IndexInfo, head: Head) -> int:
    return seal(store.id, index_id, uid, *_described(info), *head)


def _index_row(
    row: tuple[object, ...], store: StoreRow, context: ErrorContext, operation: str
) -> IndexRow:
    index_id, uid, name, dimension, metric, fields, consistency, *head, sealed = row
    described = (name, dimension, metric, fields, consistency)
    whole = tuple(map(type, row)) == _TYPES
    if not whole or seal(store.id, index_id, uid, *described, *head) != sealed:
        raise context.corrupt(
            operation,
            f"what it says of index {str(name)[:80]!r} makes no sense: it is damaged, or of "
            f"another store, since it does not match its checksum",
        )
    try:
        info = _info(*described)  # type: ignore[arg-type]
    except ValueError as error:
        raise context.corrupt(
            operation, f"index {name!r} has what this vecbridge does not know ({error})"
        ) from error
    return IndexRow(index_id, uid, info, Head(*head), sealed)  # type: ignore[arg-type]


def _info(
    name: str, dimension: int, metric: Metric, fields: str, consistency: Consistency
) -> IndexInfo:
    """Return what an index is.

    Raises:
        ValueError: the row was sealed by something that knows more metrics, levels or types.
    """
    columns = json.loads(fields)
    known = metric in METRICS and consistency in CONSISTENCY_LEVELS
    if not known or not set(columns.values()) <= set(FIELD_TYPES):
        raise ValueError(f"{metric}, {consistency}, {columns}")
    return IndexInfo(name, dimension, metric, MappingProxyType(columns), consistency)


def seal(*values: object) -> int:
    """Return a checksum of a row's small values that fits SQLite's integers."""
    digest = hashlib.blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "little", signed=True)


def seal_blobs(values: Sequence[object], blobs: Sequence[Buffer]) -> int:
    """Return a checksum of a row's small values and its large blobs, at the speed of CRC-32."""
    described = (*values, *(len(blob) for blob in blobs))
    checksum = zlib.crc32(repr(described).encode())
    for blob in blobs:
        checksum = zlib.crc32(blob, checksum)
    return checksum


def total(*seals: int) -> int:
    """Return the sum of seals, wrapped to what fits SQLite's integers."""
    return (sum(seals) + (1 << 63)) % (1 << 64) - (1 << 63)
