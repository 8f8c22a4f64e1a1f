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

What one process at a time may have open is guarded by a file: :class:`ProcessLock`.

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
from pathlib import Path
from types import FrameType
from typing import IO, TypeVar

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["ForkSafeLock", "ProcessLock", "reentrant_lock"]

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


class _Held:
    """A file that this process has locked, and how many locks of it there are."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.locks = 0


class ProcessLock:
    """A file that one process at a time holds, any number of times; a forked child is another.

    It ends with the process, however that ends. Nothing is written, and the file stays.

    Args:
        path: of the file, in a folder that is there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).resolve()
        self._process: int | None = None

    def acquire(self) -> bool:
        """Hold the file until :meth:`release`; ``False`` where another process does."""
        with _holding:
            held = _held.get(self._path)
            if held is None:
                file = self._path.open("ab")
                try:
                    _lock(file)
                except OSError:
                    file.close()
                    return False
                held = _held[self._path] = _Held(file)
            held.locks += 1
            self._process = os.getpid()
            return True

    def release(self) -> None:
        """Let other processes hold the file. May be called twice."""
        with _holding:
            # What a child inherited is its parent's.
            process, self._process = self._process, None
            if process != os.getpid():
                return
            held = _held[self._path]
            held.locks -= 1
            if not held.locks:
                _held.pop(self._path).file.close()


if sys.platform == "win32":

    def _lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:

    def _lock(file: IO[bytes]) -> None:
        # Of the process, and so not a forked child's; closing the file anywhere in it frees it.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_holding = reentrant_lock()
_held: dict[Path, _Held] = {}


def _after_fork() -> None:
    _held.clear()
    for lock in list(_made):
        # Unless the thread that forked holds it itself, and goes on in the child.
        if lock.acquire(blocking=False):
            lock.release()
        else:
            lock._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001  (as threading does)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
