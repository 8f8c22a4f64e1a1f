"""Milvus Lite: one engine a directory and process, shared by every store on that path."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path

from vecbridge import ConnectionFailedError, CorruptStoreError, MissingDependencyError
from vecbridge_milvus._errors import BACKEND

_guard = threading.Lock()
_holders: Counter[Path] = Counter()
_writing: dict[Path, threading.RLock] = {}


def check(path: Path) -> None:
    """Says what is wrong with a path before Milvus Lite does, which says little.

    Raises:
        MissingDependencyError: Milvus Lite is not installed.
        ConnectionFailedError: the path cannot be one of Milvus Lite's directories.
        CorruptStoreError: a file that says what the directory holds is damaged.
    """
    try:
        import milvus_lite  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "a uri that ends in .db runs Milvus Lite, which is not installed: "
            "pip install 'vecbridge[milvus]'"
        ) from error
    if not path.parent.is_dir():
        raise failed(f"there is no directory {path.parent}: make it, or correct the path")
    if path.is_file() and not _takes_files():
        raise failed(
            f"{path} is a file, and Milvus Lite 3 keeps a directory. A file of Milvus Lite 2 must "
            f"be exported with its own version and imported again; anything else is in the way"
        )
    if not _in_use(path):
        for name in ("manifest.json", "schema.json"):
            for described in path.glob(f"**/{name}"):
                _check_readable(described)


def failed(reason: str) -> ConnectionFailedError:
    """The error of a directory that cannot be opened."""
    return ConnectionFailedError(
        f"Milvus Lite cannot be opened: {reason}", backend=BACKEND, operation="connect"
    )


def hold(path: Path) -> None:
    """Counts one more store on a path."""
    with _guard:
        _holders[path] += 1


def let_go(path: Path) -> None:
    """Counts one store less; with the last one the engine ends and its directory is unlocked."""
    with _guard:
        _holders[path] -= 1
        if _holders[path] > 0:
            return
        del _holders[path]
        from milvus_lite.server_manager import server_manager_instance

        server_manager_instance.release_server(str(path))


def writing(path: Path) -> threading.RLock:
    """The lock that writes take turns on: the engine wants one writer at a time."""
    with _guard:
        return _writing.setdefault(path, threading.RLock())


def _in_use(path: Path) -> bool:
    """Whether this process has the directory open, and may be writing to it."""
    with _guard:
        return _holders[path] > 0


def _check_readable(described: Path) -> None:
    """Milvus Lite would fall back to an older manifest, and show an empty collection.

    It replaces these files whole, so no crash leaves a torn one.
    """
    try:
        json.loads(described.read_bytes())
    except FileNotFoundError:
        # A collection that another process is dropping.
        return
    except ValueError as error:
        raise CorruptStoreError(
            f"{described} is damaged: {error}. It was left as it is; restore it from a backup",
            backend=BACKEND,
            operation="connect",
        ) from error


def _takes_files() -> bool:
    from importlib.metadata import version

    return version("milvus-lite").startswith(("1.", "2."))
