"""Milvus Lite: one engine per directory, which all stores on it share, of all processes."""

from __future__ import annotations

import threading
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from vecbridge import MissingDependencyError, VecbridgeError
from vecbridge.locks import reentrant_lock
from vecbridge_milvus.lite._rendezvous import SUPPORTED, failed

if TYPE_CHECKING:
    from vecbridge_milvus.lite._membership import DirectoryMember

_guard = reentrant_lock()
_holders: Counter[Path] = Counter()
_writing: dict[Path, threading.RLock] = {}

Lease: TypeAlias = "DirectoryMember | _OneProcess"
"""A store's share in a directory, while it is open on it."""


def join(path: Path, seconds: float) -> Lease:
    """Add a store to a directory, which is opened here, or served by another process.

    Args:
        path: the directory, made where it is not there yet.
        seconds: how long to wait for a process that has it and does not answer.

    Raises:
        MissingDependencyError: Milvus Lite is not installed, or is too old.
        ConnectionFailedError: it cannot be opened, and no process serves it.
        CorruptStoreError: a file that says what the directory holds is damaged.
    """
    _check_installed()
    _check_place(path)
    if not SUPPORTED:
        return _OneProcess(path)
    # Not before it is needed: it loads the engine.
    from vecbridge_milvus.lite._membership import join as join_directory

    return join_directory(path, seconds)


def is_there(path: Path) -> bool:
    """Return whether there is a directory to join; :func:`join` would make one.

    Raises:
        MissingDependencyError: Milvus Lite is not installed, or is too old.
        ConnectionFailedError: no directory can be there.
    """
    _check_installed()
    _check_place(path)
    return path.exists()


def _check_installed() -> None:
    try:
        import milvus_lite  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "a uri that ends in .db runs Milvus Lite, which is not installed: "
            "pip install 'vecbridge[milvus]'"
        ) from error
    installed = version("milvus-lite")
    if installed.startswith(("0.", "1.", "2.", "3.0")):
        raise MissingDependencyError(
            f"milvus-lite {installed} is installed, and vecbridge needs 3.1 or newer, which keeps "
            f"the properties of collections: pip install --upgrade 'milvus-lite>=3.1'. Before 3, "
            f"it kept a file; what that holds is exported with the old one first (milvus-lite dump)"
        )


def writing(path: Path) -> threading.RLock:
    """Return the lock that this process's writes take turns on: the engine wants one at a time."""
    with _guard:
        if path not in _writing:
            _writing[path] = reentrant_lock()
        return _writing[path]


class _OneProcess:
    """A directory that admits one process, where there is no socket to serve it on.

    pymilvus starts the engine by itself when it is given the path.
    """

    shared = False

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._path = path
        from vecbridge_milvus.lite._server import check_readable

        with _guard:
            if not _holders[path]:
                check_readable(path)
            _holders[path] += 1

    def verify(self) -> None:
        """Raise nothing: what can be wrong, connecting tells."""

    def silent(self, reason: str) -> VecbridgeError:
        """Return the error of the engine, which is of one process alone."""
        return failed(
            f"{self._path}: {reason}. Here Milvus Lite admits one process at a time: "
            f"close the store in the other one, or run a Milvus server and give its address"
        )

    def leave(self) -> None:
        """Count one store less; with the last one the engine ends."""
        with _guard:
            _holders[self._path] -= 1
            if _holders[self._path] > 0:
                return
            del _holders[self._path]
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(str(self._path))

    def forget(self) -> None:
        """Do the same in a finalizer: there is no thread to leave it to."""
        self.leave()


def _check_place(path: Path) -> None:
    try:
        housed, there = path.parent.is_dir(), path.resolve().exists()
    except (OSError, RuntimeError, ValueError) as error:
        # A name that is too long, links in a circle, a zero byte.
        reason = getattr(error, "strerror", None) or error
        raise failed(f"{path} cannot be looked at: {reason}. Correct the path") from error
    if not housed:
        raise failed(f"there is no directory {path.parent}: make it, or correct the path")
    if there and not path.is_dir():
        raise failed(
            f"{path} is a file, and Milvus Lite 3 keeps a directory. A file of Milvus Lite 2 must "
            f"be exported with its own version and imported again; anything else is in the way"
        )
