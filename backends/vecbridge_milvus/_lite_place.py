"""Where the process that has a Milvus Lite directory open serves it to the others.

The directory holds one small file: its lock says who serves, its content names the socket. Every
path to the directory leads to it, whatever the environment of a process is. The socket lies in a
directory that only its user can enter.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

if sys.platform != "win32":
    import fcntl

FILE = "vecbridge.json"
SUPPORTED = sys.platform != "win32"
"""Whether this platform has what sharing is made of."""

_SOCKET = "lite.sock"
_PREFIX = "vecbridge-lite-"
_SHORT_BASE = "/tmp"  # noqa: S108 - only for a private directory inside
_MAX_BASE_BYTES = 69
"""Of a temporary directory's path: that of a socket may have 103 on macOS, 107 on Linux."""

_MAX_FILE_BYTES = 4096
_BRIEF_S = 1.0


@dataclass(frozen=True)
class Place:
    """What the file says of the process that serves, or served last."""

    socket: Path
    pid: int
    host: str

    def distrust(self) -> str | None:
        """Why this socket is not to be spoken to; ``None`` where it may be."""
        return _not_private(self.socket.parent) or _not_ours(self.socket)


def take(directory: Path) -> int | None:
    """Takes the lock of a directory, unless another process has it.

    Returns:
        A descriptor that holds it for as long as it is open.
    """
    file = directory / FILE
    while True:
        held = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if not _locked(held):
            os.close(held)
            return None
        if _is_still(file, held):
            return held
        # The file was replaced between opening and locking it.
        os.close(held)


def find(directory: Path) -> Place | None:
    """The place that a directory's file names, unless it names none or was copied with it."""
    try:
        with (directory / FILE).open("rb") as file:
            found = json.loads(file.read(_MAX_FILE_BYTES))
            if found["file"] != _identity(os.fstat(file.fileno())):
                return None
        place = Place(Path(found["socket"]), int(found["pid"]), str(found["host"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    named = place.socket.name == _SOCKET and place.socket.parent.name.startswith(_PREFIX)
    return place if named and place.socket.is_absolute() else None


def prepare(directory: Path) -> Path:
    """A socket's path to serve on, with the lock held: the last one where that is possible.

    Clients that wait for a successor then find it where they are.
    """
    last = find(directory)
    if last is not None and _can_be_used_again(last):
        last.socket.unlink(missing_ok=True)
        return last.socket
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) > _MAX_BASE_BYTES:
        base = _SHORT_BASE
    # Of an unguessable name, and private from the start.
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base)) / _SOCKET


def announce(held: int, path: Path, *, ended: bool = False) -> None:
    """Writes a socket into the file that is locked, or that serving on it has ended well."""
    content = json.dumps(
        {
            "ended": ended,
            "socket": str(path),
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "file": _identity(os.fstat(held)),
        }
    )
    os.ftruncate(held, 0)
    os.pwrite(held, content.encode(), 0)


def answers(path: Path) -> bool:
    """Whether somebody listens on a socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_BRIEF_S)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def broken_off(held: int) -> float | None:
    """When the process that served last had begun, if it did not end well."""
    content = os.pread(held, _MAX_FILE_BYTES, 0)
    try:
        well = not content or json.loads(content)["ended"] is True
    except (ValueError, KeyError, TypeError):
        well = False
    return None if well else os.fstat(held).st_mtime


def clear(path: Path) -> None:
    """Removes a socket and its directory, where nobody uses them."""
    path.unlink(missing_ok=True)
    try:
        path.parent.rmdir()
    except OSError:
        # Gone already, or not only ours: it is left.
        return


def _can_be_used_again(place: Place) -> bool:
    if not place.socket.parent.exists():
        try:
            place.socket.parent.mkdir(mode=0o700)
        except OSError:
            return False
    # Whoever answers is not ours, as the lock is: the socket of another directory, say.
    return _not_private(place.socket.parent) is None and not answers(place.socket)


def _not_private(directory: Path) -> str | None:
    try:
        found = directory.lstat()
    except OSError as error:
        return f"{directory} cannot be looked at: {error.strerror}"
    if not stat.S_ISDIR(found.st_mode):
        return f"{directory} is no directory"
    if found.st_uid != os.geteuid():
        return f"{directory} belongs to another user (uid {found.st_uid})"
    if found.st_mode & 0o077:
        return f"others may enter {directory} (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


def _not_ours(path: Path) -> str | None:
    try:
        found = path.lstat()
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    if not stat.S_ISSOCK(found.st_mode):
        return f"{path} is no socket"
    if found.st_uid != os.geteuid():
        return f"{path} belongs to another user (uid {found.st_uid})"
    return None


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(file: Path, held: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(held))
    except FileNotFoundError:
        return False


def _identity(found: os.stat_result) -> list[int]:
    return [found.st_dev, found.st_ino]
