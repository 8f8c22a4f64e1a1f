"""Keeping SQLite's locks across forks, and while files are looked at.

POSIX gives the locks on a file to processes, not to connections. Closing any descriptor of the file
drops all that the process holds, and a child of ``fork`` has none of those that the connections it
inherits believe to hold. Either way another process takes itself for the last one that has the
file open, and removes the log to which this one goes on committing: acknowledged writes are lost.

So the file is never read beside a connection to it, and no connection is open during a fork. That
holds for connections that no call uses any more, too: an exception out of a signal handler may
arrive before a new connection has an owner, and its traceback keeps it open.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from pathlib import Path
from typing import Any, Protocol

# A fork that waited for good could wait for a thread that waits for the child.
_IDLE_SECONDS = 5.0
_CURSORS_AT_MOST = 64


class Holder(Protocol):
    """An object that holds a connection."""

    def owns(self, connection: Connection) -> bool:
        """Return whether it uses a connection."""
        ...

    def pause(self, seconds: float) -> bool:
        """Close the connection and keep others out; ``False`` if it stays busy for so long."""
        ...

    def resume(self) -> None:
        """Let others in again."""


class Connection(sqlite3.Connection):
    """A connection that :func:`is_held` knows of from before it opens its file until it closes.

    Args:
        path: the file.
        mode: of SQLite's URI, as ``"rw"``.
        timeout: how many seconds to wait for other processes.

    Attributes:
        identity: device and inode of the file.
        pid: the process that made it.
        abandoned: whether it must stay open until the process ends.
    """

    def __init__(self, path: Path, *, mode: str, timeout: float) -> None:
        self.identity = file_identity(path)
        self.abandoned = False
        self.pid = os.getpid()
        # No WeakSet: Python ignores an exception out of a signal handler in its callbacks.
        self._cursors: list[weakref.ref[sqlite3.Cursor]] = []
        _connections.append(weakref.ref(self))
        super().__init__(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=timeout,
            isolation_level=None,
            check_same_thread=False,
        )

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        """Execute a statement by a cursor that :meth:`close` knows of."""
        cursor = self.cursor()
        if len(self._cursors) > _CURSORS_AT_MOST:
            self._cursors = [known for known in self._cursors if known() is not None]
        self._cursors.append(weakref.ref(cursor))
        return cursor.execute(*arguments)

    def close(self) -> None:
        """Close the connection and its file.

        SQLite keeps the file open for a statement that has not come to its end, and a traceback
        may keep the cursor of one. No fork may come while the file is being closed.
        """
        with connecting:
            for known in self._cursors:
                cursor = known()
                if cursor is not None:
                    cursor.close()
            super().close()

    def is_open(self) -> bool:
        """Return whether it may still be used."""
        try:
            _ = self.total_changes
        except sqlite3.ProgrammingError:
            return False
        return True


connecting = threading.RLock()
"""Held from looking at a file until the connection to it is known to :func:`is_held`."""

_connections: list[weakref.ref[Connection]] = []
_holders: weakref.WeakSet[Holder] = weakref.WeakSet()
_forking = threading.RLock()
_paused: list[Holder] = []


def file_identity(path: Path) -> tuple[int, int]:
    """Return the device and inode of a file; zeros where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


def register(holder: Holder) -> None:
    """Make a holder known."""
    with connecting:
        _holders.add(holder)


def is_held(identity: tuple[int, int]) -> bool:
    """Return whether this process has the file open. Call with ``connecting`` held."""
    return any(connection.identity == identity for connection in _open_connections())


def is_inherited(identity: tuple[int, int]) -> bool:
    """Return whether a connection to the file came from the parent of this process, open."""
    return any(each.identity == identity for each in _open_connections() if each.pid != os.getpid())


def _open_connections() -> list[Connection]:
    found = []
    for known in list(_connections):
        connection = known()
        if connection is None:
            with contextlib.suppress(ValueError):
                _connections.remove(known)
        elif connection.is_open():
            found.append(connection)
    return found


def _before_fork() -> None:
    # Python goes on with the fork when an exception out of a signal handler ends this early.
    _forking.acquire()
    interrupts = connecting._is_owned()  # type: ignore[attr-defined]  # noqa: SLF001
    deadline = time.monotonic() + _IDLE_SECONDS
    asked: weakref.WeakSet[Holder] = weakref.WeakSet()
    connecting.acquire()
    while new := [holder for holder in _holders if holder not in asked]:
        # Not inside of ``connecting``: a thread that is connecting holds its database. Meanwhile
        # other threads may make stores, and connect.
        connecting.release()
        for holder in new:
            asked.add(holder)
            if holder.pause(max(0.0, deadline - time.monotonic())):
                _paused.append(holder)
        connecting.acquire()
    if not interrupts:
        _close_left_over()


def _close_left_over() -> None:
    """Close the connections that were interrupted before they had an owner."""
    for connection in _open_connections():
        owned = any(holder.owns(connection) for holder in _holders)
        if not owned and not connection.abandoned and connection.pid == os.getpid():
            connection.close()


def _after_fork() -> None:
    try:
        _release(connecting)
    finally:
        try:
            while _paused:
                _paused.pop().resume()
        finally:
            _release(_forking)


def _release(lock: threading.RLock) -> None:
    with contextlib.suppress(RuntimeError):
        # Which was not acquired, where an exception came first.
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
