"""The files of a store: the database, known by its header, and the tally beside it.

Each is made whole or not at all. SQLite takes a log that is cut, damaged or gone for one that ends
there, so the *tally* says how many commits were acknowledged. It is written after a commit is safe
in the log, and before the write is acknowledged; a store that has come less far than its tally says
has lost acknowledged writes.

The tally is not synced: after a loss of power it may say less than is true, which asks for less.
Two slots are written in turns, so that one that is torn leaves the other.
"""

from __future__ import annotations

import contextlib
import glob
import os
import sqlite3
import stat
import struct
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

from vecbridge.local._catalogue import ID_BYTES, StoreRow, found_store
from vecbridge.local._catalogue import SCHEMA as _CATALOGUE
from vecbridge.local._failures import ErrorContext

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
_TALLY_MAGIC = b"vbtally2"
_SLOT = struct.Struct("<8s16sQ")
_CHECKSUM = struct.Struct("<I")
_SLOT_BYTES = 512
_SLOTS = 2
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)


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
    left = [f"its log {context.log.name}"] if os.path.lexists(context.log) else []
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


class Claim(NamedTuple):
    """The content of a tally.

    Attributes:
        store: id of the store it belongs to.
        commits: how many were acknowledged, at least.
    """

    store: bytes
    commits: int


def tally_path(database: Path, tag: int) -> Path:
    """Return where the tally of a store is: under a name that no other store's tally has."""
    return database.with_name(f"{database.name}-tally-{tag:06x}")


def tallies(database: Path) -> list[Path]:
    """Return the tallies that lie beside a database, of whatever store."""
    return sorted(database.parent.glob(f"{glob.escape(database.name)}-tally-*"))


def new_tally(path: Path, store: bytes) -> None:
    """Write the tally of a new store, synced."""
    with path.open("wb") as file:
        file.write(b"".join(_slot(store, 0).ljust(_SLOT_BYTES, b"\0") for _ in range(_SLOTS)))
        file.flush()
        os.fsync(file.fileno())


def record(path: Path, store: bytes, commits: int) -> None:
    """Say that a commit was acknowledged. A tally that cannot be written only watches over less."""
    with contextlib.suppress(OSError):
        # Without waiting for the other end of what is a pipe.
        file = os.open(path, os.O_WRONLY | _AT_ONCE)
        try:
            os.lseek(file, commits % _SLOTS * _SLOT_BYTES, os.SEEK_SET)
            os.write(file, _slot(store, commits))
        finally:
            os.close(file)


def read_claim(
    path: Path, context: ErrorContext, operation: str, *, missing_ok: bool = False
) -> Claim | None:
    """Return what a tally says; ``None`` where it is empty, or missing with ``missing_ok``.

    Raises:
        CorruptStoreError: it is missing, damaged, or no file.
    """
    try:
        content = _content(path)
    except FileNotFoundError as error:
        if missing_ok:
            return None
        raise context.corrupt(
            operation,
            f"its companion {path.name} is missing, so writes that were acknowledged may be, too; "
            f"a copy of a store is a copy of its whole folder. Only if this file is all that is "
            f"left of it, make an empty file {path.name} to use what it holds",
        ) from error
    if content is None:
        raise context.corrupt(operation, f"its companion {path.name} is no regular file")
    if not content:
        return None
    found = [_claim(content[at * _SLOT_BYTES :]) for at in range(_SLOTS)]
    claims = [claim for claim in found if claim is not None]
    if not claims:
        raise context.corrupt(
            operation,
            f"its companion {path.name} is damaged, so that writes may be missing cannot be ruled "
            f"out; empty that file to use the store as it is",
        )
    return max(claims, key=lambda claim: claim.commits)


def _content(path: Path) -> bytes | None:
    with open(os.open(path, os.O_RDONLY | _AT_ONCE), "rb") as file:  # noqa: PTH123
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        return file.read(_SLOTS * _SLOT_BYTES)


def _slot(store: bytes, commits: int) -> bytes:
    content = _SLOT.pack(_TALLY_MAGIC, store, commits)
    return content + _CHECKSUM.pack(zlib.crc32(content))


def _claim(slot: bytes) -> Claim | None:
    content, rest = slot[: _SLOT.size], slot[_SLOT.size :]
    if len(rest) < _CHECKSUM.size or _CHECKSUM.unpack_from(rest) != (zlib.crc32(content),):
        return None
    magic, store, commits = _SLOT.unpack(content)
    return Claim(store, commits) if magic == _TALLY_MAGIC else None
