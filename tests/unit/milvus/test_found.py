"""Vectors of a reply are read as one array, and are what the rows would have given."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from vecbridge import IndexInfo
from vecbridge_milvus._found import to_entities
from vecbridge_milvus._index_types import IndexType
from vecbridge_milvus._rows import to_ids, to_vectors
from vecbridge_milvus._schema import Layout

pytest.importorskip("pymilvus")
types = pytest.importorskip("pymilvus.client.types")
if not hasattr(types, "HybridExtraList"):
    pytest.skip("this pymilvus keeps no columns", allow_module_level=True)

VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4) / 3


def layout(dimension: int, stored: int) -> Layout:
    info = IndexInfo("photos", dimension, "cosine", MappingProxyType({}))
    return Layout(info, 1, "pk", "vector", "vecbridge_norm", stored, IndexType("FLAT", {}))


def reply(name: str = "vector", rows: int = 3) -> Any:
    from pymilvus import DataType
    from pymilvus.grpc_gen import schema_pb2

    column = schema_pb2.FieldData(field_name=name, type=int(DataType.FLOAT_VECTOR))
    column.vectors.dim = VECTORS.shape[1]
    column.vectors.float_vector.data.extend(VECTORS.ravel().tolist())
    return types.HybridExtraList([column], [{"pk": str(row)} for row in range(rows)], extra={})


def test_rows_hold_parts_of_one_array() -> None:
    rows = to_entities(layout(4, 4), reply())
    assert to_ids(layout(4, 4), rows) == ("0", "1", "2")
    assert np.array_equal(to_vectors(layout(4, 4), rows), VECTORS)
    assert rows[0]["vector"].base is rows[2]["vector"].base is not None


def test_what_was_padded_is_cut_off() -> None:
    rows = to_entities(layout(3, 4), reply())
    assert np.array_equal(to_vectors(layout(3, 4), rows), VECTORS[:, :3])


def test_a_column_of_another_name_is_left_to_pymilvus() -> None:
    rows = to_entities(layout(4, 4), reply("other"))
    assert [list(row["other"]) for row in rows] == VECTORS.tolist()


def test_a_column_that_does_not_fit_the_rows_is_not_taken_apart_here() -> None:
    rows = to_entities(layout(4, 4), reply(rows=2))
    assert [list(row["vector"]) for row in rows] == VECTORS[:2].tolist()


def test_plain_rows_are_given_as_they_are() -> None:
    assert to_entities(layout(4, 4), [{"count(*)": 3}]) == [{"count(*)": 3}]
