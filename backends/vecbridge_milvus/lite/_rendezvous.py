"""A Milvus Lite directory, and where the process that has it open serves it to the others.

The directory holds one small file: its lock says who serves, its content names the socket. Every
path to the directory leads to it, whatever the environment of a process is. The socket lies in a
directory that only its user can enter.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vecbridge import ConnectionFailedError
from vecbridge_milvus._errors import failure

if sys.platform != "win32":
    import fcntl

FILE = "vecbridge.json"
_OPEN_FILES = Path("/proc/self/fd")
Identity = tuple[int, int]
SUPPORTED = sys.platform != "win32"
"""Whether this platform has what sharing is made of."""

_SOCKET = "lite.sock"
_PREFIX = "vecbridge-lite-"
_SHORT_BASE = "/tmp"  # noqa: S108 - only for a private directory inside
_MAX_BASE_BYTES = 69
"""Of a temporary directory's path: that of a socket may have 103 on macOS, 107 on Linux."""

_MAX_FILE_BYTES = 4096
_BRIEF_S = 1.0
_PLAINLY = 0 if sys.platform == "win32" else os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ODD = (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError)
"""What reading a file raises that another program has written."""


class Anchor:
    """A directory by what it is, held open so that no other one is mistaken for it.

    The engine names its files by path, all its life. Where the directory is moved meanwhile and
    another one takes its place, such paths lead into the other one: rows of one store end in the
    other, or in neither. So the engine is given a path that leads to the open directory wherever it
    is moved, and each store looks whether its own path still leads there before it believes an
    answer.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Held, since a number of a directory that is removed goes to the next one that is made.
        self._held: int | None = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._directory = _identity(os.fstat(self._held))
        self._lock: Identity | None = None
        place = _OPEN_FILES / str(self._held)
        self.follows = _leads_to(place, self._directory)
        """Whether a path is known that leads to it after a move; not every system has one."""
        self.place = place if self.follows else path
        """A path that leads to the directory, after a move too where :attr:`follows` is true."""

    def note_lock(self) -> None:
        """Remember the file whose lock says who serves the directory."""
        self._lock = _identity((self.place / FILE).lstat())

    def lost(self) -> str | None:
        """Return what has become of the path; ``None`` where it still leads to this directory."""
        try:
            if _identity(self.path.stat()) != self._directory:
                return "another directory has taken its place"
            if self._lock is None or _identity((self.path / FILE).lstat()) == self._lock:
                return None
        except (FileNotFoundError, NotADirectoryError):
            there = self.path.is_dir()
            return f"{FILE} in it was removed" if there else "it was moved or removed"
        except OSError as error:
            return f"it cannot be looked at any more: {error.strerror}"
        return f"{FILE} in it was replaced"

    def plain(self, text: str) -> str:
        """Return a text with the directory's name as its user knows it."""
        return text.replace(str(self.place), str(self.path)) if self.follows else text

    def close(self) -> None:
        """Let go of the directory. May be called twice."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)


@dataclass(frozen=True)
class Rendezvous:
    """The process that serves, or served last, as the file names it."""

    socket: Path
    pid: int
    host: str

    def distrust(self) -> str | None:
        """Return why this socket is not to be spoken to; ``None`` where it may be."""
        return _not_ours(self.socket.parent, directory=True) or _not_ours(self.socket)


def failed(reason: str, *, retryable: bool = False) -> ConnectionFailedError:
    """Return the error of a directory that cannot be opened."""
    text = f"Milvus Lite cannot be opened: {reason}"
    return failure(ConnectionFailedError, "connect", text, passes=retryable)


def linked(path: Path) -> ConnectionFailedError:
    """Return the error of a copy whose files are those of another directory."""
    return failed(
        f"{path} shares its files with another directory, as a copy that was made of links does "
        f"(cp -l, rsync --link-dest), and that one is open. Close it there, or copy the files "
        f"themselves (cp -a)"
    )


def acquire(directory: Path) -> int | None:
    """Take the lock of a directory, unless another process has it.

    Returns:
        A descriptor that holds it for as long as it is open.

    Raises:
        OSError: something else is in the place of the file.
    """
    file = directory / FILE
    while True:
        held = _opened(file)
        if not lock(held):
            os.close(held)
            return None
        if _is_still(file, held):
            if os.fstat(held).st_nlink <= 1:
                return held
            # A copy that was made of links (cp -l): the lock must be of this directory alone.
            file.unlink(missing_ok=True)
        # The file was replaced between opening and locking it.
        os.close(held)


def is_linked(file: Path) -> bool:
    """Return whether a file has other names, as in a copy that was made of links."""
    try:
        return file.lstat().st_nlink > 1
    except OSError:
        return False


def find(directory: Path) -> Rendezvous | None:
    """Return what a directory's file names, unless it names nothing or was copied with it."""
    try:
        descriptor = os.open(directory / FILE, os.O_RDONLY | _PLAINLY)
        with os.fdopen(descriptor, "rb") as file:
            found = json.loads(file.read(_MAX_FILE_BYTES))
            if found["file"] != list(_identity(os.fstat(descriptor))):
                return None
        if found["directory"] != list(_identity(directory.stat())):
            return None
        place = Rendezvous(Path(found["socket"]), int(found["pid"]), str(found["host"]))
        # A path that no system call takes: a zero byte, half of a pair of surrogates.
        os.fsencode(place.socket)
        if "\0" in str(place.socket):
            return None
    except _ODD:
        return None
    named = place.socket.name == _SOCKET and place.socket.parent.name.startswith(_PREFIX)
    return place if named and place.socket.is_absolute() else None


def prepare(directory: Path) -> Path:
    """Return a socket's path to serve on, the last one if possible. The lock is held.

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


def publish(held: int, directory: Path, path: Path, *, ended: bool = False) -> None:
    """Write a socket into the locked file, or that serving on it has ended well."""
    content = json.dumps(
        {
            "ended": ended,
            "socket": str(path),
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "file": _identity(os.fstat(held)),
            "directory": _identity(directory.stat()),
        }
    )
    os.ftruncate(held, 0)
    os.pwrite(held, content.encode(), 0)


def answers(path: Path) -> bool:
    """Return whether a process listens on a socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_BRIEF_S)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def ended_cleanly(held: int) -> bool:
    """Return whether the process that served last had the time to say that it was done."""
    content = os.pread(held, _MAX_FILE_BYTES, 0)
    try:
        return not content or json.loads(content)["ended"] is True
    except _ODD:
        return False


def stopped(pid: int) -> bool:
    """Return whether a process here is held by a signal or a debugger; not known everywhere."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, ValueError):
        return False
    # After the name, which is in brackets and may hold anything.
    return line.rpartition(")")[2].split()[0] in {"T", "t"}


def clear(path: Path) -> None:
    """Remove a socket and its directory, unless something else is in it."""
    path.unlink(missing_ok=True)
    try:
        path.parent.rmdir()
    except OSError:
        # Gone already, or not only ours: it is left.
        return


def _can_be_used_again(place: Rendezvous) -> bool:
    if not place.socket.parent.exists():
        try:
            place.socket.parent.mkdir(mode=0o700)
        except OSError:
            return False
    # A process that answers is not ours, as the lock is: it serves another directory, say.
    private = _not_ours(place.socket.parent, directory=True) is None
    return private and not answers(place.socket)


def _not_ours(path: Path, *, directory: bool = False) -> str | None:
    """Return why a socket, or its directory, is not this user's alone; ``None`` where it is."""
    try:
        found = path.lstat()
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    if not (stat.S_ISDIR if directory else stat.S_ISSOCK)(found.st_mode):
        return f"{path} is no {'directory' if directory else 'socket'}"
    if found.st_uid != os.geteuid():
        return f"{path} belongs to another user (uid {found.st_uid})"
    if directory and found.st_mode & 0o077:
        return f"others may enter {path} (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


def _opened(file: Path) -> int:
    """Return the file, made where there is none."""
    try:
        held = os.open(file, os.O_RDWR | os.O_CREAT | _PLAINLY, 0o600)
    except OSError as error:
        what = {errno.ELOOP: "a link", errno.EISDIR: "a directory"}.get(error.errno or 0)
        if what is None:
            raise
        raise _misplaced(what) from error
    if not stat.S_ISREG(os.fstat(held).st_mode):
        os.close(held)
        raise _misplaced("no plain file")
    return held


def _misplaced(what: str) -> OSError:
    return OSError(errno.EEXIST, f"{FILE} in it is {what}, where vecbridge keeps a file: remove it")


def lock(descriptor: int) -> bool:
    """Take the lock of an open file, where it is free, for as long as the file is open."""
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


def _identity(found: os.stat_result) -> Identity:
    """Return what tells one file of a machine from every other one that is there."""
    return found.st_dev, found.st_ino


def _leads_to(place: Path, directory: Identity) -> bool:
    try:
        return _identity(place.stat()) == directory
    except OSError:
        return False
