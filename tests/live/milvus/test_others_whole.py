"""Collections with every kind of column, made by pymilvus: nothing is lost, or it is said."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge import (
    BackendError,
    Index,
    InvalidArgumentError,
    SchemaMismatchError,
    Store,
    UnsupportedError,
)
from vecbridge.transfer import copy, export_records, verify
from vecbridge_milvus import MilvusBackend

IDS = ["1", "2", "30"]
VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4)
LABELS = ["cat", "dog", "日"]


def client_of(store: Store) -> Any:
    """The store's own: Milvus Lite admits no other one."""
    assert isinstance(store.backend, MilvusBackend)
    return store.backend.client


def rows_of(store: Store, name: str) -> dict[int, dict[str, Any]]:
    """Everything that the store holds and does not compute, past vecbridge."""
    client = client_of(store)
    rows = client.query(name, filter="key >= 0", output_fields=["*"], consistency_level="Strong")
    plain = [{each: _plain(row[each]) for each in row if each != "words"} for row in rows]
    return {row["key"]: row for row in plain}


def _plain(value: Any) -> Any:
    return [float(x) for x in value] if isinstance(value, list) and len(value) == 4 else value


@pytest.fixture
def lite(tmp_path: Path) -> Any:
    """Lite stands in for a newer server: it has nulls, several vectors, functions."""
    with vecbridge.get_backend("milvus", uri=tmp_path / "whole.db", vector_field="front") as store:
        yield store


def everything(store: Store) -> str:
    """A collection with a column of every kind, and three rows."""
    from pymilvus import DataType, Function, FunctionType

    client, name = client_of(store), f"e_{uuid.uuid4().hex}"
    schema = client.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("key", DataType.INT64, is_primary=True)
    schema.add_field("front", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("back", DataType.FLOAT_VECTOR, dim=3)
    schema.add_field("label", DataType.VARCHAR, max_length=64)
    schema.add_field("text", DataType.VARCHAR, max_length=256, enable_analyzer=True)
    schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("stars", DataType.INT8, nullable=True)
    schema.add_field("note", DataType.JSON)
    codes = {"element_type": DataType.INT64, "max_capacity": 8}
    schema.add_field("codes", DataType.ARRAY, **codes)
    schema.add_field("maybe", DataType.ARRAY, **codes, nullable=True)
    schema.add_function(
        Function(
            "bm25", FunctionType.BM25, input_field_names=["text"], output_field_names=["words"]
        )
    )
    indexes = client.prepare_index_params()
    indexes.add_index("front", index_type="FLAT", metric_type="L2")
    indexes.add_index("back", index_type="FLAT", metric_type="IP")
    indexes.add_index("words", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
    client.create_collection(name, schema=schema, index_params=indexes)
    client.insert(
        name,
        [
            {
                "key": int(key),
                "front": vector.tolist(),
                "back": [1.0, 2.0, float(at)],
                "label": label,
                "text": f"the {label} and record {key}",
                "stars": None if at else 5,
                "note": {"of": [key, at]},
                "codes": [at, 7],
                "maybe": None if at else [1],
                "extra": {"seen": at},
            }
            for at, (key, vector, label) in enumerate(zip(IDS, VECTORS, LABELS, strict=True))
        ],
    )
    client.load_collection(name)
    return name


def found(store: Store, name: str, words: str) -> list[int]:
    """The keys that a search for words finds."""
    (hits,) = client_of(store).search(
        name, [words], anns_field="words", limit=5, search_params={"metric_type": "BM25"}
    )
    return [hit["key"] if "key" in hit else hit["id"] for hit in hits]


def test_a_field_changes_and_everything_else_stays(lite: Store) -> None:
    name = everything(lite)
    before = rows_of(lite, name)
    index: Index = lite.open_index(name)
    assert dict(index.info.fields) == {"label": "string", "text": "string", "stars": "integer?"}
    assert dict(index.info.unsupported) == {
        "back": "FLOAT_VECTOR",
        "note": "JSON",
        "codes": "ARRAY of INT64",
        "maybe": "ARRAY of INT64, nullable",
        "$meta": "dynamic fields",
    }
    assert index.info.kept
    fetched = index.fetch(IDS)
    np.testing.assert_array_equal(fetched.vectors, VECTORS)
    assert fetched.fields["stars"] == [5, None, None]
    assert found(lite, name, "cat") == [1]

    index.update_fields(["1"], {"label": ["lion"], "text": ["a lion is here"]})
    index.upsert(["2"], VECTORS[:1], {"label": ["dog"], "text": ["x"], "stars": [3]})
    after = rows_of(lite, name)
    expected = {
        **before,
        1: {**before[1], "label": "lion", "text": "a lion is here"},
        2: {**before[2], "front": VECTORS[0].tolist(), "text": "x", "stars": 3},
    }
    assert after == expected
    # What the server computes from a text is computed again.
    assert found(lite, name, "cat") == []
    assert found(lite, name, "lion") == [1]

    with pytest.raises(UnsupportedError, match=r"'4' among them.*back .*note .*codes") as new:
        index.upsert(
            ["1", "4"], VECTORS[:2], {"label": ["x"] * 2, "text": ["x"] * 2, "stars": [1, 2]}
        )
    print(new.value)
    assert rows_of(lite, name) == expected


def test_what_would_be_lost_elsewhere_is_refused_by_name(lite: Store, tmp_path: Path) -> None:
    name = everything(lite)
    before = rows_of(lite, name)
    index, memory = lite.open_index(name), vecbridge.get_backend("sklearn")
    told = (
        "back (FLOAT_VECTOR), note (JSON), codes (ARRAY of INT64), "
        "maybe (ARRAY of INT64, nullable), $meta (dynamic fields)"
    )
    for refused in (
        lambda: copy(index, memory, "copied"),
        lambda: export_records(index, tmp_path / "out.npz"),
        lambda: verify(index, index),
    ):
        with pytest.raises(UnsupportedError) as why:
            refused()
        assert told in str(why.value)
    print(why.value)
    # Without them, the records make the round, and the columns stay where they are.
    copy(index, memory, "copied", drop_unsupported=True)
    copied = memory.open_index("copied")
    copied.update_fields(["30"], {"label": ["changed"]})
    everything_else = copied.fetch(IDS)
    index.upsert(IDS, everything_else.vectors, everything_else.fields)
    assert rows_of(lite, name) == {**before, 30: {**before[30], "label": "changed"}}


def test_an_alias_opens_its_collection(milvus_store: Store) -> None:
    index = milvus_store.create_index(f"a_{uuid.uuid4().hex}", dimension=4, metric="euclidean")
    client, alias = client_of(milvus_store), f"alias_{uuid.uuid4().hex}"
    try:
        client.create_alias(index.info.name, alias)
    except Exception as error:  # noqa: BLE001 - what pymilvus raises
        pytest.skip(f"no aliases here: {error}")
    other = milvus_store.open_index(alias)
    other.upsert(IDS, VECTORS)
    assert index.count(consistency="session") == 3
    other.delete(["1"])
    assert index.fetch(IDS, consistency="session").missing == ("1",)
    assert other.search(VECTORS[1], 1, consistency="strong")[0].ids == ("2",)
    with pytest.raises(InvalidArgumentError, match="is an alias of a collection"):
        milvus_store.drop_index(alias)
    assert index.count(consistency="strong") == 2
    client.drop_alias(alias)


@pytest.fixture
def parted(milvus_server_uri: str) -> Any:
    """A store, and a collection of which half of the records are in each of two partitions."""
    from pymilvus import DataType

    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        client, name = client_of(store), f"p_{uuid.uuid4().hex}"
        schema = client.create_schema(auto_id=False)
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("front", DataType.FLOAT_VECTOR, dim=4)
        schema.add_field("label", DataType.VARCHAR, max_length=64)
        indexes = client.prepare_index_params()
        indexes.add_index("front", index_type="FLAT", metric_type="L2")
        client.create_collection(name, schema=schema)
        client.create_index(name, indexes)
        for partition, part in (("old", slice(0, 2)), ("new", slice(2, 3))):
            client.create_partition(name, partition)
            rows = zip(IDS[part], VECTORS[part], LABELS[part], strict=True)
            client.insert(
                name,
                [{"key": key, "front": row, "label": label} for key, row, label in rows],
                partition_name=partition,
            )
        yield store, name
        store.drop_index(name)


def test_partitions_that_are_not_loaded_are_not_left_out(parted: Any) -> None:
    store, name = parted
    client = client_of(store)
    client.load_partitions(name, ["old"])
    assert client.get_load_state(name)["state"].name == "Loaded"
    index = store.open_index(name, consistency="strong")
    assert index.count() == 3
    assert index.search(VECTORS[2], 1, ranking="certified")[0].ids == ("30",)


def test_records_stay_in_their_partitions(parted: Any) -> None:
    store, name = parted
    index, client = store.open_index(name, consistency="strong"), client_of(store)
    index.upsert(["30", "1", "4"], VECTORS, {"label": ["a", "b", "c"]})
    assert index.count() == 4

    def within(partition: str) -> dict[str, str]:
        rows = client.query(
            name,
            filter='key != ""',
            partition_names=[partition],
            output_fields=["label"],
            consistency_level="Strong",
        )
        return {row["key"]: row["label"] for row in rows}

    assert within("old") == {"1": "b", "2": "dog"}
    assert within("new") == {"30": "a"}
    assert within("_default") == {"4": "c"}
    index.delete(["1"])
    assert within("old") == {"2": "dog"}
    client.insert(name, [{"key": "2", "front": VECTORS[0], "label": "x"}], partition_name="new")
    with pytest.raises(BackendError, match=r"id '2' is in the partitions '\w+' and '\w+'"):
        index.upsert(["2"], VECTORS[:1], {"label": ["y"]})


def test_a_partition_that_was_made_in_a_collection_of_ours(milvus_server_uri: str) -> None:
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        made = store.create_index(f"o_{uuid.uuid4().hex}", dimension=4, metric="euclidean")
        client, name = client_of(store), made.info.name
        client.create_partition(name, "moved")
        row = {"pk": "1", "vector": VECTORS[0], "vecbridge_norm": float(np.linalg.norm(VECTORS[0]))}
        client.insert(name, [row], partition_name="moved")
        index = store.open_index(name, consistency="strong")
        index.upsert(["1", "2"], VECTORS[1:])
        assert index.count() == 2
        (hits,) = index.search(VECTORS[0], 3)
        assert (hits.ids, hits.exact) == (("1", "2"), True)
        store.drop_index(name)


@pytest.mark.parametrize(
    ("kind", "word", "index_type"),
    [("FLOAT16_VECTOR", "L2", "FLAT"), ("BINARY_VECTOR", "HAMMING", "BIN_FLAT")],
)
def test_vectors_of_other_types_are_refused_by_name(
    milvus_server_uri: str, kind: str, word: str, index_type: str
) -> None:
    from pymilvus import DataType

    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        client, name = client_of(store), f"k_{uuid.uuid4().hex}"
        schema = client.create_schema(auto_id=False)
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("half", DataType[kind], dim=8)
        indexes = client.prepare_index_params()
        indexes.add_index("half", index_type=index_type, metric_type=word)
        client.create_collection(name, schema=schema, index_params=indexes)
        with pytest.raises(SchemaMismatchError, match=rf"has half \({kind}\)") as why:
            store.open_index(name)
        print(why.value)
        client.drop_collection(name)
