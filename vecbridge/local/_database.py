"""One connection to the file: opened on first use, shared by threads, never by processes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sqlite3
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from vecbridge._errors import ClosedError, CorruptStoreError
from vecbridge.local import _fork_safety as fork_safety
from vecbridge.local._catalogue import read_store
from vecbridge.local._failures import ErrorContext, refuse_nested
from vecbridge.local._files import ensure_file, has_file, record, tally_path
from vecbridge.local._fork_safety import Connection, file_identity
from vecbridge.local._integrity import Opened, Watch, open_database, verify_again
from vecbridge.locks import ForkSafeLock

T = TypeVar("T")

_abandoned: list[Connection] = []
_exchanged: set[tuple[int, int]] = set()
"""Devices and inodes of files that were exchanged while they were open here."""


class Database:
    """A connection with a lock.

    Args:
        path: the database file; it need not exist.
        backend: name of the backend, for errors.
        page_bytes: of a file that is made here.
        max_pages: how many pages the file may have; ``None`` for no limit.
        busy_seconds: how long to wait for the locks of other processes.

    Attributes:
        context: who uses which file, for errors.
        file: changes when another file has taken the place of the one that was open.
    """

    def __init__(
        self,
        path: Path,
        backend: str,
        *,
        page_bytes: int,
        max_pages: int | None,
        busy_seconds: float,
    ) -> None:
        self.context = ErrorContext(backend, path)
        self._page_bytes = page_bytes
        self._max_pages = max_pages
        self._busy_seconds = busy_seconds
        self._opened: Opened | None = None
        self._exchanged: str | None = None
        self._watch = Watch(self.context.log)
        self._finalizer: weakref.finalize[..., Database] | None = None
        self._lock = ForkSafeLock()
        # Whether the last use came to its end.
        self._whole = True
        self._commits_of_others = 0
        self._pid = os.getpid()
        self._serial = 0
        self.file = 0
        self._identity = (0, 0)
        self._closed = False
        fork_safety.register(self)

    def exists(self, operation: str) -> bool:
        """Tell whether there is anything to read. Reading alone never makes a file."""
        self.check_open(operation)
        with self.context.mapped(operation):
            return has_file(self.context, operation)

    def run(
        self, operation: str, work: Callable[[sqlite3.Connection], T], *, create: bool = False
    ) -> T:
        """Do some work on the connection, in this thread alone, with its errors mapped.

        An exception may come between any two steps of it, out of a signal handler. What it leaves
        of a connection is thrown away by the next use, and an open transaction with it.

        Raises:
            ClosedError: the store was closed.
            BackendError: the thread is in the middle of another use, and runs a signal handler.
        """
        return self._lock.run(
            lambda: self._run(operation, work, create=create),
            nested=lambda: refuse_nested(operation, self.context.backend, str(self.context.path)),
        )

    def check_open(self, operation: str) -> None:
        """Refuse to do anything after :meth:`close`."""
        if self._closed:
            raise ClosedError(
                f"{operation} was asked of a closed store ({self.context.path}); open it again",
                backend=self.context.backend,
                operation=operation,
            )

    def notify(self) -> None:
        """Make every table look again: this connection changed what they rely on."""
        self._serial += 1

    def version(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """Return a value that differs after another connection has committed."""
        return self._serial, _commits_of_others(connection)

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self._closed = True
        # What a handler interrupts goes on to its end; the connection closes with this object then.
        self._lock.run(self._close, nested=lambda: None)

    def owns(self, connection: Connection) -> bool:
        """Return whether a connection is the one that is used here."""
        return self._connection is connection

    def pause(self, seconds: float) -> bool:
        """Close the connection and keep other threads out; ``False`` if it stays busy."""
        busy = self._lock.is_busy()
        if not self._lock.acquire(seconds):
            return False
        if not busy:
            self._close()
        return True

    def resume(self) -> None:
        """Let other threads in again; the next of them connects again."""
        self._lock.release()

    @property
    def _connection(self) -> Connection | None:
        return None if self._opened is None else self._opened.connection

    def _run(self, operation: str, work: Callable[[sqlite3.Connection], T], *, create: bool) -> T:
        with self.context.mapped(operation):
            self.check_open(operation)
            if self._exchanged is not None:
                raise self._was_exchanged(operation, self._exchanged)
            self._leave_to_parent()
            whole, self._whole = self._whole, False
            if self._connection is not None and not self._connection.is_open():
                self._disconnect()
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if self._connection is not None:
                self._look_around(operation)
            if not whole:
                self._disconnect()
            connection = self._connection
            if connection is None:
                if create:
                    ensure_file(self.context, operation, self._page_bytes)
                with fork_safety.connecting:
                    connection = self._connect(operation)
            before = connection.total_changes
            try:
                found = work(connection)
            finally:
                self._acknowledge(before)
            self._whole = True
            return found

    def _close(self) -> None:
        self._leave_to_parent()
        self._disconnect()

    def _disconnect(self) -> None:
        # In this order: a connection that is forgotten open would keep its locks.
        if self._connection is not None:
            self._connection.close()
        self._opened = None
        if self._finalizer is not None:
            self._finalizer.detach()

    def _connect(self, operation: str) -> Connection:
        identity = file_identity(self.context.path)
        if identity in _exchanged:
            raise self._was_exchanged(operation, "was exchanged")
        if fork_safety.is_inherited(identity):
            raise self.context.inherited(operation)
        held = fork_safety.is_held(identity)
        opened = open_database(self.context, operation, held=held, timeout=self._busy_seconds)
        # An exception may come at any moment. The next use judges what there is by what was seen
        # of it, so nothing that was seen of an earlier connection may be left by then.
        self._identity = file_identity(self.context.path)
        self._watch = Watch(self.context.log)
        self._opened = opened
        connection = opened.connection
        self._finalizer = weakref.finalize(self, _close_own, connection, os.getpid())
        if opened.writable:
            connection.execute("PRAGMA synchronous = FULL")
            # The log of a bulk load is as large as the load; the space is given back after it.
            connection.execute("PRAGMA journal_size_limit = 4194304")
            # Some builds write zeros over what is deleted: a full disk has no room for them.
            connection.execute("PRAGMA secure_delete = OFF")
            if self._max_pages is not None:
                connection.execute(f"PRAGMA max_page_count = {self._max_pages}")
        self._serial += 1
        self._commits_of_others = _commits_of_others(connection)
        self._watch.log_change()
        self._watch.note_main(self.context.path.stat())
        return connection

    def _look_around(self, operation: str) -> None:
        """Let go of a file that is no longer the one that was opened.

        Raises:
            CorruptStoreError: the file or its log was exchanged in place.
        """
        if self._identity != file_identity(self.context.path):
            # Going on would answer from a file that no other process sees any more.
            self._disconnect()
            self.file += 1
            return
        opened, found = self._opened, self.context.path.stat()
        changed = self._watch.main_changed(found)
        if opened is None or opened.immutable:
            if changed or self.context.log.exists():
                self._disconnect()
            return
        log = self._watch.log_change()
        problem = log.problem and f"its log {self.context.log.name} {log.problem}"
        doubtful = changed or log.doubtful
        if problem is None and self._connection is not None:
            commits = _commits_of_others(self._connection)
            # A log that SQLite began again keeps its length: an older copy of it looks the same.
            doubtful |= log.touched and commits == self._commits_of_others
            self._commits_of_others = commits
        if problem is None and doubtful:
            problem = self._verified_again(operation, opened, whole=log.shorter)
            self._watch.note_main(found)
        if problem is not None:
            self._abandon()
            self._exchanged = problem
            raise self._was_exchanged(operation, problem)

    def _verified_again(self, operation: str, opened: Opened, *, whole: bool) -> str | None:
        """Return what another connection finds wrong with the file; ``None`` where all is well.

        With ``whole``, every frame of the log is looked for.
        """
        try:
            with fork_safety.connecting:
                verify_again(self.context, operation, opened.commits, timeout=self._busy_seconds)
            if whole and opened.writable and self._connection is not None:
                # What verifying reads is there; bringing all over shows whether the rest is.
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except CorruptStoreError as error:
            return f"its content was exchanged ({error})"
        except sqlite3.DatabaseError as error:
            if "disk I/O error" in str(error):
                return f"its log {self.context.log.name} was cut"
            if isinstance(self.context.of_sqlite(operation, error), CorruptStoreError):
                return f"its content was exchanged ({error})"
            raise
        return None

    def _abandon(self) -> None:
        """Let go of the connection without closing it.

        The last connection that is closed writes its log into the file, which may be a copy that
        was put back, and removes what it takes for its log.
        """
        connection, self._opened = self._connection, None
        if self._finalizer is not None:
            self._finalizer.detach()
        _exchanged.add(self._identity)
        if connection is not None:
            connection.abandoned = True
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))

    def _was_exchanged(self, operation: str, problem: str) -> CorruptStoreError:
        return self.context.corrupt(
            operation,
            f"{problem} while this process had it open. End this process before anything is put "
            f"back; what it acknowledged since may be in no file",
        )

    def _acknowledge(self, before: int) -> None:
        """Keep beside the file that what was committed since ``before`` changes is acknowledged."""
        connection, opened = self._connection, self._opened
        if connection is None or opened is None or connection.total_changes == before:
            return
        if connection.in_transaction:
            return
        with contextlib.suppress(sqlite3.Error, OSError):
            store = read_store(connection, self.context, "upsert")
            record(tally_path(self.context.path, store.tag), store.id, store.commits)
            self._opened = opened._replace(commits=store.commits)
            # What this connection did itself is no reason to look again.
            self._watch.note_main(self.context.path.stat())
            self._watch.log_change()

    def _leave_to_parent(self) -> None:
        """Leave an inherited connection alone: SQLite forbids carrying one across ``fork``."""
        if self._pid == os.getpid():
            return
        if self._connection is not None:
            # Closing it here could release what the parent still relies on.
            _abandoned.append(self._connection)
        self._opened = None
        self._pid = os.getpid()


def _commits_of_others(connection: sqlite3.Connection) -> int:
    """Return a number that differs after another connection has committed."""
    (number,) = connection.execute("PRAGMA data_version").fetchone()
    return int(number)


def transact(connection: sqlite3.Connection, work: Callable[[], T], mode: str = "") -> T:
    """Do all of some work or nothing; joins the transaction that is under way.

    The mode is ``"IMMEDIATE"`` to write.
    """
    joins = connection.in_transaction
    if joins:
        return work()
    try:
        connection.execute(f"BEGIN {mode}")
        found = work()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return found


def _close_own(connection: sqlite3.Connection, pid: int) -> None:
    if pid == os.getpid():
        connection.close()
