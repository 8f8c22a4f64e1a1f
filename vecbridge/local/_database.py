"""One connection to the file: opened on first use, shared by threads, never by processes."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vecbridge._errors import ClosedError
from vecbridge.local import _process as process
from vecbridge.local._failures import Blame
from vecbridge.local._format import BUSY_SECONDS, check_file, ensure_file, has_file

_abandoned: list[sqlite3.Connection] = []


class Database:
    """A connection with a lock.

    Args:
        path: the database file; it need not exist.
        backend: name of the backend, for errors.

    Attributes:
        blame: who uses which file, for errors.
        era: changes when what was read in memory may be half changed, and must be read again.
        file: changes when another file has taken the place of the one that was open.
    """

    def __init__(self, path: Path, backend: str) -> None:
        self.blame = Blame(backend, path)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = os.getpid()
        self._serial = 0
        self.era = self.file = 0
        self._identity = (0, 0)
        self._closed = False
        process.register(self)

    def exists(self, operation: str) -> bool:
        """Whether there is anything to read. Reading alone never makes a file."""
        self.check_open(operation)
        with self.blame.mapped(operation):
            return has_file(self.blame, operation)

    @contextmanager
    def session(self, operation: str, *, create: bool = False) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone, its errors mapped to the contract's.

        Args:
            operation: what is being done, for errors.
            create: make the file if there is none.

        Raises:
            ClosedError: the store was closed.
        """
        self._notice_fork()
        with self._lock, self.blame.mapped(operation):
            self.check_open(operation)
            if self._connection is not None and self._identity != self._identify():
                # Going on would answer from a file that nobody else sees any more.
                self._disconnect()
                self.file += 1
            if self._connection is None:
                if create:
                    ensure_file(self.blame, operation)
                with process.connecting:
                    self._connection = self._connect(operation)
            yield self._connection

    def check_open(self, operation: str) -> None:
        """Refuses to do anything after :meth:`close`."""
        if self._closed:
            raise ClosedError(
                f"{operation} was asked of a closed store ({self.blame.path}); open it again",
                backend=self.blame.backend,
                operation=operation,
            )

    def notify(self) -> None:
        """Makes every table look anew: this connection changed what they rely on."""
        self._serial += 1

    def version(self, connection: sqlite3.Connection) -> tuple[int, int]:
        """A value that differs after another connection has committed."""
        (number,) = connection.execute("PRAGMA data_version").fetchone()
        return self._serial, number

    def close(self) -> None:
        """Closes the connection. May be called twice."""
        self._notice_fork()
        with self._lock:
            self._closed = True
            self._disconnect()

    def holds(self, identity: tuple[int, int]) -> bool:
        """Whether there is a connection to the file of this device and inode."""
        return self._connection is not None and self._identity == identity

    def pause(self, seconds: float) -> bool:
        """Closes the connection and keeps other threads out; ``False`` if it stays busy."""
        self._notice_fork()
        if not self._lock.acquire(timeout=seconds):
            return False
        if self._connection is not None and not self._connection.in_transaction:
            self._disconnect()
        return True

    def resume(self) -> None:
        """Lets other threads in again; the next of them connects anew."""
        self._lock.release()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self, operation: str) -> sqlite3.Connection:
        if not process.is_held(self._identify()):
            check_file(self.blame, operation)
        connection = sqlite3.connect(
            self.blame.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA synchronous = FULL")
            # The log of a bulk load is as large as the load; the space is given back after it.
            connection.execute("PRAGMA journal_size_limit = 4194304")
        except BaseException:
            connection.close()
            raise
        self._serial += 1
        self._identity = self._identify()
        weakref.finalize(self, _close_own, connection, os.getpid())
        return connection

    def _identify(self) -> tuple[int, int]:
        try:
            found = self.blame.path.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_dev, found.st_ino

    def _notice_fork(self) -> None:
        """SQLite forbids carrying a connection across ``fork``: the child makes its own."""
        if self._pid == os.getpid():
            return
        if self._connection is not None:
            # Closing it here could release what the parent still relies on.
            _abandoned.append(self._connection)
        self._connection = None
        if not self._lock.acquire(blocking=False):
            # A thread of the parent held it, and does not exist here.
            self._lock = threading.RLock()
            self.era += 1
        else:
            self._lock.release()
        self._pid = os.getpid()


@contextmanager
def transaction(connection: sqlite3.Connection, mode: str = "") -> Iterator[None]:
    """All or nothing; joins the transaction that is under way.

    Args:
        connection: where.
        mode: ``"IMMEDIATE"`` to write.
    """
    joins = connection.in_transaction
    if joins:
        yield
        return
    connection.execute(f"BEGIN {mode}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _close_own(connection: sqlite3.Connection, pid: int) -> None:
    if pid == os.getpid():
        connection.close()
