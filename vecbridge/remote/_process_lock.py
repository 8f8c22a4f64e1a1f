"""A lock on what one process at a time may have open."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from vecbridge.locks import reentrant_lock

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_held.clear)
