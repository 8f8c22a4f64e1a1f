"""Records as PostgreSQL sends and takes them in its binary form, by arrays."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge import Fields
from vecbridge.fields import BaseType, FieldType, base_of

_HEAD = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_END = struct.pack(">h", -1)
_NULL = struct.pack(">i", -1)
_PART_ROWS = 1000
_TEXT_OID = 25
# PostgreSQL counts microseconds from 2000-01-01 on.
_YEAR_2000 = 946_684_800_000_000


def copied(
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    fields: Fields,
    kinds: Mapping[str, FieldType],
) -> Iterator[bytes]:
    """Yield records as ``COPY ... (FORMAT BINARY)`` reads them: id, vector, fields.

    They come in parts, so that the server works on one while the next is made.

    Args:
        ids: ``n`` ids.
        vectors: ``(n, d)``.
        fields: a column of ``n`` values each.
        kinds: type of each field, in the order of the columns.
    """
    dimension = vectors.shape[1]
    layout: list[Any] = [("size", ">i4"), ("d", ">i2"), ("unused", ">i2")]
    layout.append(("v", ">f4", (dimension,)))
    head = struct.pack(">h", 2 + len(kinds))
    yield _HEAD
    for start in range(0, len(ids), _PART_ROWS):
        part = slice(start, start + _PART_ROWS)
        fixed = np.zeros(len(ids[part]), layout)
        fixed["size"], fixed["d"], fixed["v"] = 4 * dimension + 4, dimension, vectors[part]
        width, block = fixed.itemsize, memoryview(fixed.view(np.uint8).data)
        columns: list[Any] = [
            (head + _text(name) for name in ids[part]),
            (block[at : at + width] for at in range(0, len(block), width)),
            *(map(_ENCODERS[base_of(kind)], fields[name][part]) for name, kind in kinds.items()),
        ]
        yield b"".join(chain.from_iterable(zip(*columns, strict=True)))
    yield _END


def vectors_of(column: Sequence[bytes], dimension: int) -> NDArray[np.float32]:
    """Return vectors as they came in binary: ``(n, d)`` float32."""
    table = np.frombuffer(b"".join(column), np.uint8).reshape(len(column), 4 * dimension + 4)
    return np.ascontiguousarray(table[:, 4:]).view(">f4").astype(np.float32)


def literal(vector: NDArray[np.float32]) -> str:
    """Return a vector as text that reads back bit for bit."""
    return f"[{','.join(map(repr, vector.tolist()))}]"


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">i", len(data)) + data


def _strings(values: Sequence[str]) -> bytes:
    head = struct.pack(">iii", bool(values), 0, _TEXT_OID)
    sizes = struct.pack(">ii", len(values), 1) if values else b""
    data = head + sizes + b"".join(map(_text, values))
    return struct.pack(">i", len(data)) + data


def _optional(encode: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    return lambda value: _NULL if value is None else encode(value)


_ENCODERS: dict[BaseType, Callable[[Any], bytes]] = {
    "string": _optional(_text),
    "integer": _optional(lambda value: struct.pack(">iq", 8, value)),
    "float": _optional(lambda value: struct.pack(">id", 8, value)),
    "boolean": _optional(lambda value: struct.pack(">i?", 1, value)),
    "timestamp": _optional(lambda value: struct.pack(">iq", 8, value - _YEAR_2000)),
    "strings": _optional(_strings),
}
