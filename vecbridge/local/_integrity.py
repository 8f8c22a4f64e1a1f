"""What makes a file a store: checked when it is opened, and watched while it is open.

A connection is made only after the file, its log and its tally were found to be one store. SQLite
goes on writing to a log that was removed, and over one that was copied in place; neither is seen by
another process, nor by this one's next, so what lies under an open connection is looked at again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vecbridge._errors import CorruptStoreError
from vecbridge.local._catalogue import read_indexes, read_store
from vecbridge.local._failures import ErrorContext
from vecbridge.local._files import FORMAT_VERSION, check_file, read_claim, schema, tally_path
from vecbridge.local._fork_safety import Connection
from vecbridge.local._log import Log


class Opened(NamedTuple):
    """A connection, and what was found out on the way to it.

    Attributes:
        connection: to the file.
        commits: how far it had come.
        writable: whether this process may write to it.
        immutable: whether it is read as a file that does not change, without a log.
    """

    connection: Connection
    commits: int
    writable: bool
    immutable: bool


def open_database(context: ErrorContext, operation: str, *, held: bool, timeout: float) -> Opened:
    """Connect to the file.

    Where it is ``held``, this process has a connection to it already: then it must not be read but
    through SQLite, and was checked.

    Raises:
        CorruptStoreError: it is not a whole store of ours; nothing was changed.
        BackendError: it has a log that cannot be taken in where nothing may be written.
    """
    tag = None if held else check_file(context, operation)
    writable = os.access(context.path, os.W_OK) and os.access(context.path.parent, os.W_OK)
    logged = _has_content(context, operation)
    if not writable:
        if logged and not context.path.with_name(context.path.name + "-shm").exists():
            raise context.unreadable(operation)
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
    """Look at a file that is open as a new process would; it held so many commits before.

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
) -> int:
    """Return how many commits the store holds."""
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
                f"its log {context.log.name} is missing, damaged or an older one, or it "
                f"is itself an older copy",
            )
        read_indexes(connection, context, operation)
    return store.commits


def _mixed(context: ErrorContext, operation: str, tag: int) -> CorruptStoreError:
    return context.corrupt(
        operation,
        f"it, its log {context.log.name} and its companion "
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
        commits = _verify(connection, context, operation, tag)
    except BaseException:
        connection.close()
        raise
    return Opened(connection, commits, mode == "rw", "immutable" in mode)


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogateescape")


def _has_content(context: ErrorContext, operation: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        found = context.log.stat()
        if not stat.S_ISREG(found.st_mode):
            raise context.corrupt(operation, f"its log {context.log.name} is no regular file")
        return found.st_size > 0
    return False


_HEADER = struct.Struct(">4I8s")
# https://www.sqlite.org/fileformat2.html#wal_file_format
_MAGIC_NUMBERS = (0x377F0682, 0x377F0683)


class _Log(NamedTuple):
    """A log as it was found: which file, how long, and the random numbers that it began with."""

    identity: tuple[int, int]
    size: int
    salts: bytes


class LogChange(NamedTuple):
    """A change of a log.

    Attributes:
        problem: what SQLite would never do to it.
        doubtful: whether it was begun again, emptied or cut, by SQLite or by something else.
        shorter: whether it is the same log, and shorter.
        touched: whether it was written to without any of that.
    """

    problem: str | None = None
    doubtful: bool = False
    shorter: bool = False
    touched: bool = False


class Watch:
    """The file and its log as they were when last looked at."""

    def __init__(self, log: Path) -> None:
        self._path = log
        self._seen: _Log | None = None
        self._stamp: tuple[int, ...] = ()
        self._main: tuple[int, ...] = ()

    def log_change(self) -> LogChange:
        """Return what happened to the log since the last call."""
        try:
            found = self._path.stat()
            stamp = (
                found.st_dev,
                found.st_ino,
                found.st_size,
                found.st_mtime_ns,
                found.st_ctime_ns,
            )
            if stamp == self._stamp:
                return LogChange()
            if not stat.S_ISREG(found.st_mode):
                return LogChange("was replaced by what is no file")
            # Of the log itself, which SQLite never locks: to close it lets go of no lock.
            with self._path.open("rb") as file:
                header = file.read(_HEADER.size)
        except FileNotFoundError:
            return LogChange(None if self._seen is None else "was removed")
        magic, *_, salts = _HEADER.unpack(header) if len(header) == _HEADER.size else (0, b"")
        if salts and magic not in _MAGIC_NUMBERS:
            # SQLite goes on with it, and the next process finds no log in it.
            return LogChange("was overwritten")
        now = _Log((found.st_dev, found.st_ino), found.st_size, salts)
        before, self._seen, self._stamp = self._seen, now, stamp
        return LogChange() if before is None else _difference(before, now)

    def main_changed(self, found: os.stat_result) -> bool:
        """Tell whether the file was written to since :meth:`note_main`."""
        return self._main != _stamp_of(found)

    def note_main(self, found: os.stat_result) -> None:
        """Take what the file is now for what it should be."""
        self._main = _stamp_of(found)


def _difference(before: _Log, now: _Log) -> LogChange:
    if now.identity != before.identity:
        return LogChange("was replaced by another file")
    # Not by the count in the header, nor by salts that grow: each connection has its own.
    if now.salts != before.salts:
        return LogChange(doubtful=True)
    # A log that was begun again is cut to size by its first commit.
    shorter = now.size < before.size
    return LogChange(doubtful=shorter, shorter=shorter, touched=True)


def _stamp_of(found: os.stat_result) -> tuple[int, ...]:
    # A backup that is put back brings its time of modification along, not that of the change.
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns
