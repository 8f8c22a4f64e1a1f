"""Collections whose fields hold less than their types: filters are exact, writes whole or refused.

``VECBRIDGE_FILTERS`` says how many filters are tried.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.filters.asking import how_many
from tests.filters.narrow import COUNT, FIELDS, IDS, LIMITS, columns, filters
from vecbridge import (
    Budgets,
    Index,
    InvalidArgumentError,
    InvalidIdError,
    SchemaMismatchError,
    Store,
    UnsupportedError,
    field,
)
from vecbridge.transfer import checksum, copy, export_records, import_records
from vecbridge_milvus import MilvusBackend

VECTORS = [[number, 0.0] for number in range(COUNT)]
ROW: dict[str, Any] = {"f32": 0.5, "i8": 1, "i16": 1, "i32": 1, "short": "a"}


def client_of(store: Store) -> Any:
    """The store's own: Milvus Lite admits no other one."""
    assert isinstance(store.backend, MilvusBackend)
    return store.backend.client


def make(
    store: Store,
    fields: Mapping[str, dict[str, Any]],
    *,
    key: str = "id",
    key_bytes: int = 64,
) -> str:
    """An empty collection with these columns, as plain pymilvus makes it."""
    from pymilvus import DataType

    store.index_names()
    client, name = client_of(store), f"n_{uuid.uuid4().hex}"
    schema = client.create_schema(auto_id=False)
    schema.add_field(key, DataType.VARCHAR, is_primary=True, max_length=key_bytes)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    for column, options in fields.items():
        schema.add_field(column, **options)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=indexes)
    return name


def narrow(store: Store, *, key_bytes: int = 64) -> Index:
    """An empty index whose fields are those of :mod:`tests.filters.narrow`."""
    from pymilvus import DataType

    fields: dict[str, dict[str, Any]] = {
        "f32": {"datatype": DataType.FLOAT},
        "i8": {"datatype": DataType.INT8},
        "i16": {"datatype": DataType.INT16},
        "i32": {"datatype": DataType.INT32},
        "short": {"datatype": DataType.VARCHAR, "max_length": 5},
    }
    return store.open_index(make(store, fields, key_bytes=key_bytes), consistency="strong")


@pytest.fixture(scope="module")
def shared(milvus_store: Store) -> Index:
    """One that holds a record, which a test must leave as it is."""
    index = narrow(milvus_store)
    index.upsert(["r0"], VECTORS[:1], {each: [one] for each, one in ROW.items()})
    return index


def test_the_limits_are_those_of_the_schema(milvus_store: Store) -> None:
    info = narrow(milvus_store, key_bytes=7).info
    assert (dict(info.fields), dict(info.limits), info.max_id_bytes) == (FIELDS, LIMITS, 7)
    ours = milvus_store.create_index(f"o_{uuid.uuid4().hex}", dimension=2, fields=FIELDS).info
    assert (dict(ours.limits), ours.max_id_bytes) == ({}, 512)


def test_random_filters_mean_the_same_however_they_are_asked(milvus_store: Store) -> None:
    index = narrow(milvus_store)
    index.upsert(IDS, VECTORS, columns())
    wrong = []
    for number, (where, accepted) in enumerate(filters(how_many(100), seed=2)):
        wanted = [IDS[row] for row in sorted(accepted)]
        for k in (COUNT, None):
            found = index.search([0, 0], k, where=where)[0]
            if list(found.ids) != wanted:
                wrong.append(f"k={k}: {found.ids} for {wanted}: {where}")
        if number % 10 == 0:
            near = index.range_search([0, 0], 1e6, where=where)[0]
            if list(near.ids) != wanted:
                wrong.append(f"range: {near.ids} for {wanted}: {where}")
    assert wrong == []


def test_what_fits_comes_back_as_it_was_written(milvus_store: Store) -> None:
    index = narrow(milvus_store, key_bytes=7)
    largest = float(np.finfo(np.float32).max)
    rows: dict[str, list[Any]] = {
        "f32": [largest, -largest, 2.0**-149, float(np.float32(0.1))],
        "i8": [127, -128, 0, 1],
        "i16": [32767, -32768, 0, 1],
        "i32": [2**31 - 1, -(2**31), 0, 1],
        "short": ["abcde", "日é", "", "\U0001f600"],
    }
    ids = ["1234567", "日日7", "a", "b"]
    index.upsert(ids, VECTORS[:4], rows)
    assert index.fetch(ids).fields == rows


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("f32", 0.1, "finite floats of 32 bits"),
        ("f32", 1e300, "finite floats of 32 bits"),
        ("f32", 1e-300, "finite floats of 32 bits"),
        ("f32", 2**24 + 1, "finite floats of 32 bits"),
        ("i8", 128, "integers from -128 to 127"),
        ("i16", -32769, "integers from -32768 to 32767"),
        ("i32", 2**31, "integers from -2147483648 to 2147483647"),
        ("short", "abcdef", "at most 5 bytes of UTF-8"),
        ("short", "日本", "at most 5 bytes of UTF-8"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    milvus_store: Store, shared: Index, tmp_path: Path, name: str, value: object, said: str
) -> None:
    index, before = shared, checksum(shared)
    rows = {each: [one] * 9000 for each, one in ROW.items()}
    rows[name][8998] = value
    ids, vectors = [f"r{number}" for number in range(9000)], [[1.0, 2.0]] * 9000
    with pytest.raises(InvalidArgumentError, match=f"'{name}' holds .*{said}") as told:
        index.upsert(ids, vectors, rows)
    assert "row 8998" in str(told.value)
    assert "'r8998'" in str(told.value)
    memory = vecbridge.get_backend("sklearn").create_index(
        "f", dimension=2, metric="euclidean", fields=FIELDS
    )
    memory.upsert(ids, vectors, rows)
    path = tmp_path / "photos.npz"
    export_records(memory, path)
    with pytest.raises(InvalidArgumentError, match=said) as told:
        import_records(path, milvus_store, index.info.name, batch_bytes=4096)
    for word in (str(path), f"'{name}'", "row 8998 ", "'r8998'"):
        assert word in str(told.value)
    assert checksum(index) == before


def test_an_id_that_the_key_does_not_hold_is_refused_where_it_would_be_written(
    milvus_store: Store, tmp_path: Path
) -> None:
    index = narrow(milvus_store, key_bytes=7)
    row = {each: [one] * 2 for each, one in ROW.items()}
    for name in ("12345678", "日本語"):
        with pytest.raises(InvalidIdError, match="at most 7 bytes of UTF-8 in this index") as told:
            index.upsert(["a", name], VECTORS[:2], row)
        assert repr(name) in str(told.value)
        memory = vecbridge.get_backend("sklearn").create_index(
            "f", dimension=2, metric="euclidean", fields=FIELDS
        )
        memory.upsert(["a", name], VECTORS[:2], row)
        path = tmp_path / f"{len(name)}.npz"
        export_records(memory, path)
        with pytest.raises(InvalidIdError, match="at most 7 bytes") as told:
            import_records(path, milvus_store, index.info.name)
        assert "row 1 " in str(told.value)
        assert index.fetch([name]).missing == (name,)
        index.delete([name])
    assert index.count() == 0


def test_a_copy_that_does_not_fit_is_refused_before_anything_is_written(
    milvus_store: Store,
) -> None:
    index = narrow(milvus_store)
    # Five records at a time.
    budgets = Budgets(scan_bytes=5 * 2 * 4)
    store = Store(vecbridge.get_backend("sklearn").backend, budgets=budgets)
    memory = store.create_index("f", dimension=2, metric="euclidean", fields=FIELDS)
    rows = {each: [one] * COUNT for each, one in ROW.items()}
    rows["short"][-1] = "too long"
    memory.upsert(IDS, VECTORS, rows)
    with pytest.raises(InvalidArgumentError, match="at most 5 bytes") as told:
        copy(memory, milvus_store, index.info.name)
    assert repr(IDS[-1]) in str(told.value)
    assert index.count() == 0


def test_a_field_named_like_a_word_of_the_language_is_filtered_all_the_same(
    milvus_store: Store,
) -> None:
    from pymilvus import DataType

    words = ["is", "Null", "like", "exists"]
    index = milvus_store.open_index(
        make(milvus_store, {word: {"datatype": DataType.INT64} for word in [*words, "n"]}),
        consistency="strong",
    )
    values = {word: [number % 3 for number in range(9)] for word in [*words, "n"]}
    index.upsert(IDS[:9], VECTORS[:9], values)
    for word in words:
        for where in (field(word) == 1, (field("n") == 1) & ~(field(word) != 1)):
            for k in (9, None):
                assert index.search([0, 0], k, where=where)[0].ids == tuple(IDS[1:9:3]), word
        with pytest.raises(InvalidArgumentError, match=f"cannot be named {word}"):
            milvus_store.create_index("w", dimension=2, fields={word: "integer"})


def test_a_key_named_like_a_word_of_the_language_is_refused_by_lite_alone(
    milvus_store: Store, milvus_uri: str
) -> None:
    name = make(milvus_store, {}, key="is")
    if not milvus_uri.endswith(".db"):
        index = milvus_store.open_index(name, consistency="strong")
        index.upsert(IDS[:3], VECTORS[:3])
        assert index.fetch(IDS[1:3]).ids == tuple(IDS[1:3])
        assert index.search([0, 0], 2, within=IDS[1:3])[0].ids == tuple(IDS[1:3])
    else:
        with pytest.raises(SchemaMismatchError, match="'is', a word of Milvus's filter language"):
            milvus_store.open_index(name)


def test_a_collection_that_asks_for_more_than_records_have_is_not_written(
    milvus_store: Store,
) -> None:
    from pymilvus import DataType

    name = make(milvus_store, {"note": {"datatype": DataType.JSON}})
    client_of(milvus_store).upsert(name, [{"id": "a", "vector": [0, 0], "note": {"x": 1}}])
    index = milvus_store.open_index(name, consistency="strong")
    assert index.info.required == {"note"}
    # Where a column is kept through an upsert, only a record that is new would lack it.
    written = "b" if index.info.kept else "a"
    for dropped in (False, True):
        with pytest.raises(UnsupportedError, match=r"takes no.* without.* note \(JSON\)") as told:
            index.upsert([written], [[1, 1]], drop_unsupported=dropped)
        assert "drop_unsupported" not in str(told.value)
    assert index.fetch(["a"]).vectors.tolist() == [[0, 0]]
    index.delete(["a"])
    assert index.count() == 0
