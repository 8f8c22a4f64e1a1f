"""The file: recognised by its header, and made whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import tempfile
from pathlib import Path

from vecbridge.local._catalogue import ID_BYTES, StoreRow, found_store
from vecbridge.local._catalogue import SCHEMA as _CATALOGUE
from vecbridge.local._failures import ErrorContext
from vecbridge.local._tally import new_tally, read_claim, tallies, tally_path

FILE_NAME = "records.vecbridge"
APPLICATION_ID = 0x76656362  # "vecb"
FORMAT_VERSION = 2
PAGE_BYTES = 16384
BUSY_SECONDS = 30.0

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_SCHEMA = f"""{_CATALOGUE}
CREATE TABLE segments (
    index_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    part INTEGER NOT NULL,
    parts INTEGER NOT NULL,
    follows INTEGER NOT NULL,
    level INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    gone INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    deleted BLOB NOT NULL,
    ids BLOB NOT NULL,
    fields BLOB NOT NULL,
    vectors BLOB NOT NULL,
    PRIMARY KEY (index_id, seq, part)
);
"""
_PRAGMAS = f"""
PRAGMA page_size = {{page_bytes}};
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {{version}};
"""
# What of the header never changes, and what a bit that turns over there would do is not worth
# finding out: position, length, value.
_CONSTANT = (
    (18, 2, 0x0202),  # versions of the format: a write-ahead log
    (20, 1, 0),  # bytes that a page reserves
    (21, 3, 0x402020),  # payload fractions
    (44, 4, 4),  # format of the schema
    (56, 4, 1),  # text in UTF-8
    (64, 4, 1),  # incremental vacuum
    (72, 20, 0),  # reserved
)


def has_file(context: ErrorContext, operation: str) -> bool:
    """Tell whether there is a database.

    Raises:
        CorruptStoreError: there is none, but its write-ahead log is there, or a tally of writes
            that it acknowledged. SQLite would take that log for the log of the next file of this
            name, and an empty store would be taken for the one that is gone.
    """
    if _is_there(context, operation):
        return True
    path = context.path
    # In this order: a store that is made at this moment has its file before its log and its writes.
    log = path.with_name(path.name + "-wal")
    left = [f"its log {log.name}"] if os.path.lexists(log) else []
    for tally in tallies(path):
        # A maker that came second takes its own tally away again.
        claim = read_claim(tally, context, operation, missing_ok=True)
        if claim is not None and claim.commits:
            left.append(f"its companion {tally.name} of {claim.commits} acknowledged writes")
    if _is_there(context, operation):
        return True
    if left:
        raise context.corrupt(operation, f"it is missing, but {' and '.join(left)} is there")
    return False


def _is_there(context: ErrorContext, operation: str) -> bool:
    """Return whether the file is there; a locked folder is an error, not an answer."""
    try:
        found = context.path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(found.st_mode):
        raise context.corrupt(operation, "it is no regular file")
    return True


def ensure_file(context: ErrorContext, operation: str, page_bytes: int = PAGE_BYTES) -> None:
    """Make the database, and the tally beside it, if there is none.

    Both are built under other names and linked into place, the tally first, so that the database
    is never seen half made or without its tally: an empty file under the real name is damage, not a
    beginning.
    """
    if has_file(context, operation):
        return
    path = context.path
    path.parent.mkdir(parents=True, exist_ok=True)
    store = StoreRow(os.urandom(ID_BYTES), 0, 0)
    tally = tally_path(path, store.tag)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=path.parent) as folder:
        made, made_tally = Path(folder) / FILE_NAME, Path(folder) / tally.name
        new_tally(made_tally, store.id)
        version = int.from_bytes(_version_field(store.tag), "big", signed=True)
        connection = sqlite3.connect(made)
        try:
            connection.executescript(_PRAGMAS.format(page_bytes=page_bytes, version=version))
            connection.executescript(_SCHEMA)
            found_store(connection, store.id)
            connection.commit()
        finally:
            connection.close()
        _publish(made_tally, tally)
        try:
            _publish(made, path)
        except FileExistsError:
            # Another made the store at the same moment.
            tally.unlink(missing_ok=True)


def schema() -> set[str]:
    """Return the statements that made the tables, as SQLite keeps them."""
    statements = _SCHEMA.split(";")
    return {statement.strip() for statement in statements if statement.strip()}


def _version_field(tag: int) -> bytes:
    return tag.to_bytes(3, "big") + bytes([FORMAT_VERSION])


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


def check_file(context: ErrorContext, operation: str) -> int:
    """Read the header and refuse what is not ours, before SQLite touches anything.

    Returns:
        The tag of the store: the beginning of its id.

    Raises:
        CorruptStoreError: empty, torn, foreign, or of another format.
    """
    # Not by a file object: a traceback may keep one, and its end, whenever that comes, would let go
    # of all locks of this process. A number that an exception leaves behind is never closed.
    file = os.open(context.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        header = os.read(file, _HEADER_BYTES)
    finally:
        os.close(file)
    if len(header) < _HEADER_BYTES:
        raise context.corrupt(
            operation, f"it has {len(header)} bytes, less than a header; it was truncated"
        )
    if header[: len(_MAGIC)] != _MAGIC:
        raise context.corrupt(operation, "it is not a SQLite database")
    application = int.from_bytes(header[68:72], "big")
    if application != APPLICATION_ID:
        raise context.corrupt(
            operation,
            f"it is a database of another program (application id {application:#x}, "
            f"vecbridge's is {APPLICATION_ID:#x})",
        )
    version = header[63]
    if version != FORMAT_VERSION:
        who = "a newer" if version > FORMAT_VERSION else "an earlier"
        raise context.corrupt(
            operation,
            f"it has format version {version}, this vecbridge reads version {FORMAT_VERSION}; "
            f"{who} vecbridge may have made it",
        )
    for start, length, expected in _CONSTANT:
        found = int.from_bytes(header[start : start + length], "big")
        if found != expected:
            raise context.corrupt(
                operation, f"its header is damaged: byte {start} and after hold {found:#x}"
            )
    return int.from_bytes(header[60:63], "big")
