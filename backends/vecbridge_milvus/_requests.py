"""Writes as Milvus's protocol has them, made of whole columns.

pymilvus takes rows, and looks at every value of each: that takes longer than the server does. Its
own columns are slower still. So a request is made here, and pymilvus sends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vecbridge import FieldType
from vecbridge_milvus._schema import Layout

if TYPE_CHECKING:
    from pymilvus import MilvusClient

Columns = Mapping[str, Any]
"""A sequence or an array of values for each column of a collection, all of one length."""

_SCALARS: dict[FieldType, tuple[str, str]] = {
    "string": ("VARCHAR", "string_data"),
    "integer": ("INT64", "long_data"),
    "float": ("DOUBLE", "double_data"),
    "boolean": ("BOOL", "bool_data"),
}


def takes_requests(client: MilvusClient) -> bool:
    """Whether this pymilvus can be handed what is to be sent; all so far can."""
    return hasattr(client, "_get_connection")


def to_request(layout: Layout, columns: Columns) -> Any:
    """An upsert of columns into a collection of our own."""
    from pymilvus.grpc_gen import milvus_pb2

    kinds: dict[str | None, FieldType] = {layout.key: "string", layout.norm: "float"}
    kinds.update(layout.info.fields)
    count = len(columns[layout.key])
    request = milvus_pb2.UpsertRequest(collection_name=layout.info.name, num_rows=count)
    for name, values in columns.items():
        if name == layout.vector:
            _add_vectors(request, name, np.asarray(values, dtype=np.float32))
        else:
            _add_scalars(request, name, kinds[name], values)
    return request


def send(client: MilvusClient, request: Any, timeout: float) -> None:
    """Hands a request to pymilvus, which adds the database and tells of failures as ever."""
    handler = client._get_connection()  # noqa: SLF001 - nothing public sends what it has not made
    context = call_context(client)
    named = {} if context is None else {"context": context}
    # With a schema, it does not ask for one, which only what it makes itself would need.
    options = {"timeout": timeout, "schema": {"fields": []}, **named}
    handler.upsert(request.collection_name, [], upsert_param=request, **options)


def call_context(client: MilvusClient) -> Any:
    """What names the database in a call; ``None`` before 2.6, where connections name it."""
    generate = getattr(client, "_generate_call_context", None)
    return None if generate is None else generate()


def _add_vectors(request: Any, name: str, vectors: NDArray[np.float32]) -> None:
    from pymilvus import DataType

    column = request.fields_data.add(field_name=name, type=DataType.FLOAT_VECTOR)
    column.vectors.dim = vectors.shape[1]
    column.vectors.float_vector.MergeFromString(_packed(vectors.astype("<f4", copy=False)))


def _add_scalars(request: Any, name: str, kind: FieldType, values: Sequence[Any]) -> None:
    from pymilvus import DataType

    word, part = _SCALARS[kind]
    column = request.fields_data.add(field_name=name, type=DataType[word])
    getattr(column.scalars, part).data.extend(values)


def _packed(numbers: NDArray[Any]) -> bytes:
    """The numbers as field 1 of a message: set one by one, they would take twenty times longer."""
    data = numbers.tobytes()
    return b"\x0a" + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    """A number as protocol buffers write lengths: seven bits at a time, the lowest first."""
    if number < 0x80:
        return bytes([number])
    return bytes([number & 0x7F | 0x80]) + _varint(number >> 7)
