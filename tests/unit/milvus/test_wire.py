"""What is sent is what was given, column by column, and an answer is read as it was sent."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from grpc import StatusCode

import vecbridge
from tests.servers.milvus_wire import Wire, search_parameters, sent_queries
from vecbridge import BackendError, FieldType, Index, Scalar, Store
from vecbridge_milvus import MilvusBackend

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
IDS = ["a", "b", "c"]


def columns_of(request: Any) -> dict[str, Any]:
    return {column.field_name: column for column in request.fields_data}


def floats(column: Any) -> Any:
    return np.array(list(column.vectors.float_vector.data), np.float32)


@pytest.mark.parametrize("dimension", [2, 3, 31, 32, 511, 4096])
def test_every_value_is_sent_and_read_bit_for_bit(
    make_index: Callable[..., Index], wire: Wire, dimension: int
) -> None:
    index = make_index(dimension=dimension, fields=FIELDS)
    vectors = np.random.default_rng(0).standard_normal((3, dimension)).astype(np.float32)
    vectors[0, :2] = [np.float32(1e-45), np.finfo(np.float32).max]
    index.upsert(IDS, vectors, VALUES)
    (request,) = wire.requests("Upsert")
    sent = columns_of(request)
    assert (request.collection_name, request.num_rows) == (index.info.name, 3)
    assert sent["vector"].vectors.dim == dimension
    assert floats(sent["vector"]).tobytes() == vectors.tobytes()
    assert list(sent["pk"].scalars.string_data.data) == IDS
    assert list(sent["label"].scalars.string_data.data) == VALUES["label"]
    assert list(sent["size"].scalars.long_data.data) == VALUES["size"]
    assert str(sent["score"].scalars.double_data.data) == str(VALUES["score"])
    assert list(sent["good"].scalars.bool_data.data) == VALUES["good"]
    norms = sent["vecbridge_norm"].scalars.double_data.data
    assert list(norms)[1:] == pytest.approx(np.linalg.norm(vectors[1:], axis=1))
    assert index.fetch(["c", "a"]).vectors.tobytes() == vectors[[2, 0]].tobytes()


def test_one_dimension_is_padded_for_the_server_and_cut_for_the_caller(
    make_index: Callable[..., Index], wire: Wire
) -> None:
    index = make_index(dimension=1, fields=FIELDS, metric="euclidean")
    wire.fail("Upsert", StatusCode.RESOURCE_EXHAUSTED)
    index.upsert(IDS, np.arange(3)[:, np.newaxis], VALUES)
    _, first, second, third = map(columns_of, wire.requests("Upsert"))
    assert floats(first["vector"]).tolist() == [0, 0]
    assert floats(second["vector"]).tolist() == [1, 0]
    assert list(third["size"].scalars.long_data.data) == VALUES["size"][2:]
    assert index.fetch(IDS).vectors.tolist() == [[0], [1], [2]]
    (hits,) = index.search([1.9], 2)
    assert hits.ids == ("c", "b")
    (sent, *_) = wire.requests("Search")
    assert sent_queries(sent).tolist() == [[np.float32(1.9), 0.0]]


def test_a_collection_of_others_is_sent_rows(store: Store, wire: Wire) -> None:
    from pymilvus import DataType

    assert isinstance(store.backend, MilvusBackend)
    client, name = store.backend.client, f"t_{uuid.uuid4().hex}"
    schema = client.create_schema(auto_id=False)
    schema.add_field("word", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=2)
    indexes = client.prepare_index_params()
    indexes.add_index("embedding", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=indexes)
    index = store.open_index(name)
    index.upsert(IDS, [[1, 2], [3, 4], [5, 6]])
    (request,) = wire.requests("Upsert")
    assert floats(columns_of(request)["embedding"]).tolist() == [1, 2, 3, 4, 5, 6]
    assert index.search([3, 4], 1)[0].ids == ("b",)
    assert index.fetch(["c"]).vectors.tolist() == [[5, 6]]


def test_a_search_says_what_is_wanted(make_index: Callable[..., Index], wire: Wire) -> None:
    index = make_index(dimension=3, metric="cosine")
    vectors = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    index.upsert([f"id{number}" for number in range(20)], vectors)
    wire.clear()
    index.search(np.asfortranarray(vectors[:3]), 7, ranking="native", consistency="eventual")
    (request,) = wire.requests("Search")
    pairs = {pair.key: pair.value for pair in request.search_params}
    assert (request.collection_name, pairs["anns_field"]) == (index.info.name, "vector")
    assert (pairs["topk"], request.nq, list(request.output_fields)) == ("7", 3, [])
    assert search_parameters(request) == {}
    sent = sent_queries(request)
    assert sent == pytest.approx(vectors[:3] * (sent / vectors[:3]))
    # The exact ranking wants the vectors too.
    index.search(vectors[0], 7, consistency="eventual")
    assert list(wire.requests("Search")[-1].output_fields) == ["vector"]


@pytest.mark.parametrize("k", [1, 20])
def test_each_query_has_its_own_hits(make_index: Callable[..., Index], k: int) -> None:
    index = make_index(dimension=3, metric="euclidean")
    vectors = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    ids = [f"id{number:02}" for number in range(20)]
    index.upsert(ids, vectors)
    for hits, name in zip(index.search(vectors[:5], k), ids[:5], strict=True):
        assert (hits.ids[0], hits.distances[0], len(hits)) == (name, 0.0, k)
    assert index.search(vectors[:2], 3, within=[])[1].ids == ()


def without_vectors(reply: Any) -> None:
    del reply.results.fields_data[:]


def with_one_vector_less(reply: Any) -> None:
    for column in reply.results.fields_data:
        if column.field_name == "vector":
            del column.vectors.float_vector.data[-3:]


@pytest.mark.parametrize("damage", [without_vectors, with_one_vector_less])
def test_hits_without_their_vectors_are_refused(
    make_index: Callable[..., Index], wire: Wire, damage: Callable[[Any], None]
) -> None:
    index = make_index(dimension=3)
    index.upsert(IDS, np.eye(3))
    wire.edit("Search", damage)
    with pytest.raises(BackendError, match="vector"):
        index.search([1, 2, 3], 2)


def test_records_without_their_vectors_are_refused(
    make_index: Callable[..., Index], wire: Wire
) -> None:
    index = make_index(dimension=3)
    index.upsert(IDS, np.eye(3))

    def shortened(reply: Any) -> None:
        for column in reply.fields_data:
            if column.field_name == "vector":
                del column.vectors.float_vector.data[-3:]

    wire.edit("Query", shortened)
    with pytest.raises(vecbridge.VecbridgeError):
        index.fetch(IDS)


def test_a_pymilvus_whose_private_names_are_others_is_given_rows(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pymilvus

    class PublicOnly:
        """pymilvus's client without its private names."""

        def __init__(self, **options: Any) -> None:
            self.__inner = real(**options)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            return getattr(self.__inner, name)

    real = pymilvus.MilvusClient
    monkeypatch.setattr(pymilvus, "MilvusClient", PublicOnly)
    with vecbridge.get_backend("milvus", uri=wire.uri, timeout=5) as store:
        index = store.create_index(f"t_{uuid.uuid4().hex}", dimension=3, fields=FIELDS)
        vectors = np.random.default_rng(5).standard_normal((3, 3)).astype(np.float32)
        index.upsert(IDS, vectors, VALUES)
        found = index.fetch(IDS)
        assert found.vectors.tobytes() == vectors.tobytes()
        assert found.fields["size"] == VALUES["size"]
        assert index.search(vectors[1], 1)[0].ids == ("b",)
        assert index.search(vectors[1], 1)[0].exact
