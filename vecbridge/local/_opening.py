"""Connecting to a store's file: only after it, its log and its tally were found to be one store."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vecbridge._errors import CorruptStoreError
from vecbridge.local._catalogue import read_indexes, read_store
from vecbridge.local._failures import ErrorContext
from vecbridge.local._fork_safety import Connection
from vecbridge.local._format import FORMAT_VERSION, check_file, schema
from vecbridge.local._log import Log
from vecbridge.local._tally import read_claim, tally_path


class Opened(NamedTuple):
    """A connection, and what was found out on the way to it.

    Attributes:
        connection: to the file.
        store: id of the store.
        commits: how far it had come.
        writable: whether this process may write to it.
        immutable: whether it is read as a file that does not change, without a log.
    """

    connection: Connection
    store: bytes
    commits: int
    writable: bool
    immutable: bool


def log_path(database: Path) -> Path:
    """Return where SQLite keeps the log of a database."""
    return database.with_name(database.name + "-wal")


def index_path(database: Path) -> Path:
    """Return where SQLite keeps the index of the log of a database."""
    return database.with_name(database.name + "-shm")


def open_database(context: ErrorContext, operation: str, *, held: bool, timeout: float) -> Opened:
    """Connect to the file.

    Args:
        context: which file.
        operation: what is being done, for errors.
        timeout: how many seconds to wait for other processes.
        held: whether this process has a connection to it already; then it must not be read
            but through SQLite, and was checked.

    Raises:
        CorruptStoreError: it is not a whole store of ours; nothing was changed.
        BackendError: it has a log that cannot be taken in where nothing may be written.
    """
    tag = None if held else check_file(context, operation)
    writable = os.access(context.path, os.W_OK) and os.access(context.path.parent, os.W_OK)
    logged = _has_content(context, operation)
    if not writable:
        if logged and not index_path(context.path).exists():
            raise context.unreadable(operation, log_path(context.path).name)
        # Without a log nothing but this file is needed. With one, SQLite reads its index, too.
        return _checked(context, operation, tag, "ro" if logged else "ro&immutable=1", timeout)
    if logged and not held:
        # A connection that may write would put a log that is not this store's into the file.
        first = _checked(context, operation, tag, "ro", timeout).connection
        try:
            _check_chains(first, context, operation)
        finally:
            first.close()
    return _checked(context, operation, tag, "rw", timeout)


def verify_again(context: ErrorContext, operation: str, commits: int, *, timeout: float) -> None:
    """Look at a file to which there is a connection with the eyes of one that comes new to it.

    Args:
        context: which file.
        operation: what is being done, for errors.
        commits: how many it held when it was last looked at.
        timeout: how many seconds to wait for other processes.

    Raises:
        CorruptStoreError: it is not the store that it was.
    """
    opened = _checked(context, operation, None, "ro", timeout)
    try:
        if opened.commits < commits:
            raise context.corrupt(operation, f"it held {commits} writes and holds {opened.commits}")
        _check_chains(opened.connection, context, operation)
    finally:
        opened.connection.close()


def _check_chains(connection: sqlite3.Connection, context: ErrorContext, operation: str) -> None:
    with _reading(connection):
        for row in read_indexes(connection, context, operation).values():
            Log(context, row.id, row.uid, row.info).check_chain(connection, operation)


def _verify(
    connection: sqlite3.Connection, context: ErrorContext, operation: str, tag: int | None
) -> tuple[bytes, int]:
    (field,) = connection.execute("PRAGMA user_version").fetchone()
    header = int(field).to_bytes(4, "big", signed=True)
    seen = int.from_bytes(header[:3], "big")
    tag = seen if tag is None else tag
    if seen != tag:
        raise _mixed(context, operation, tag)
    # Before the file: what is acknowledged meanwhile is in it.
    claim = read_claim(tally_path(context.path, tag), context, operation)
    with _reading(connection):
        made = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master") if sql}
        if header[3] != FORMAT_VERSION or made != schema():
            raise context.corrupt(operation, "its tables are not those that were made")
        store = read_store(connection, context, operation)
        if store.tag != tag or (claim is not None and claim.store != store.id):
            raise _mixed(context, operation, tag)
        if claim is not None and store.commits < claim.commits:
            raise context.corrupt(
                operation,
                f"{claim.commits} writes to it were acknowledged and it holds {store.commits}: "
                f"its log {log_path(context.path).name} is missing, damaged or an older one, or it "
                f"is itself an older copy",
            )
        read_indexes(connection, context, operation)
    return store.id, store.commits


def _mixed(context: ErrorContext, operation: str, tag: int) -> CorruptStoreError:
    return context.corrupt(
        operation,
        f"it, its log {log_path(context.path).name} and its companion "
        f"{tally_path(context.path, tag).name} are not all of one store",
    )


@contextlib.contextmanager
def _reading(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _checked(
    context: ErrorContext, operation: str, tag: int | None, mode: str, timeout: float
) -> Opened:
    connection = Connection(context.path, mode=mode, timeout=timeout)
    try:
        # What a damaged file holds for text may be none.
        connection.text_factory = _text
        store, commits = _verify(connection, context, operation, tag)
    except BaseException:
        connection.close()
        raise
    return Opened(connection, store, commits, mode == "rw", "immutable" in mode)


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogateescape")


def _has_content(context: ErrorContext, operation: str) -> bool:
    log = log_path(context.path)
    with contextlib.suppress(FileNotFoundError):
        found = log.stat()
        if not stat.S_ISREG(found.st_mode):
            raise context.corrupt(operation, f"its log {log.name} is no regular file")
        return found.st_size > 0
    return False
