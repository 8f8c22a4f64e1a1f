"""Locks for state that threads, signal handlers and forked children share.

Three things go wrong with plain locks. A child forked while another thread holds one waits for
ever, since that thread is not in the child. An exception out of a signal handler may arrive
between any two instructions, also between the acquiring of a lock and the ``try`` that would
release it. And a handler may call what its own thread is in the middle of.

    >>> class Counter:
    ...     def __init__(self) -> None:
    ...         self._lock = ForkSafeLock()
    ...         self.count = 0
    ...
    ...     def increase(self) -> None:
    ...         self._lock.run(self._increase, nested=self._refuse)
    ...
    ...     def _increase(self) -> None:
    ...         self.count += 1
    ...
    ...     def _refuse(self) -> None:
    ...         raise RuntimeError("a signal handler called what it interrupts")
    >>> counter = Counter()
    >>> counter.increase()
    >>> counter.count
    1

Where work may be done inside of itself, as the filling of a cache may, a ``with`` statement is
enough:

    >>> lock = reentrant_lock()
    >>> with lock:
    ...     pass

A lock alone does not say whether what it guards is whole: the thread that held it may have been
interrupted, or left behind in the parent. So note in the state itself that a change has begun, and
let the next holder restore the state, or forget it.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

__all__ = ["ForkSafeLock", "reentrant_lock"]

T = TypeVar("T")

_made: weakref.WeakSet[threading.RLock] = weakref.WeakSet()


def reentrant_lock() -> threading.RLock:
    """Return a lock for ``with`` statements that is free in a forked child.

    A thread that holds it may take it again. Python's own ``with`` takes and frees it, without a
    step between which an exception out of a signal handler could come.
    """
    lock = threading.RLock()
    _made.add(lock)
    return lock


class ForkSafeLock:
    """A lock for state that signal handlers may reach, too; free in a forked child."""

    def __init__(self) -> None:
        self._lock = reentrant_lock()

    def run(self, work: Callable[[], T], *, nested: Callable[[], T]) -> T:
        """Do some work while other threads are kept out.

        Args:
            work: what to do.
            nested: what to do instead where this thread is in the middle of such work already: a
                signal handler, or a finaliser, interrupts it.
        """
        if self._is_busy_below(sys._getframe().f_back):  # noqa: SLF001  (the stack has no other door)
            return nested()
        # The statement runs no Python code between the acquiring and its own protection.
        with self._lock:
            return work()

    def is_busy(self) -> bool:
        """Return whether this thread is in the middle of some work under the lock."""
        return self._is_busy_below(sys._getframe().f_back)  # noqa: SLF001

    def acquire(self, seconds: float) -> bool:
        """Keep other threads out until :meth:`release`; ``False`` if the lock stays busy."""
        return self._lock.acquire(timeout=seconds)

    def release(self) -> None:
        """Let other threads in again."""
        self._lock.release()

    def _is_busy_below(self, frame: FrameType | None) -> bool:
        # `threading.Condition` relies on this method, too.
        while self._lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001
            if self._is_running(frame):
                return True
            # A debugger or tracer broke the work off on the very line that releases the lock.
            self._lock.release()
        return False

    def _is_running(self, frame: FrameType | None) -> bool:
        code = ForkSafeLock.run.__code__
        while frame is not None:
            if frame.f_code is code and frame.f_locals["self"] is self:
                return True
            frame = frame.f_back
        return False


def _after_fork() -> None:
    for lock in list(_made):
        # Unless the thread that forked holds it itself, and goes on in the child.
        if lock.acquire(blocking=False):
            lock.release()
        else:
            lock._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001  (as threading does)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
