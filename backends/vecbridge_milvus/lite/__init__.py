"""Milvus Lite: one engine per directory, which all stores on it share, of all processes."""

from __future__ import annotations

import json
import threading
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from vecbridge import (
    CorruptStoreError,
    MissingDependencyError,
    VecbridgeError,
)
from vecbridge.locks import reentrant_lock
from vecbridge_milvus._errors import BACKEND
from vecbridge_milvus.lite._rendezvous import SUPPORTED, failed

_guard = reentrant_lock()
_holders: Counter[Path] = Counter()
_writing: dict[Path, threading.RLock] = {}


class Lease(Protocol):
    """What a store has while it is on a directory."""

    @property
    def address(self) -> str:
        """The ``uri`` to connect to; another one after a while, perhaps."""
        ...

    @property
    def shared(self) -> bool:
        """Return whether other processes can be on the directory at the same time."""
        ...

    def verify(self) -> None:
        """Raise what keeps the directory from being served, or that it is no longer there."""
        ...

    def silent(self, reason: str) -> VecbridgeError:
        """Return the error that says why nothing answers at the address.

        Args:
            reason: what pymilvus or the engine said.
        """
        ...

    def leave(self) -> None:
        """Take a store away; with the last one of a process, the directory is let go of."""
        ...

    def forget(self) -> None:
        """Do the same for a finalizer: at any moment, and without waiting."""
        ...


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
    try:
        import milvus_lite  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "a uri that ends in .db runs Milvus Lite, which is not installed: "
            "pip install 'vecbridge[milvus]'"
        ) from error
    installed = version("milvus-lite")
    if installed.startswith(("0.", "1.", "2.")):
        raise MissingDependencyError(
            f"milvus-lite {installed} is installed, and vecbridge needs 3 or newer, which keeps a "
            f"directory where that one kept a file: pip install --upgrade 'milvus-lite>=3'. What a "
            f"file of the old one holds is exported with it first (milvus-lite dump)"
        )
    _check_place(path)
    if not SUPPORTED:
        return _OneProcess(path)
    # Not before it is needed: it loads the engine.
    from vecbridge_milvus.lite._membership import join as join_directory

    return join_directory(path, check_readable, seconds)


def writing(path: Path) -> threading.RLock:
    """Return the lock that this process's writes take turns on: the engine wants one at a time."""
    with _guard:
        if path not in _writing:
            _writing[path] = reentrant_lock()
        return _writing[path]


def check_readable(path: Path) -> None:
    """Raise an error for damage that Milvus Lite would hide behind an older, or an empty, state.

    It replaces these files whole, so no crash leaves a torn one.
    """
    for name in ("manifest.json", "schema.json"):
        for described in path.glob(f"**/{name}"):
            _check_readable(described)


class _OneProcess:
    """A directory that admits one process, where there is no socket to serve it on.

    pymilvus starts the engine by itself when it is given the path.
    """

    shared = False

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._path = path
        with _guard:
            if not _holders[path] and path.is_dir():
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
        """Do the same: there is no thread to leave it to."""
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


def _check_readable(described: Path) -> None:
    try:
        json.loads(described.read_bytes())
    except FileNotFoundError:
        # A collection that another process is dropping.
        return
    except (ValueError, RecursionError) as error:
        raise CorruptStoreError(
            f"{described} is damaged: {error}. It was left as it is; restore it from a backup",
            backend=BACKEND,
            operation="connect",
        ) from error
