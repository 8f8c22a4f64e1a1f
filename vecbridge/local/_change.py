"""One write: what it deletes, then what it upserts; and its bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._records import Scalar
from vecbridge.local._seal import Buffer, seal_blobs

PART_BYTES = 1 << 20
_PART_ROWS = 1 << 16
# Of one character, or of a pair of surrogates for it, in JSON that is ASCII.
_JSON_BYTES = 12
# Little-endian in the file whatever the machine.
_STORED = np.dtype("<f4")


@dataclass(frozen=True, eq=False)
class Change:
    """Its net effect is: delete ``deleted``, then upsert ``ids``.

    Attributes:
        ids: distinct ids that are written.
        vectors: ``(len(ids), d)`` float32.
        fields: one column a field.
        deleted: ids that are removed first.
    """

    ids: Sequence[str]
    vectors: NDArray[np.float32]
    fields: Mapping[str, Sequence[Scalar]] = field(default_factory=dict)
    deleted: Sequence[str] = ()

    @property
    def weight(self) -> int:
        """How many records and deletions it takes up in the log."""
        return len(self.ids) + len(self.deleted)

    @property
    def size(self) -> int:
        """About how many bytes it takes up."""
        return self.vectors.nbytes + 64 * self.weight + int(self._text_bytes().sum())

    def _text_bytes(self) -> NDArray[np.int64]:
        """At most how many bytes the strings in the fields of each record take up as JSON."""
        total = np.zeros(len(self.ids), dtype=np.int64)
        for column in self.fields.values():
            if len(column) and isinstance(column[0], str):
                total += _JSON_BYTES * np.fromiter(map(len, column), np.int64, len(column))  # type: ignore[arg-type]
        return total

    def parts(self) -> Iterator[Change]:
        """The same change in pieces of bounded size."""
        row_bytes = 4 * self.vectors.shape[1] + self._text_bytes()
        for start in range(0, len(self.deleted), _PART_ROWS):
            gone = self.deleted[start : start + _PART_ROWS]
            nothing = dict.fromkeys(self.fields, ())
            yield Change((), self.vectors[:0], nothing, gone)
        ends, start = np.cumsum(row_bytes), 0
        while start < len(self.ids):
            before = int(ends[start - 1]) if start else 0
            fitting = int(np.searchsorted(ends, before + PART_BYTES, side="right"))
            stop = min(max(fitting, start + 1), start + _PART_ROWS)
            columns = {name: column[start:stop] for name, column in self.fields.items()}
            yield Change(self.ids[start:stop], self.vectors[start:stop], columns)
            start = stop


class Place(NamedTuple):
    """Where a piece of a change belongs in the log of its index.

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
        """Return the checksum that binds these bytes to a place in the log of an index.

        Args:
            uid: id of the index.
            place: where they are written.
        """
        blobs = (self.deleted, self.ids, self.fields, self.vectors)
        return seal_blobs((uid, *place, self.gone, self.kept), blobs)


def encode(change: Change) -> Encoded:
    """Return the bytes of a change; the vectors are not copied."""
    vectors = np.ascontiguousarray(change.vectors, dtype=_STORED)
    columns = {name: list(column) for name, column in change.fields.items()}
    deleted, ids = "\0".join(change.deleted).encode(), "\0".join(change.ids).encode()
    fields = json.dumps(columns, separators=(",", ":")).encode() if columns else b""
    raw: Buffer = vectors.reshape(-1).view(np.uint8).data if vectors.size else b""
    return Encoded(len(change.deleted), len(change.ids), deleted, ids, fields, raw)


def is_whole(row: Encoded, checksum: object, uid: bytes, place: Place) -> bool:
    """Whether a row of the log is what was written in its place.

    Args:
        row: as it lies in the log; of damage, its values may be of any type.
        checksum: what its checksum should be.
        uid: id of its index.
        place: where it was found.
    """
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
    """One change that does what a run of them does, whatever part of the run was done before."""
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
