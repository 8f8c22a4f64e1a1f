"""The small file beside a store that says how many commits were acknowledged.

SQLite takes a log that is cut, damaged or gone for one that ends there. The tally is written after
a commit is safe in the log, and before the write is acknowledged; a store that has come less far
than its tally says has lost acknowledged writes.

It is not synced: after a loss of power it may say less than is true, which asks for less. Two
slots are written in turns, so that one that is torn leaves the other.
"""

from __future__ import annotations

import contextlib
import glob
import os
import stat
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from vecbridge.local._failures import ErrorContext

_MAGIC = b"vbtally2"
_SLOT = struct.Struct("<8s16sQ")
_CHECKSUM = struct.Struct("<I")
_SLOT_BYTES = 512
_SLOTS = 2
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)


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
    """Return what a tally says; ``None`` where it is empty, which claims nothing.

    Args:
        path: the tally.
        context: which store, for errors.
        operation: what is being done, for errors.
        missing_ok: whether one that is not there claims nothing, either.

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
    content = _SLOT.pack(_MAGIC, store, commits)
    return content + _CHECKSUM.pack(zlib.crc32(content))


def _claim(slot: bytes) -> Claim | None:
    content, rest = slot[: _SLOT.size], slot[_SLOT.size :]
    if len(rest) < _CHECKSUM.size or _CHECKSUM.unpack_from(rest) != (zlib.crc32(content),):
        return None
    magic, store, commits = _SLOT.unpack(content)
    return Claim(store, commits) if magic == _MAGIC else None
