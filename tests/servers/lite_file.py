"""The file in a Milvus Lite directory whose lock says who serves, and which names the socket."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FILE = "vecbridge.json"


def named(directory: Path) -> dict[str, Any]:
    """What the file says."""
    found: dict[str, Any] = json.loads((directory / FILE).read_text())
    return found


def named_socket(directory: Path) -> Path:
    """The socket that the file names."""
    return Path(named(directory)["socket"])


@contextmanager
def locked(directory: Path) -> Iterator[int]:
    """Hold the lock, as a process does that serves."""
    with (directory / FILE).open("r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file.fileno()


def name_socket(held: int, directory: Path, path: Path) -> None:
    """Write a socket into the locked file, as a process does that serves on it."""
    own, folder = os.fstat(held), directory.stat()
    content = {
        "ended": False,
        "socket": str(path),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "file": [own.st_dev, own.st_ino],
        "directory": [folder.st_dev, folder.st_ino],
    }
    os.ftruncate(held, 0)
    os.pwrite(held, json.dumps(content).encode(), 0)
