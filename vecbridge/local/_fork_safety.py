"""Keeping SQLite's locks across forks, and while files are looked at.

POSIX gives the locks on a file to processes, not to connections. Closing any descriptor of the file
drops all that the process holds, and a child of ``fork`` has none of those that the connections it
inherits believe to hold. Either way another process takes itself for the last one that has the
file open, and removes the log to which this one goes on committing: acknowledged writes are lost.

So the file is never read beside a connection to it, and no connection is open during a fork.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import Protocol

# A fork that waited for good could wait for a thread that waits for the child.
_IDLE_SECONDS = 5.0


class Holder(Protocol):
    """An object that holds a connection."""

    def holds(self, identity: tuple[int, int]) -> bool:
        """Tell whether it has a connection to the file of this device and inode."""
        ...

    def pause(self, seconds: float) -> bool:
        """Close the connection and keep others out; ``False`` if it stays busy for so long."""
        ...

    def resume(self) -> None:
        """Let others in again."""


connecting = threading.RLock()
"""Held from looking at a file until the connection to it is known to :func:`is_held`."""

_holders: weakref.WeakSet[Holder] = weakref.WeakSet()
_forking = threading.RLock()
_paused: list[Holder] = []


def register(holder: Holder) -> None:
    """Make a holder known."""
    with connecting:
        _holders.add(holder)


def is_held(identity: tuple[int, int]) -> bool:
    """Tell whether this process has the file open. Call with ``connecting`` held."""
    return any(holder.holds(identity) for holder in _holders)


def _before_fork() -> None:
    # Python goes on with the fork when an exception out of a signal handler ends this early.
    _forking.acquire()
    with connecting:
        holders = list(_holders)
    # Not inside of ``connecting``: a thread that is connecting holds its database.
    _paused.extend(holder for holder in holders if holder.pause(_IDLE_SECONDS))
    connecting.acquire()


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
