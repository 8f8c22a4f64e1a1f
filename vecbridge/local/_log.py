"""The log of an index: its writes as rows of the table ``segments``, appended and read back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._field_types import FieldValue
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import CorruptStoreError
from vecbridge.local._catalogue import Buffer, Head, IndexRow, move_head, read_index, seal_blobs
from vecbridge.local._failures import ErrorContext

_PART_BYTES = 1 << 20
_PART_ROWS = 1 << 16
# Of one character, or of a pair of surrogates for it, in JSON that is ASCII.
_JSON_BYTES = 12
# Little-endian in the file whatever the machine.
_STORED = np.dtype("<f4")

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


@dataclass(frozen=True, eq=False)
class Change:
    """Its net effect is: delete ``deleted``, then upsert ``ids``.

    Attributes:
        ids: distinct ids that are written.
        vectors: ``(len(ids), d)`` float32.
        fields: one column per field.
        deleted: ids that are removed first.
    """

    ids: Sequence[str]
    vectors: NDArray[np.float32]
    fields: Mapping[str, Sequence[FieldValue]] = field(default_factory=dict)
    deleted: Sequence[str] = ()

    @property
    def weight(self) -> int:
        """The number of records and deletions that it takes up in the log."""
        return len(self.ids) + len(self.deleted)

    @property
    def size(self) -> int:
        """The bytes that it takes up, about."""
        return self.vectors.nbytes + 64 * self.weight + int(self._text_bytes().sum())

    def _text_bytes(self) -> NDArray[np.int64]:
        """Return an upper bound of the bytes of each record's strings as JSON."""
        total = np.zeros(len(self.ids), dtype=np.int64)
        for column in self.fields.values():
            known = next((value for value in column if value is not None), None)
            if isinstance(known, Sequence):
                total += _JSON_BYTES * np.fromiter(map(_characters, column), np.int64, len(column))
        return total

    def parts(self) -> Iterator[Change]:
        """Yield the same change in pieces of bounded size."""
        row_bytes = 4 * self.vectors.shape[1] + self._text_bytes()
        for start in range(0, len(self.deleted), _PART_ROWS):
            gone = self.deleted[start : start + _PART_ROWS]
            nothing = dict.fromkeys(self.fields, ())
            yield Change((), self.vectors[:0], nothing, gone)
        ends, start = np.cumsum(row_bytes), 0
        while start < len(self.ids):
            before = int(ends[start - 1]) if start else 0
            fitting = int(np.searchsorted(ends, before + _PART_BYTES, side="right"))
            stop = min(max(fitting, start + 1), start + _PART_ROWS)
            columns = {name: column[start:stop] for name, column in self.fields.items()}
            yield Change(self.ids[start:stop], self.vectors[start:stop], columns)
            start = stop


class Place(NamedTuple):
    """The place of a piece of a change in the log of its index.

    Attributes:
        seq: number of the write.
        part: which piece of it.
        parts: how many pieces it has.
        follows: number of the write before it, 0 where there is none.
        level: how often it was merged.
    """

    seq: int
    part: int
    parts: int
    follows: int
    level: int


class Encoded(NamedTuple):
    """A change as it lies in a row of the log."""

    gone: int
    kept: int
    deleted: Buffer
    ids: Buffer
    fields: Buffer
    vectors: Buffer

    def checksum(self, uid: bytes, place: Place) -> int:
        """Return the checksum that binds these bytes to a place in the log of an index."""
        blobs = (self.deleted, self.ids, self.fields, self.vectors)
        return seal_blobs((uid, *place, self.gone, self.kept), blobs)


def _characters(value: FieldValue) -> int:
    """Return how long a string is, or the strings of a list and what stands between them."""
    if isinstance(value, str):
        return len(value)
    return sum(len(each) + 1 for each in value) if isinstance(value, Sequence) else 0


def encode(change: Change) -> Encoded:
    """Return the bytes of a change; the vectors are not copied."""
    vectors = np.ascontiguousarray(change.vectors, dtype=_STORED)
    columns = {name: list(column) for name, column in change.fields.items()}
    deleted, ids = "\0".join(change.deleted).encode(), "\0".join(change.ids).encode()
    fields = json.dumps(columns, separators=(",", ":")).encode() if columns else b""
    raw: Buffer = vectors.reshape(-1).view(np.uint8).data if vectors.size else b""
    return Encoded(len(change.deleted), len(change.ids), deleted, ids, fields, raw)


def is_whole(row: Encoded, checksum: object, uid: bytes, place: Place) -> bool:
    """Tell whether a row of the log, whose values may be of any type, is what was written there."""
    numbers, blobs = (*place, *row[:2], checksum), row[2:]
    typed = all(type(n) is int for n in numbers) and all(type(blob) is bytes for blob in blobs)
    return typed and row.checksum(uid, place) == checksum


def decode(row: Encoded, dimension: int) -> Change:
    """Read a change back from a row that is whole.

    Raises:
        ValueError: it was not written by this version of vecbridge; the message says how.
    """
    vectors = np.frombuffer(row.vectors, dtype=_STORED).reshape(row.kept, dimension)
    return Change(
        _split(row.ids, row.kept),
        vectors.astype(np.float32, copy=False),
        json.loads(bytes(row.fields)) if row.fields else {},
        _split(row.deleted, row.gone),
    )


def net_effect(changes: Sequence[Change], dimension: int) -> Change:
    """Return one change that does what a run does, whatever part of it was done before."""
    last: dict[str, tuple[int, int] | None] = {}
    for number, change in enumerate(changes):
        last.update(dict.fromkeys(change.deleted))
        last.update((name, (number, row)) for row, name in enumerate(change.ids))
    kept = {name: at for name, at in last.items() if at is not None}
    vectors = np.empty((len(kept), dimension), dtype=np.float32)
    for out, (number, row) in enumerate(kept.values()):
        vectors[out] = changes[number].vectors[row]
    fields = {
        name: [changes[number].fields[name][row] for number, row in kept.values()]
        for name in next((change.fields for change in changes if change.ids), {})
    }
    return Change(list(kept), vectors, fields, [name for name, at in last.items() if at is None])


def _split(joined: Buffer, count: int) -> list[str]:
    return bytes(joined).decode().split("\0") if count else []


@dataclass(frozen=True)
class Log:
    """The log of one index.

    A write has a number, and says which write it follows; a part of it says how many there are.
    All that is under its checksum, together with the index's id: a segment that is left out,
    read twice or of another index breaks the chain.

    Attributes:
        context: which file it is in.
        index_id: number of the index there.
        uid: the index's own id, which no other index of any store has.
        info: what the index is.
    """

    context: ErrorContext
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
            move_head(connection, self.context, operation, row, head)

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

        It ``follows`` the write of that number, or none where that is 0.
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
        return read_index(connection, self.context, operation, self.index_id, self.uid)

    def _broken(self, operation: str, found: str) -> CorruptStoreError:
        return self.context.corrupt(operation, f"the log of index {self.info.name!r}: {found}")


class _Chain:
    """Checks that places follow each other.

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
