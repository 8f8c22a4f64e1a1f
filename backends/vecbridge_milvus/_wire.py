"""The data on the wire: records as columns that are sent, and answers as arrays.

pymilvus takes rows, looks at every value of each, and makes a Python number of every coordinate
that comes back: that takes longer than the server does. So a write is made here of whole columns,
and pymilvus sends it; and the vectors of an answer are read as one array.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vecbridge import BackendError, Fields, InvalidIdError, Metric, Records
from vecbridge.fields import BaseType, integer_of
from vecbridge.ranking import EngineGeometry, ScoreForm, norms
from vecbridge.remote import Nearest
from vecbridge_milvus._columns import COLUMN_TYPES
from vecbridge_milvus._errors import failure
from vecbridge_milvus._schema import Layout

if TYPE_CHECKING:
    from pymilvus import MilvusClient

Columns = Mapping[str, Any]
"""A sequence or an array of values for each column of a collection, all of one length."""

Entity = dict[str, Any]
"""A row: the value of each field that was asked for."""

FORMS: dict[Metric, ScoreForm] = {
    "euclidean": "squared",
    "cosine": "similarity",
    "dotproduct": "similarity",
}
"""How Milvus gives the scores of each metric: L2 comes squared."""

_NEVER_SHOWN = str(2**63 - 1)
"""Milvus 2.3.5 counts a row with this key, and gives it to no query."""

_PARTS: dict[BaseType, str] = {
    "string": "string_data",
    "integer": "long_data",
    "float": "double_data",
    "boolean": "bool_data",
    "timestamp": "long_data",
}


def engine_geometry(layout: Layout) -> EngineGeometry:
    """Return how Milvus's scores of a collection read."""
    metric = layout.info.metric
    return EngineGeometry(metric, layout.stored_dimension, FORMS[metric])


def to_columns(
    layout: Layout, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields
) -> Columns:
    """Return the columns of the collection that are written of records.

    Raises:
        InvalidIdError: the server would keep a record and never show it.
    """
    if layout.integers and not layout.lite and _NEVER_SHOWN in ids:
        raise InvalidIdError(
            f"no Milvus server shows a record with the largest integer as its key; got the id "
            f"{_NEVER_SHOWN!r}"
        )
    keys = [integer_of(name) for name in ids] if layout.integers else ids
    columns: dict[str, Any] = {layout.key: keys, layout.vector: to_stored(layout, vectors)}
    if layout.norm is not None:
        columns[layout.norm] = norms(vectors).tolist()
    for name, values in fields.items():
        columns.update(layout.columns[name].stored(values))
    return columns


def part_of(columns: Columns, start: int, stop: int) -> Columns:
    """Return the columns of some consecutive records."""
    return {name: values[start:stop] for name, values in columns.items()}


def to_rows(columns: Columns) -> list[dict[str, Any]]:
    """Return rows as dicts, as pymilvus takes them."""
    names = tuple(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def to_stored(layout: Layout, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pad vectors to the stored dimension: zeros at the end change no distance."""
    missing = layout.stored_dimension - vectors.shape[1]
    return np.pad(vectors, ((0, 0), (0, missing))) if missing else vectors


def to_vectors(layout: Layout, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
    """Return the vectors of rows, ``(n, d)``."""
    stored = np.array([row[layout.vector] for row in rows], dtype=np.float32)
    shaped = stored.reshape(len(rows), layout.stored_dimension)
    return np.ascontiguousarray(shaped[:, : layout.info.dimension])


def to_ids(layout: Layout, rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the ids of rows."""
    return tuple(row[layout.key] for row in rows)


def to_records(
    layout: Layout,
    rows: Sequence[Mapping[str, Any]],
    missing: tuple[str, ...] = (),
    *,
    vectors: bool,
) -> Records:
    """Return rows as columns; the vectors of rows that have none are ``(n, 0)``."""
    fields = {name: column.given(rows) for name, column in layout.columns.items()}
    table = to_vectors(layout, rows) if vectors else np.empty((len(rows), 0), dtype=np.float32)
    return Records(to_ids(layout, rows), table, fields, missing)


def to_request(layout: Layout, columns: Columns) -> Any:
    """Return the request that upserts columns into a collection of our own."""
    from pymilvus import DataType
    from pymilvus.grpc_gen import milvus_pb2

    kinds: dict[str | None, BaseType] = {layout.key: "string", layout.norm: "float"}
    kinds.update({field.flag: "boolean" for field in layout.columns.values()})
    kinds.update({name: field.base for name, field in layout.columns.items()})
    nullable = {name for name, field in layout.columns.items() if field.nullable}
    count = len(columns[layout.key])
    request = milvus_pb2.UpsertRequest(collection_name=layout.info.name, num_rows=count)
    for name, values in columns.items():
        if name == layout.vector:
            column = request.fields_data.add(field_name=name, type=DataType.FLOAT_VECTOR)
            column.vectors.dim = values.shape[1]
            packed = _packed(values.astype("<f4", copy=False))
            column.vectors.float_vector.MergeFromString(packed)
        else:
            kind = kinds[name]
            column = request.fields_data.add(field_name=name, type=DataType[COLUMN_TYPES[kind]])
            if name in nullable:
                # What is null is left out of the values.
                column.valid_data.extend(value is not None for value in values)
            there = values if name not in nullable else [v for v in values if v is not None]
            _add_scalars(column.scalars, kind, there)
    return request


def _add_scalars(scalars: Any, kind: BaseType, values: Sequence[Any]) -> None:
    from pymilvus import DataType

    if kind != "strings":
        getattr(scalars, _PARTS[kind]).data.extend(values)
        return
    scalars.array_data.element_type = DataType.VARCHAR
    for value in values:
        scalars.array_data.data.add().string_data.data.extend(value)


def send(client: MilvusClient, request: Any, timeout: float) -> bool:
    """Hand a request to pymilvus, which adds the database and raises its usual errors.

    Returns:
        Whether this pymilvus can be handed one; all so far can.
    """
    connect = getattr(client, "_get_connection", None)
    if connect is None:
        return False
    generate = getattr(client, "_generate_call_context", None)
    # It names the database; before 2.6, connections do.
    named = {} if generate is None else {"context": generate()}
    # With a schema, it does not ask for one, which only what it makes itself would need.
    options = {"timeout": timeout, "schema": {"fields": []}, **named}
    connect().upsert(request.collection_name, [], upsert_param=request, **options)
    return True


def server_time(client: MilvusClient, timeout: float) -> int:
    """Return the time of the server's clock, as reads may name it; 0 where it cannot be had.

    It is later than that of every write which was acknowledged before.
    """
    connect = getattr(client, "_get_connection", None)
    if connect is None:
        return 0
    generate = getattr(client, "_generate_call_context", None)
    named = {} if generate is None else {"context": generate()}
    return int(connect().alloc_timestamp(timeout=timeout, **named))


def to_results(layout: Layout, reply: Sequence[Any], *, vectors: bool) -> list[Nearest]:
    """Return what pymilvus gives of a search, one result per query.

    Raises:
        BackendError: vectors were asked for, and there is not one per hit.
    """
    total = sum(map(len, reply))
    table = np.empty((total, layout.info.dimension if vectors else 0), np.float32)
    if vectors and total:
        table = _vectors_of(layout, reply, total)
    found, start = [], 0
    for hits in reply:
        stop = start + len(hits)
        scores = np.array(hits.distances, dtype=np.float64)
        found.append(Nearest(tuple(map(str, hits.ids)), scores, table[start:stop]))
        start = stop
    return found


def to_entities(layout: Layout, reply: Any) -> list[Entity]:
    """Return what pymilvus gives of a query: rows with ids, vectors as rows of one array."""
    rows = _to_rows(layout, reply)
    if layout.integers:
        for row in rows:
            if layout.key in row:
                row[layout.key] = str(row[layout.key])
    return rows


def _to_rows(layout: Layout, reply: Any) -> list[Entity]:
    columns: Sequence[Any] = getattr(reply, "_lazy_field_data", ())
    if len(columns) == 1 and columns[0].field_name == layout.vector:
        rows: list[Entity] = list(list.__iter__(reply))
        stored = _stored(layout, columns[0], len(rows))
        if stored is not None:
            for row, vector in zip(rows, stored, strict=True):
                row[layout.vector] = vector
            return rows
    return list(reply)


def _vectors_of(layout: Layout, reply: Sequence[Any], total: int) -> NDArray[np.float32]:
    """Return the vectors that came with hits, ``(total, d)``."""
    columns: Iterable[Any] = getattr(reply[0], "lazy_field_data", ())
    for column in columns:
        if column.field_name == layout.vector:
            stored = _stored(layout, column, total)
            if stored is not None:
                return np.ascontiguousarray(stored[:, : layout.info.dimension])
            break
    else:
        # Versions of pymilvus that keep no columns have the vectors in the rows.
        rows = [hit["entity"] for hits in reply for hit in hits]
        if all(len(row.get(layout.vector) or ()) == layout.stored_dimension for row in rows):
            return to_vectors(layout, rows)
    expected = f"Expected one vector per hit ({total}); the reply has a different number. "
    raise failure(BackendError, "search", f"{expected}Please report this")


def _stored(layout: Layout, column: Any, total: int) -> NDArray[np.float32] | None:
    """Return the numbers of a column as ``(total, d)``; ``None`` where some rows have none."""
    numbers = np.array(column.vectors.float_vector.data, dtype=np.float32)
    if numbers.size != total * layout.stored_dimension:
        return None
    return numbers.reshape(total, layout.stored_dimension)


def _packed(numbers: NDArray[Any]) -> bytes:
    """Encode numbers as field 1 of a message: one by one, they would take twenty times longer."""
    data = numbers.tobytes()
    return b"\x0a" + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    """Encode a number as protocol buffers do: seven bits at a time, the lowest first."""
    if number < 0x80:
        return bytes([number])
    return bytes([number & 0x7F | 0x80]) + _varint(number >> 7)
