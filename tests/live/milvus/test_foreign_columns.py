"""Collections that plain pymilvus made: read and written without loss, or refused by name."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge import (
    FieldLimits,
    Filter,
    Index,
    InvalidArgumentError,
    Store,
    UnsupportedError,
    field,
)
from vecbridge.transfer import copy, verify
from vecbridge_milvus import MilvusBackend

IDS = ["a", "b", "c"]
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)
PLAIN: dict[str, list[Any]] = {
    "label": ["cat", "", "日\U00020bb7"],
    "taken": [1_764_417_600_000_000, 0, -(2**63)],
    "stars": [5, -(2**31), 0],
    "price": [0.5, -0.0, float(np.float32(0.1))],
    "score": [1e300, 5e-324, 0.1],
    "seen": [True, False, True],
    "tags": [["x", "y"], [], ["日", 'a"\\b']],
}
TYPES = {
    "label": "string",
    "taken": "integer",
    "stars": "integer",
    "price": "float",
    "score": "float",
    "seen": "boolean",
    "tags": "strings",
}
CODES: list[Any] = [[1, 2], [], [3]]
NOTES: list[Any] = [{"of": "x"}, {}, {"n": [1]}]


def client_of(store: Store) -> Any:
    """The store's own: Milvus Lite admits no other one."""
    assert isinstance(store.backend, MilvusBackend)
    return store.backend.client


def make(store: Store, *, nullable: bool = False, others: bool = False, **columns: Any) -> str:
    """An empty collection with a column of each kind, or with these alone."""
    from pymilvus import DataType

    client, name = client_of(store), f"f_{uuid.uuid4().hex}"
    schema = client.create_schema(auto_id=False, enable_dynamic_field=others)
    schema.add_field("doc", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=2)
    texts = {"element_type": DataType.VARCHAR, "max_capacity": 8, "max_length": 16}
    plain: dict[str, Any] = {
        "label": {"datatype": DataType.VARCHAR, "max_length": 64},
        "taken": {"datatype": DataType.INT64},
        "stars": {"datatype": DataType.INT32},
        "price": {"datatype": DataType.FLOAT},
        "score": {"datatype": DataType.DOUBLE},
        "seen": {"datatype": DataType.BOOL},
        "tags": {"datatype": DataType.ARRAY, **texts},
    }
    for column, options in (columns or plain).items():
        schema.add_field(column, **options, **({"nullable": True} if nullable else {}))
    if others:
        whole = {"element_type": DataType.INT64, "max_capacity": 8}
        schema.add_field("codes", DataType.ARRAY, **whole)
        schema.add_field("note", DataType.JSON)
    indexes = client.prepare_index_params()
    indexes.add_index("embedding", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=indexes)
    return name


def fill(store: Store, name: str, columns: dict[str, list[Any]]) -> None:
    """Three rows, written by pymilvus."""
    rows = [
        {"doc": key, "embedding": vector.tolist(), **{each: columns[each][at] for each in columns}}
        for at, (key, vector) in enumerate(zip(IDS, VECTORS, strict=True))
    ]
    client_of(store).upsert(name, rows)


def raw(store: Store, name: str) -> dict[str, dict[str, Any]]:
    """Everything that the store holds, past vecbridge."""
    client = client_of(store)
    client.load_collection(name)
    rows = client.query(name, filter='doc != ""', output_fields=["*"], consistency_level="Strong")
    return {row["doc"]: {**row, "embedding": [*map(float, row["embedding"])]} for row in rows}


def test_every_column_that_has_a_type_makes_the_round(milvus_store: Store) -> None:
    name = make(milvus_store)
    fill(milvus_store, name, PLAIN)
    before = raw(milvus_store, name)
    index = milvus_store.open_index(name, consistency="strong")
    assert index.info.fields == TYPES
    assert index.info.unsupported == {}
    assert index.info.limits["stars"].largest == 2**31 - 1
    assert index.info.limits["tags"].max_strings == 8
    assert index.fetch(IDS).fields == PLAIN
    index.update_fields(["b"], {"tags": [["new", ""]]})
    index.upsert(["a"], VECTORS[:1], {each: PLAIN[each][:1] for each in PLAIN})
    assert raw(milvus_store, name) == {**before, "b": {**before["b"], "tags": ["new", ""]}}
    memory = vecbridge.get_backend("sklearn")
    assert copy(index, memory, "copied").written == 3
    assert verify(index, memory.open_index("copied")).same
    index.delete(IDS)
    copy(memory.open_index("copied"), milvus_store, name, resume=True)
    assert raw(milvus_store, name) == {**before, "b": {**before["b"], "tags": ["new", ""]}}


def test_filters_on_columns_of_others_mean_what_they_mean(milvus_store: Store) -> None:
    name = make(milvus_store)
    fill(milvus_store, name, PLAIN)
    index = milvus_store.open_index(name, consistency="strong")
    expected: dict[Filter, str] = {
        field("tags").contains("x"): "a",
        ~field("tags").contains("x"): "bc",
        field("tags").contains_any(["日", "y"]): "ac",
        field("tags").contains('a"\\b'): "c",
        field("label").starts_with("日"): "c",
        field("label").contains("a"): "a",
        field("taken") < 0: "c",
        field("price") == 0.1: "",
        field("price") == float(np.float32(0.1)): "c",
        field("seen") == True: "ac",  # noqa: E712
        field("stars").between(0, 5): "ac",
    }
    for where, ids in expected.items():
        for k in (3, None):
            assert "".join(sorted(index.search([0, 0], k, where=where)[0].ids)) == ids, str(where)


def test_a_list_that_the_column_does_not_hold_is_refused(milvus_store: Store) -> None:
    """A server of 2.3.5 takes any list, whatever its column was made for."""
    name = make(milvus_store)
    fill(milvus_store, name, PLAIN)
    before = raw(milvus_store, name)
    index = milvus_store.open_index(name, consistency="strong")
    longest = index.info.limits["tags"].max_bytes
    for beyond in (["x"] * 9, ["x" * (longest + 1)]):
        with pytest.raises(InvalidArgumentError, match="'tags' holds lists of at most 8 strings"):
            index.update_fields(["a"], {"tags": [beyond]})
    assert raw(milvus_store, name) == before
    index.update_fields(["a"], {"tags": [["x" * longest] * 8]})
    assert index.fetch(["a"]).fields["tags"] == [["x" * longest] * 8]


def test_what_no_type_expresses_is_named_and_nothing_is_written(milvus_store: Store) -> None:
    name = make(milvus_store, others=True)
    fill(milvus_store, name, {**PLAIN, "codes": CODES, "note": NOTES, "extra": [1, "x", None]})
    before = raw(milvus_store, name)
    index = milvus_store.open_index(name, consistency="strong")
    assert index.info.fields == TYPES
    assert index.info.unsupported == {
        "codes": "ARRAY of INT64",
        "note": "JSON",
        "$meta": "dynamic fields",
    }
    assert index.fetch(IDS).fields == PLAIN
    row = {each: PLAIN[each][:1] for each in PLAIN}
    writes: list[Callable[[], object]] = [
        lambda: index.upsert(["a"], VECTORS[:1], row),
        lambda: index.update_fields(["a"], {"stars": [PLAIN["stars"][0]]}),
    ]
    refused: list[Callable[[], object]] = [
        lambda: copy(index, vecbridge.get_backend("sklearn"), "copied")
    ]
    if index.info.kept:
        for write in writes:
            write()
    else:
        refused += writes
    for write in refused:
        with pytest.raises(UnsupportedError, match=r"codes \(ARRAY of INT64\), note \(JSON\)"):
            write()
    assert raw(milvus_store, name) == before


def test_numbers_that_are_none_are_read_as_they_are(milvus_store: Store) -> None:
    from pymilvus import DataType

    name = make(milvus_store, score={"datatype": DataType.DOUBLE})
    fill(milvus_store, name, {"score": [math.nan, math.inf, 1.0]})
    index = milvus_store.open_index(name, consistency="strong")
    found = index.fetch(IDS).fields["score"]
    assert [*map(str, found)] == ["nan", "inf", "1.0"]
    for where, ids in (
        (field("score") > 0, "bc"),
        (~(field("score") > 0), "a"),
        (field("score") != 1.0, "ab"),
        (~(field("score") != 1.0), "c"),
        (field("score").is_in([1.0, 2.0]), "c"),
    ):
        for k in (3, None):
            assert "".join(sorted(index.search([0, 0], k, where=where)[0].ids)) == ids, str(where)
    memory = vecbridge.get_backend("sklearn")
    with pytest.raises(InvalidArgumentError, match="'score' holds finite floats; got 'nan'"):
        copy(index, memory, "copied")


@pytest.fixture
def nulls(tmp_path: Path) -> Any:
    """Lite stands in for a newer server: 2.3 has no nulls."""
    with vecbridge.get_backend("milvus", uri=tmp_path / "nulls.db") as store:
        yield store


def test_columns_that_may_be_null_make_the_round(nulls: Store) -> None:
    name = make(nulls, nullable=True)
    rows: dict[str, list[Any]] = {each: [*column[:2], None] for each, column in PLAIN.items()}
    fill(nulls, name, rows)
    before = raw(nulls, name)
    index = nulls.open_index(name)
    assert index.info.fields == {each: f"{kind}?" for each, kind in TYPES.items()}
    assert index.fetch(IDS).fields == rows
    for each in PLAIN:
        assert index.search([0, 0], 3, where=field(each).is_missing())[0].ids == ("c",)
    assert index.search([0, 0], 3, where=~field("tags").contains("x"))[0].ids == ("b", "c")
    assert index.search([0, 0], 3, where=~(field("stars") == 5))[0].ids == ("b", "c")
    assert index.search([0, 0], 3, where=field("stars") != 5)[0].ids == ("b",)
    index.update_fields(["a"], {"tags": [None], "label": [None]})
    after = {**before, "a": {**before["a"], "tags": None, "label": None}}
    assert raw(nulls, name) == after
    memory = vecbridge.get_backend("sklearn")
    copy(index, memory, "copied")
    assert verify(index, memory.open_index("copied")).same
    index.delete(IDS)
    copy(memory.open_index("copied"), nulls, name, resume=True)
    assert raw(nulls, name) == after


def test_a_column_that_has_a_default_takes_no_missing_value(nulls: Store) -> None:
    """The server would keep the default in its place, and acknowledge it."""
    from pymilvus import DataType

    name = make(nulls, n={"datatype": DataType.INT64, "default_value": 7}, nullable=True)
    fill(nulls, name, {"n": [None, 0, 1]})
    index: Index = nulls.open_index(name)
    assert index.info.fields == {"n": "integer"}
    assert index.fetch(IDS).fields == {"n": [7, 0, 1]}
    with pytest.raises(InvalidArgumentError, match=r"'integer\?'"):
        index.upsert(["a"], VECTORS[:1], {"n": [None]})
    assert index.fetch(IDS).fields == {"n": [7, 0, 1]}


def test_our_own_columns_hold_what_the_contract_allows(milvus_store: Store) -> None:
    fields: dict[str, Any] = {"tags": "strings?", "at": "timestamp", "tags__missing": "string"}
    index = milvus_store.create_index(f"o_{uuid.uuid4().hex}", dimension=2, fields=fields)
    assert index.info.limits.get("tags", FieldLimits()) == FieldLimits()
    now = datetime(2026, 11, 30, 10, 0, 0, 1, tzinfo=timezone.utc)
    rows: dict[str, list[Any]] = {
        "tags": [None, [], ["x"]],
        "at": [now] * 3,
        "tags__missing": ["true", "", "x"],
    }
    index.upsert(IDS, VECTORS + 1, rows)
    for opened in (index, milvus_store.open_index(index.info.name)):
        assert dict(opened.info.fields) == fields
        assert opened.info.unsupported == {}
        assert opened.fetch(IDS, consistency="strong").fields == rows
