"""The log of an index: rows of the table ``segments``, read and appended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from vecbridge._contract._records import IndexInfo
from vecbridge._errors import CorruptStoreError
from vecbridge.local._catalogue import Head, IndexRow, move_head, read_index
from vecbridge.local._change import Change, Encoded, Place, decode, encode, is_whole
from vecbridge.local._failures import Blame

_INSERT = """
INSERT INTO segments
    (index_id, seq, part, parts, follows, level,
     checksum, gone, kept, deleted, ids, fields, vectors)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SELECT = """
SELECT seq, part, parts, follows, level, checksum, gone, kept, deleted, ids, fields, vectors
FROM segments WHERE index_id = ? AND seq > ? ORDER BY seq, part
"""
_CHAIN = """
SELECT seq, part, parts, follows, level
FROM segments WHERE index_id = ? AND seq > ? ORDER BY seq, part
"""

MERGEABLE_BYTES = 1 << 20
SETTLED = 9
"""Level of a segment that is large enough to stay as it is."""


@dataclass(frozen=True)
class Log:
    """The log of one index.

    A write has a number, and says which write it follows; a part of it says how many there are.
    All that is under its checksum, together with the index's id: a segment that is left out,
    read twice or of another index breaks the chain.

    Attributes:
        blame: which file it is in.
        index_id: number of the index there.
        uid: the index's own id, which no other index of any store has.
        info: what the index is.
    """

    blame: Blame
    index_id: int
    uid: bytes
    info: IndexInfo

    def head(self, connection: sqlite3.Connection, operation: str) -> Head | None:
        """Return how far the log has come; ``None`` if the index was dropped."""
        row = self._row(connection, operation)
        return None if row is None else row.head

    def move(self, connection: sqlite3.Connection, operation: str, head: Head) -> None:
        """Say how far the log has come."""
        row = self._row(connection, operation)
        if row is not None:
            move_head(connection, self.blame, operation, row, head)

    def append(
        self,
        connection: sqlite3.Connection,
        seq: int,
        change: Change,
        level: int,
        *,
        follows: int,
    ) -> None:
        """Write a change as one numbered write, in as many parts as its size needs.

        Args:
            connection: where.
            seq: number of the write.
            change: what it does.
            level: how often it was merged.
            follows: number of the write before it, 0 where there is none.
        """
        pieces = list(change.parts())
        for part, piece in enumerate(pieces):
            place = Place(seq, part, len(pieces), follows, level)
            row = encode(piece)
            checksum = row.checksum(self.uid, place)
            connection.execute(_INSERT, (self.index_id, *place, checksum, *row))

    def read_after(
        self, connection: sqlite3.Connection, operation: str, seq: int
    ) -> Iterator[tuple[Place, Change]]:
        """Return the writes after ``seq``, in order, each with its place.

        Raises:
            CorruptStoreError: one is not as it was written, or not there.
        """
        chain = _Chain(seq)
        for row in connection.execute(_SELECT, (self.index_id, seq)):
            place, checksum, encoded = Place(*row[:5]), row[5], Encoded(*row[6:])
            try:
                if not is_whole(encoded, checksum, self.uid, place):
                    raise ValueError("a segment does not match its checksum, or its place")
                chain.add(place)
                change = decode(encoded, self.info.dimension)
            except ValueError as error:
                raise self._broken(operation, f"in write {place.seq!r}, {error}") from error
            yield place, change
        if not chain.complete:
            raise self._broken(operation, f"write {chain.position} is not there as a whole")

    def check_chain(self, connection: sqlite3.Connection, operation: str) -> None:
        """Refuse a log of which parts are missing, without a look at what they hold.

        Raises:
            CorruptStoreError: it is so.
        """
        row, chain = self._row(connection, operation), _Chain(0)
        if row is None or not row.head.logged:
            return
        try:
            for values in connection.execute(_CHAIN, (self.index_id, 0)):
                chain.add(Place(*values))
        except (ValueError, TypeError) as error:
            raise self._broken(operation, str(error)) from error
        if chain.position != row.head.seq or not chain.complete:
            raise self._broken(operation, f"it ends at write {chain.position}, not {row.head.seq}")

    def ends_early(
        self, operation: str, head: Head, position: int, weight: int
    ) -> CorruptStoreError:
        """Return the error of a log that does not end where it should."""
        return self._broken(
            operation,
            f"it should end at write {head.seq} with {head.logged} entries; it ends at {position} "
            f"with {weight}",
        )

    def _row(self, connection: sqlite3.Connection, operation: str) -> IndexRow | None:
        return read_index(connection, self.blame, operation, self.index_id, self.uid)

    def _broken(self, operation: str, found: str) -> CorruptStoreError:
        return self.blame.corrupt(operation, f"the log of index {self.info.name!r}: {found}")


class _Chain:
    """Whether places follow each other.

    Args:
        position: number of the write that was read last; the next may be a merged one, which
            follows an earlier one.
    """

    def __init__(self, position: int) -> None:
        self.position = position
        self._follows = position
        self._part = self._parts = 0
        self._begun = False

    @property
    def complete(self) -> bool:
        """Whether the last write was read to its last part."""
        return self._part == self._parts

    def add(self, place: Place) -> None:
        """Take the next place.

        Raises:
            ValueError: it is not the next.
        """
        if self.complete:
            last = self.position
            linked = place.follows == last if self._begun else place.follows <= last
            if place.part or place.parts < 1 or place.seq <= last or not linked:
                raise ValueError(f"which follows write {place.follows}: a write before is missing")
            self.position, self._follows = place.seq, place.follows
            self._part, self._parts, self._begun = 1, place.parts, True
            return
        if place != Place(self.position, self._part, self._parts, self._follows, place.level):
            raise ValueError(f"part {self._part} of write {self.position} is missing")
        self._part += 1
