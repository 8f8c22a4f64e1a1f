"""A Milvus Lite directory by what it is, whatever path leads to it later.

The engine names its files by path, all its life. Where the directory is moved meanwhile and another
one takes its place, such paths lead into the other one: rows of one store end in the other, or in
neither. So the engine is given a path that leads to the open directory wherever it is moved, and
each store looks whether its own path still leads there before it believes an answer.
"""

from __future__ import annotations

import os
from pathlib import Path

from vecbridge_milvus import _lite_place as places

_OPEN_FILES = Path("/proc/self/fd")
Identity = tuple[int, int]


class Anchor:
    """A directory, held open so that no other one is mistaken for it.

    Args:
        path: what leads to it now.
        follows: whether to look for a path that leads to it after a move; not every system has one.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, *, follows: bool = True) -> None:
        self.path = path
        # Held, since a number of a directory that is removed goes to the next one that is made.
        self._held: int | None = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._directory = identity(os.fstat(self._held))
        self._lock: Identity | None = None
        place = _OPEN_FILES / str(self._held)
        self.follows = follows and _leads_to(place, self._directory)
        self.place = place if self.follows else path
        """A path that leads to the directory, after a move too where :attr:`follows` is true."""

    def note_lock(self) -> None:
        """Remembers the file whose lock says who serves the directory."""
        self._lock = identity((self.place / places.FILE).lstat())

    def lost(self) -> str | None:
        """What has become of the path; ``None`` where it leads to this directory still."""
        try:
            if identity(self.path.stat()) != self._directory:
                return "another directory has taken its place"
            if self._lock is None or identity((self.path / places.FILE).lstat()) == self._lock:
                return None
        except (FileNotFoundError, NotADirectoryError):
            there = self.path.is_dir()
            return f"{places.FILE} in it was removed" if there else "it was moved or removed"
        except OSError as error:
            return f"it cannot be looked at any more: {error.strerror}"
        return f"{places.FILE} in it was replaced"

    def plain(self, text: str) -> str:
        """A text with the directory's name as its user knows it."""
        return text.replace(str(self.place), str(self.path)) if self.follows else text

    def close(self) -> None:
        """Lets go of the directory. May be called twice."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)


def identity(found: os.stat_result) -> Identity:
    """What tells one file of a machine from every other one that is there."""
    return found.st_dev, found.st_ino


def _leads_to(place: Path, directory: Identity) -> bool:
    try:
        return identity(place.stat()) == directory
    except OSError:
        return False
