"""What a search finds, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge_milvus._rows import to_vectors
from vecbridge_milvus._schema import Layout


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
    # Gone through in the usual way, the hits make a Python number of every coordinate first.
    answers = [list(list.__iter__(hits)) for hits in reply]
    total = sum(map(len, answers))
    table = _vectors(layout, reply, total) if vectors else np.empty((total, 0), np.float32)
    found, start = [], 0
    for rows in answers:
        ids = tuple(row["entity"][layout.key] for row in rows)
        numbers = [row["distance"] for row in rows]
        found.append(Found(ids, numbers, table[start : start + len(rows)]))
        start += len(rows)
    return found


def _vectors(layout: Layout, reply: Sequence[Any], total: int) -> NDArray[np.float32]:
    for column in getattr(reply[0], "lazy_field_data", ()) if total else ():
        if column.field_name == layout.vector:
            numbers = np.array(column.vectors.float_vector.data, dtype=np.float32)
            stored = numbers.reshape(total, layout.stored_dimension)
            return np.ascontiguousarray(stored[:, : layout.info.dimension])
    # Versions of pymilvus that keep no columns have the vectors in the rows.
    return to_vectors(layout, [hit["entity"] for hits in reply for hit in hits])
