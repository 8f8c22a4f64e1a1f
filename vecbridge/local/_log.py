"""The log of an index: rows of the tables ``indexes`` and ``segments``, read and appended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from vecbridge.local._change import Change, Encoded, decode, encode
from vecbridge.local._failures import Blame

_INSERT = """
INSERT INTO segments
    (index_id, seq, part, level, gone, kept, checksum, deleted, ids, fields, vectors)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SELECT = """
SELECT seq, gone, kept, checksum, deleted, ids, fields, vectors
FROM segments WHERE index_id = ? AND seq > ? ORDER BY seq, part
"""

MERGEABLE_BYTES = 1 << 20
SETTLED = 9
"""Level of a segment that is large enough to stay as it is."""


class Head(NamedTuple):
    """How far a log has come.

    Attributes:
        epoch: changes when the log is rewritten, so that what was read of it is void.
        seq: number of the latest write.
        logged: records and deletions that the log holds, dead ones too.
    """

    epoch: int
    seq: int
    logged: int


def read_head(connection: sqlite3.Connection, index_id: int) -> Head | None:
    """How far the log has come; ``None`` if the index was dropped."""
    row = connection.execute(
        "SELECT epoch, seq, logged FROM indexes WHERE id = ?", (index_id,)
    ).fetchone()
    return None if row is None else Head(*row)


def write_head(connection: sqlite3.Connection, index_id: int, head: Head) -> None:
    """Says how far the log has come."""
    connection.execute(
        "UPDATE indexes SET epoch = ?, seq = ?, logged = ? WHERE id = ?", (*head, index_id)
    )


def append(
    connection: sqlite3.Connection, index_id: int, seq: int, change: Change, level: int
) -> None:
    """Writes a change as one numbered write, in as many parts as its size needs."""
    for part, piece in enumerate(change.parts()):
        row = encode(piece)
        connection.execute(
            _INSERT,
            (
                index_id,
                seq,
                part,
                level,
                row.gone,
                row.kept,
                row.checksum,
                row.deleted,
                row.ids,
                row.fields,
                row.vectors,
            ),
        )


def kept_after(connection: sqlite3.Connection, index_id: int, seq: int) -> int:
    """The number of records, dead ones too, in the writes after ``seq``."""
    (kept,) = connection.execute(
        "SELECT coalesce(sum(kept), 0) FROM segments WHERE index_id = ? AND seq > ?",
        (index_id, seq),
    ).fetchone()
    return int(kept)


def read_after(
    connection: sqlite3.Connection, blame: Blame, operation: str, index_id: int, seq: int, d: int
) -> Iterator[tuple[int, Change]]:
    """The writes after ``seq``, in order, with their numbers.

    Raises:
        CorruptStoreError: one is not as it was written.
    """
    for number, *row in connection.execute(_SELECT, (index_id, seq)):
        yield number, _decoded(Encoded(*row), blame, operation, number, d)


def _decoded(row: Encoded, blame: Blame, operation: str, number: int, d: int) -> Change:
    try:
        return decode(row, d)
    except ValueError as error:
        raise blame.corrupt(operation, f"in write {number}: {error}") from error
