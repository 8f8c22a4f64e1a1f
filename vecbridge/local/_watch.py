"""Noticing that what lies under an open connection was exchanged.

SQLite goes on writing to a log that was removed, and over one that was copied in place. Neither
is seen by another process, nor by this one's next.
"""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import NamedTuple

_HEADER = struct.Struct(">4I8s")


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
    """The file and its log as they were when last looked at.

    Args:
        log: where SQLite keeps the log.
    """

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
        salts = _HEADER.unpack(header)[-1] if len(header) == _HEADER.size else b""
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
