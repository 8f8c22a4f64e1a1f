"""Locks of what a process forked from a busy one has copied, and goes on using."""

from __future__ import annotations

import os
import threading
import weakref

_made: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock:
    """A lock that is open in a forked child, whichever thread of its parent held it.

    That thread is not in the child, so nobody there would ever open it again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _made.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Opens it, in a child that has just been forked."""
        self._lock = threading.Lock()


def _after_fork() -> None:
    for lock in list(_made):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
