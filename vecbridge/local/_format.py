"""The file: how it is told from others, and how it comes into being whole."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from pathlib import Path

from vecbridge.local._failures import Blame

FILE_NAME = "records.vecbridge"
APPLICATION_ID = 0x76656362  # "vecb"
FORMAT_VERSION = 1
BUSY_SECONDS = 30.0

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_SCHEMA = f"""
PRAGMA page_size = 16384;
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
CREATE TABLE indexes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    dimension INTEGER NOT NULL,
    metric TEXT NOT NULL,
    fields TEXT NOT NULL,
    consistency TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    logged INTEGER NOT NULL
);
CREATE TABLE segments (
    index_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    part INTEGER NOT NULL,
    level INTEGER NOT NULL,
    gone INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    deleted BLOB NOT NULL,
    ids BLOB NOT NULL,
    fields BLOB NOT NULL,
    vectors BLOB NOT NULL,
    PRIMARY KEY (index_id, seq, part)
);
"""


def has_file(blame: Blame, operation: str) -> bool:
    """Whether there is a database.

    Raises:
        CorruptStoreError: there is none, but its write-ahead log is there. SQLite would take that
            for the log of the next file of this name.
    """
    log = blame.path.with_name(blame.path.name + "-wal")
    # In this order: whoever makes a store at this moment makes the file before the log.
    orphaned = _is_there(log)
    if _is_there(blame.path):
        return True
    if orphaned:
        raise blame.corrupt(operation, f"it is missing, but its log {log.name} is there")
    return False


def _is_there(path: Path) -> bool:
    """Like ``Path.exists``, which on newer Pythons takes a locked folder for an empty one."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def ensure_file(blame: Blame, operation: str) -> None:
    """Makes the database if there is none.

    It is built under another name and linked into place, so that nobody ever sees it half made: an
    empty file under the real name is damage, not a beginning.
    """
    if has_file(blame, operation):
        return
    path = blame.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=path.parent) as folder:
        made = Path(folder) / FILE_NAME
        connection = sqlite3.connect(made)
        try:
            connection.executescript(_SCHEMA)
        finally:
            connection.close()
        with contextlib.suppress(FileExistsError):
            _publish(made, path)


def _publish(made: Path, path: Path) -> None:
    try:
        os.link(made, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links; two makers at the same instant are its only danger.
        made.rename(path)
    # The name must outlive a loss of power, too; not every system can sync a directory.
    with contextlib.suppress(OSError):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def check_file(blame: Blame, operation: str) -> None:
    """Reads the header and refuses what is not ours, before SQLite touches anything.

    Raises:
        CorruptStoreError: empty, torn, foreign, or of a newer format.
    """
    with blame.path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        raise blame.corrupt(
            operation, f"it has {len(header)} bytes, less than a header; it was truncated"
        )
    if header[: len(_MAGIC)] != _MAGIC:
        raise blame.corrupt(operation, "it is not a SQLite database")
    application = int.from_bytes(header[68:72], "big")
    if application != APPLICATION_ID:
        raise blame.corrupt(
            operation,
            f"it is a database of another program (application id {application:#x}, "
            f"vecbridge's is {APPLICATION_ID:#x})",
        )
    version = int.from_bytes(header[60:64], "big")
    if version != FORMAT_VERSION:
        raise blame.corrupt(
            operation,
            f"it has format version {version}, this vecbridge reads version {FORMAT_VERSION}; "
            f"a newer vecbridge may have made it",
        )
