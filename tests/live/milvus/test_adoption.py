"""Collections that other programs made: FiftyOne's own adapter, or plain pymilvus."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.oracle import oracle
from vecbridge import InvalidArgumentError, SchemaMismatchError, Store
from vecbridge_milvus import MilvusBackend

COUNT = 200


@pytest.fixture(scope="module")
def client(milvus_store: Store) -> Any:
    """The store's own: Milvus Lite admits no other one."""
    assert isinstance(milvus_store.backend, MilvusBackend)
    return milvus_store.backend.client


def make(client: Any, metric: str, index_type: str) -> str:
    """A collection with the fields that FiftyOne's adapter makes."""
    from pymilvus import DataType

    name = f"fo_{uuid.uuid4().hex}"
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=64000)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
    schema.add_field("sample_id", DataType.VARCHAR, max_length=64000)
    indexes = client.prepare_index_params()
    build = {"M": 8, "efConstruction": 64} if index_type == "HNSW" else {}
    indexes.add_index("vector", index_type=index_type, metric_type=metric, params=build)
    client.create_collection(name, schema=schema, index_params=indexes, consistency_level="Session")
    return name


@pytest.mark.parametrize(
    ("word", "metric"), [("L2", "euclidean"), ("IP", "dotproduct"), ("COSINE", "cosine")]
)
@pytest.mark.parametrize("index_type", ["HNSW", "FLAT"])
def test_fiftyones_collections_work_at_once(
    milvus_store: Store, client: Any, word: str, metric: Any, index_type: str
) -> None:
    name = make(client, word, index_type)
    vectors = np.random.default_rng(5).standard_normal((COUNT, 8)).astype(np.float32)
    ids = [f"{number:024x}" for number in range(COUNT)]
    rows = [
        {"pk": key, "vector": vector, "sample_id": f"s{key}"}
        for key, vector in zip(ids, vectors, strict=True)
    ]
    client.upsert(name, rows)
    index = milvus_store.open_index(name, dimension=8, metric=metric)
    assert index.info.fields == {"sample_id": "string"}
    # Without norms, only under euclidean are what a server drops known to be the farthest; and
    # so few records do not show that a server looks at all of them.
    lite = str(client.get_server_version()).startswith("milvus_lite")
    provable = index_type == "FLAT" and metric == "euclidean" and lite
    assert index.capabilities.exact is provable
    assert index.count(consistency="strong") == COUNT
    assert index.fetch(ids[:2]).fields["sample_id"] == [f"s{key}" for key in ids[:2]]
    (hits,) = index.search(vectors[3], 10)
    expected, distances = oracle(metric, ids, vectors, vectors[3], 10)
    # What was just inserted is searched by brute force, whatever the index is called.
    assert hits.ids == expected
    assert hits.distances.tolist() == distances
    assert hits.exact is provable
    certified = index.search(vectors[3], 10, ranking="certified")[0]
    assert (certified.ids, certified.distances.tolist(), certified.exact) == (
        *oracle(metric, ids, vectors, vectors[3], 10),
        True,
    )
    index.upsert(["new"], vectors[3:4], {"sample_id": ["s"]})
    index.delete(ids[:50])
    assert index.count() == COUNT - 49
    assert "new" in index.search(vectors[3], 200)[0].ids


def test_the_fields_of_other_collections_are_named(
    tmp_path: Path,
) -> None:
    """Lite stands in for a newer server: 2.3 takes one field of vectors only."""
    from pymilvus import DataType

    uri, name = str(tmp_path / "two.db"), "two"
    with vecbridge.get_backend("milvus", uri=uri) as store:
        assert isinstance(store.backend, MilvusBackend)
        client = store.backend.client
        schema = client.create_schema(auto_id=False)
        schema.add_field("doc", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("title", DataType.FLOAT_VECTOR, dim=4)
        schema.add_field("text", DataType.FLOAT_VECTOR, dim=8)
        indexes = client.prepare_index_params()
        indexes.add_index("title", index_type="FLAT", metric_type="L2")
        indexes.add_index("text", index_type="FLAT", metric_type="IP")
        client.create_collection(name, schema=schema, index_params=indexes)
        client.insert(name, [{"doc": "a", "title": [0.0] * 4, "text": [1.0] * 8}])
        with pytest.raises(SchemaMismatchError, match=r"title, text.*vector_field"):
            store.open_index(name)
    for vector, dimension, metric in (("title", 4, "euclidean"), ("text", 8, "dotproduct")):
        options: dict[str, Any] = {"uri": uri, "vector_field": vector, "key_field": "doc"}
        with vecbridge.get_backend("milvus", **options) as store:
            info = store.open_index(name).info
            assert (info.dimension, info.metric) == (dimension, metric)
            with pytest.raises(SchemaMismatchError, match="expected metric cosine"):
                store.open_index(name, metric="cosine")
            assert store.open_index(name).search(np.ones(dimension), 3)[0].ids == ("a",)
    store = vecbridge.get_backend("milvus", uri=uri, key_field="title", vector_field="text")
    with store, pytest.raises(SchemaMismatchError, match=r"key_field='title'.*doc"):
        store.open_index(name)


def test_columns_that_may_be_null_are_optional_fields(tmp_path: Path) -> None:
    """Lite stands in for a newer server: 2.3 has no such fields."""
    from pymilvus import DataType

    uri = str(tmp_path / "nulls.db")
    with vecbridge.get_backend("milvus", uri=uri) as store:
        assert isinstance(store.backend, MilvusBackend)
        client = store.backend.client
        schema = client.create_schema(auto_id=False)
        schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
        schema.add_field("always", DataType.INT64)
        schema.add_field("sometimes", DataType.VARCHAR, max_length=64, nullable=True)
        indexes = client.prepare_index_params()
        indexes.add_index("vector", index_type="FLAT", metric_type="L2")
        client.create_collection("nulls", schema=schema, index_params=indexes)
        client.insert("nulls", [{"pk": "a", "vector": [1.0] * 4, "always": 1, "sometimes": None}])
        index = store.open_index("nulls")
        assert index.info.fields == {"always": "integer", "sometimes": "string?"}
        assert index.info.unsupported == {}
        assert index.fetch(["a"]).fields == {"always": [1], "sometimes": [None]}


@pytest.mark.parametrize("name", ["random_sample", "ST_Within", "phrase_match", "match_any"])
def test_words_of_newer_filter_languages_are_no_names_of_fields(tmp_path: Path, name: str) -> None:
    with vecbridge.get_backend("milvus", uri=str(tmp_path / "words.db")) as store:
        with pytest.raises(InvalidArgumentError, match=name):
            store.create_index("words", dimension=2, fields={name: "string"})
        assert store.index_names() == []


def test_a_released_collection_is_loaded_again(milvus_store: Store, client: Any) -> None:
    index = milvus_store.create_index(f"r_{uuid.uuid4().hex}", dimension=3)
    index.upsert(["a"], [[1, 2, 3]])
    client.release_collection(index.info.name)
    assert index.search([1, 2, 3], 1)[0].ids == ("a",)
    client.release_collection(index.info.name)
    assert milvus_store.open_index(index.info.name).count() == 1


@pytest.mark.parametrize("opened", [True, False])
def test_a_load_that_takes_longer_than_a_call_may_is_waited_for(
    milvus_store: Store, client: Any, monkeypatch: pytest.MonkeyPatch, *, opened: bool
) -> None:
    from pymilvus import MilvusClient, MilvusException

    index = milvus_store.create_index(f"l_{uuid.uuid4().hex}", dimension=3)
    index.upsert(["a"], [[1, 2, 3]])
    assert index.count(consistency="strong") == 1
    client.release_collection(index.info.name)
    late = iter(range(3))

    def load_collection(self: Any, name: str, *args: Any, **options: Any) -> None:
        if next(late, None) is not None:
            raise MilvusException(1, f"wait for loading collection timeout, collection: {name}")
        taken(self, name, *args, **options)

    taken = MilvusClient.load_collection
    monkeypatch.setattr(MilvusClient, "load_collection", load_collection)
    read = index if opened else milvus_store.open_index(index.info.name)
    assert read.search([1, 2, 3], 1)[0].ids == ("a",)
    assert next(late, None) is None


def test_a_newer_layout_is_refused(milvus_server_uri: str) -> None:
    from pymilvus import DataType

    name = f"n_{uuid.uuid4().hex}"
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        client: Any = store.backend.client  # type: ignore[attr-defined]
        schema = client.create_schema(auto_id=False, description='{"vecbridge": 99}')
        schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=512)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
        client.create_collection(name, schema=schema)
        with pytest.raises(SchemaMismatchError, match="newer vecbridge"):
            store.open_index(name)
        client.drop_collection(name)
