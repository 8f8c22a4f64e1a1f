"""Milvus Lite: one engine a directory and process, shared by every store on that path."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from vecbridge import ConnectionFailedError, MissingDependencyError
from vecbridge_milvus._errors import BACKEND

_guard = threading.Lock()
_holders: Counter[Path] = Counter()
_writing: dict[Path, threading.RLock] = {}


def check(path: Path) -> None:
    """Says what is wrong with a path before Milvus Lite does, which says little.

    Raises:
        MissingDependencyError: Milvus Lite is not installed.
        ConnectionFailedError: the path cannot be one of Milvus Lite's directories.
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


def _takes_files() -> bool:
    from importlib.metadata import version

    return version("milvus-lite").startswith(("1.", "2."))
