"""What is sent is what was given, column by column."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from vecbridge import FieldType, IndexInfo, Scalar
from vecbridge_milvus._index_types import IndexType
from vecbridge_milvus._requests import to_request
from vecbridge_milvus._rows import part_of, to_columns, to_rows
from vecbridge_milvus._schema import Layout

pytest.importorskip("pymilvus")
FIELDS: dict[str, FieldType] = {
    "label": "string",
    "size": "integer",
    "score": "float",
    "good": "boolean",
}
VALUES: dict[str, list[Scalar]] = {
    "label": ["", 'q"uote', "emoji 🐈"],
    "size": [-(2**63), 0, 2**63 - 1],
    "score": [-0.0, 5e-324, 1.7976931348623157e308],
    "good": [True, False, True],
}


def layout(dimension: int, stored: int) -> Layout:
    info = IndexInfo("photos", dimension, "cosine", MappingProxyType(FIELDS))
    return Layout(info, 1, "pk", "vector", "vecbridge_norm", stored, IndexType("FLAT", {}))


@pytest.mark.parametrize("dimension", [2, 3, 31, 32, 511, 4096])
def test_every_value_is_sent_bit_for_bit(dimension: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((3, dimension)).astype(np.float32)
    vectors[0, :2] = [np.float32(1e-45), np.finfo(np.float32).max]
    columns = to_columns(layout(dimension, dimension), ["a", "b", "c"], vectors, VALUES)
    request = to_request(layout(dimension, dimension), columns)
    request = type(request).FromString(request.SerializeToString())
    sent = {column.field_name: column for column in request.fields_data}
    assert (request.collection_name, request.num_rows) == ("photos", 3)
    assert sent["vector"].vectors.dim == dimension
    numbers = np.array(list(sent["vector"].vectors.float_vector.data), np.float32)
    assert numbers.tobytes() == vectors.tobytes()
    assert list(sent["pk"].scalars.string_data.data) == ["a", "b", "c"]
    assert list(sent["label"].scalars.string_data.data) == VALUES["label"]
    assert list(sent["size"].scalars.long_data.data) == VALUES["size"]
    assert str(sent["score"].scalars.double_data.data) == str(VALUES["score"])
    assert list(sent["good"].scalars.bool_data.data) == VALUES["good"]
    norms = sent["vecbridge_norm"].scalars.double_data.data
    assert list(norms)[1:] == pytest.approx(np.linalg.norm(vectors[1:], axis=1))


def test_a_part_is_the_same_records_as_rows_and_as_a_request() -> None:
    vectors = np.arange(3, dtype=np.float32)[:, np.newaxis]
    padded = layout(1, 2)
    part = part_of(to_columns(padded, ["a", "b", "c"], vectors, VALUES), 1, 3)
    rows = to_rows(part)
    assert [row["pk"] for row in rows] == ["b", "c"]
    assert [row["vector"].tolist() for row in rows] == [[1, 0], [2, 0]]
    assert [row["size"] for row in rows] == VALUES["size"][1:]
    (vector,) = (c for c in to_request(padded, part).fields_data if c.field_name == "vector")
    assert list(vector.vectors.float_vector.data) == [1, 0, 2, 0]
