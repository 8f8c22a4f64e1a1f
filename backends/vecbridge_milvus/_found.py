"""What a server answers, its vectors as columns.

Gone through in the usual way, pymilvus's answers make a Python number of every coordinate first,
which takes more time and memory than the rest of a read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge_milvus._rows import to_vectors
from vecbridge_milvus._schema import Layout

Entity = dict[str, Any]
"""A row: the value of each field that was asked for."""


class Found(NamedTuple):
    """The engine's hits of one query, nearest first.

    Attributes:
        ids: of the records.
        numbers: Milvus's own of each, which :meth:`Geometry.contract` makes distances of.
        vectors: ``(n, d)`` float32; ``(n, 0)`` where they were not asked for.
    """

    ids: tuple[str, ...]
    numbers: list[float]
    vectors: NDArray[np.float32]


def to_found(layout: Layout, reply: Sequence[Any], *, vectors: bool) -> list[Found]:
    """What pymilvus gives, one answer a query."""
    total = sum(map(len, reply))
    table = _vectors(layout, reply, total) if vectors else np.empty((total, 0), np.float32)
    found, start = [], 0
    for hits in reply:
        stop = start + len(hits)
        found.append(Found(tuple(hits.ids), hits.distances, table[start:stop]))
        start = stop
    return found


def to_entities(layout: Layout, reply: Any) -> list[Entity]:
    """What pymilvus gives of a query: rows, whose vectors are rows of one array."""
    columns: Sequence[Any] = getattr(reply, "_lazy_field_data", ())
    if len(columns) == 1 and columns[0].field_name == layout.vector:
        rows: list[Entity] = list(list.__iter__(reply))
        stored = _stored(layout, columns[0], len(rows))
        if stored is not None:
            for row, vector in zip(rows, stored, strict=True):
                row[layout.vector] = vector
            return rows
    return list(reply)


def _vectors(layout: Layout, reply: Sequence[Any], total: int) -> NDArray[np.float32]:
    for column in getattr(reply[0], "lazy_field_data", ()) if total else ():
        if column.field_name == layout.vector:
            stored = _stored(layout, column, total)
            if stored is not None:
                return np.ascontiguousarray(stored[:, : layout.info.dimension])
    # Versions of pymilvus that keep no columns have the vectors in the rows.
    return to_vectors(layout, [hit["entity"] for hits in reply for hit in hits])


def _stored(layout: Layout, column: Any, total: int) -> NDArray[np.float32] | None:
    """The numbers of a column as ``(total, d)``; ``None`` where some rows have none."""
    numbers = np.array(column.vectors.float_vector.data, dtype=np.float32)
    if numbers.size != total * layout.stored_dimension:
        return None
    return numbers.reshape(total, layout.stored_dimension)
