"""What a server answers, its vectors as columns.

Gone through in the usual way, pymilvus's answers make a Python number of every coordinate first,
which takes more time and memory than the rest of a read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import BackendError
from vecbridge_milvus._errors import BACKEND
from vecbridge_milvus._rows import to_vectors
from vecbridge_milvus._schema import Layout

Entity = dict[str, Any]
"""A row: the value of each field that was asked for."""


class Found(NamedTuple):
    """The engine's hits of one query, nearest first.

    Attributes:
        ids: of the records.
        numbers: ``(n,)`` Milvus's own of each, which :meth:`Geometry.contract` makes distances of.
        vectors: ``(n, d)`` float32; ``(n, 0)`` where they were not asked for.
    """

    ids: tuple[str, ...]
    numbers: NDArray[np.float64]
    vectors: NDArray[np.float32]


def to_found(layout: Layout, results: Any, *, vectors: bool) -> list[Found]:
    """What a server answers to a search, one answer a query."""
    names, numbers = tuple(results.ids.str_id.data), np.array(results.scores, dtype=np.float64)
    columns = results.fields_data if vectors else None
    table = _table(layout, columns, len(names))
    if table is None:
        raise BackendError(
            f"Milvus sent not one vector for each of {len(names)} hits; please report this",
            backend=BACKEND,
            operation="search",
        )
    ends = np.cumsum(results.topks, dtype=np.intp).tolist()
    parts = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    return [Found(names[part], numbers[part], table[part]) for part in parts]


def to_found_by_pymilvus(layout: Layout, reply: Sequence[Any], *, vectors: bool) -> list[Found]:
    """What pymilvus makes of it, one answer a query."""
    total = sum(map(len, reply))
    columns = (getattr(reply[0], "lazy_field_data", ()) if total else ()) if vectors else None
    table = _table(layout, columns, total)
    if table is None:
        # Versions of pymilvus that keep no columns have the vectors in the rows.
        table = to_vectors(layout, [hit["entity"] for hits in reply for hit in hits])
    found, start = [], 0
    for hits in reply:
        stop = start + len(hits)
        numbers = np.array(hits.distances, dtype=np.float64)
        found.append(Found(tuple(hits.ids), numbers, table[start:stop]))
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


def _table(layout: Layout, columns: Iterable[Any] | None, total: int) -> NDArray[np.float32] | None:
    """The vectors among the columns that came with hits; of no width where none were asked for.

    ``None`` where they are not one a hit.
    """
    if columns is None or not total:
        return np.empty((total, 0 if columns is None else layout.info.dimension), np.float32)
    for column in columns:
        if column.field_name == layout.vector:
            stored = _stored(layout, column, total)
            if stored is not None:
                return np.ascontiguousarray(stored[:, : layout.info.dimension])
    return None


def _stored(layout: Layout, column: Any, total: int) -> NDArray[np.float32] | None:
    """The numbers of a column as ``(total, d)``; ``None`` where some rows have none."""
    numbers = np.array(column.vectors.float_vector.data, dtype=np.float32)
    if numbers.size != total * layout.stored_dimension:
        return None
    return numbers.reshape(total, layout.stored_dimension)
