"""A lock for state that threads, signal handlers and forked children share.

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

__all__ = ["ForkSafeLock"]

T = TypeVar("T")

_made: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()


class ForkSafeLock:
    """A lock that is free in a forked child, whichever other thread of the parent held it.

    In a ``with`` statement it keeps other threads out, and no more: use :meth:`run` where signal
    handlers may raise, or call what they interrupt.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _made.add(self)

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

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

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

    def _renew(self) -> None:
        """Free it in a child, unless the thread that forked holds it itself."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()


def _after_fork() -> None:
    for lock in list(_made):
        lock._renew()  # noqa: SLF001  (of the same module)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
