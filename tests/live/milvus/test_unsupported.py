"""Collections whose rows hold what no type of field expresses: named, and never lost unasked."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge import Store, UnsupportedError
from vecbridge.transfer import copy, export_records, import_records, verify
from vecbridge_milvus import MilvusBackend

IDS = ["a", "b", "c"]
ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


def client_of(store: Store) -> Any:
    """The store's own: Milvus Lite admits no other one."""
    assert isinstance(store.backend, MilvusBackend)
    return store.backend.client


def make(store: Store, *, dynamic: bool = False, **columns: Any) -> str:
    """A collection with a label and these columns besides, and three rows."""
    from pymilvus import DataType

    client, name = client_of(store), f"u_{uuid.uuid4().hex}"
    schema = client.create_schema(auto_id=False, enable_dynamic_field=dynamic)
    schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("label", DataType.VARCHAR, max_length=64)
    for column, (options, _) in columns.items():
        schema.add_field(column, **options)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=indexes)
    values = {column: value for column, (_, value) in columns.items()}
    extra = {"seen": 7, "tags": ["x"]} if dynamic else {}
    client.upsert(
        name,
        [
            {"pk": key, "vector": vector.tolist(), "label": "cat", **values, **extra}
            for key, vector in zip(IDS, ROWS, strict=True)
        ],
    )
    return name


def rows_of(store: Store, name: str) -> list[dict[str, Any]]:
    """Everything that the store holds, past vecbridge."""
    client = client_of(store)
    client.load_collection(name)
    rows = client.query(name, filter='pk != ""', output_fields=["*"], consistency_level="Strong")
    return sorted(({**row, "vector": None} for row in rows), key=lambda row: str(row["pk"]))


def kinds() -> dict[str, tuple[dict[str, Any], str]]:
    """Return the declaration of each kind of collection, and its name in messages."""
    from pymilvus import DataType

    note = {"note": ({"datatype": DataType.JSON}, {"of": ["x", 1]})}
    array = {
        "codes": (
            {"datatype": DataType.ARRAY, "element_type": DataType.INT64, "max_capacity": 8},
            [1, 2],
        )
    }
    return {
        "JSON": (note, "note (JSON)"),
        "ARRAY": (array, "codes (ARRAY of INT64)"),
        "dynamic": ({"dynamic": True}, "$meta (dynamic fields)"),
        "all of them": (
            {**note, **array, "dynamic": True},
            "note (JSON), codes (ARRAY of INT64), $meta (dynamic fields)",
        ),
    }


@pytest.fixture(params=["JSON", "ARRAY", "dynamic", "all of them"])
def collection(request: pytest.FixtureRequest, milvus_store: Store) -> tuple[str, str]:
    """A collection of each kind, and what is to be said of it."""
    columns, told = kinds()[request.param]
    return make(milvus_store, **columns), told


def test_what_would_be_lost_is_named_and_refused(
    milvus_store: Store, collection: tuple[str, str], tmp_path: Path
) -> None:
    name, told = collection
    before = rows_of(milvus_store, name)
    index = milvus_store.open_index(name, consistency="strong")
    assert index.info.fields == {"label": "string"}
    assert ", ".join(f"{key} ({kind})" for key, kind in index.info.unsupported.items()) == told
    memory = vecbridge.get_backend("sklearn")
    other = memory.create_index("same", dimension=4, metric="euclidean", fields={"label": "string"})
    other.upsert(IDS, ROWS, {"label": ["dog"] * 3})
    export_records(other, tmp_path / "same.npz")
    refusals: dict[str, Callable[[], object]] = {
        "upsert": lambda: index.upsert(["a"], ROWS[:1], {"label": ["dog"]}),
        "a new record": lambda: index.upsert(["z"], ROWS[:1], {"label": ["dog"]}),
        "copy": lambda: copy(index, memory, "copied"),
        "copy onto it": lambda: copy(other, milvus_store, name, resume=True),
        "export": lambda: export_records(index, tmp_path / "out.npz"),
        "import": lambda: import_records(tmp_path / "same.npz", milvus_store, name),
        "verify": lambda: verify(index, other),
        "verify the other way": lambda: verify(other, index),
    }
    if index.info.kept:
        # What an upsert leaves alone is not lost.
        del refusals["upsert"], refusals["import"]
        if not index.info.required:
            del refusals["a new record"]
    for what, call in refusals.items():
        with pytest.raises((UnsupportedError, vecbridge.IndexExistsError)) as caught:
            call()
        if what in ("upsert", "a new record", "import") and index.info.required:
            # To say that it may be lost would not help: Milvus takes no row without it.
            assert re.search("takes (none|no new record) without", str(caught.value)), what
            assert all(each in str(caught.value) for each in index.info.required), what
            assert "drop_unsupported" not in str(caught.value), what
        elif what != "copy onto it":
            assert told in str(caught.value), what
            assert "drop_unsupported" in str(caught.value), what
    assert memory.index_names() == ["same"]
    assert [each.name for each in tmp_path.iterdir()] == ["same.npz"]
    assert rows_of(milvus_store, name) == before


def test_what_the_caller_gives_up_is_left_out(
    milvus_store: Store, collection: tuple[str, str], tmp_path: Path
) -> None:
    name, _ = collection
    index = milvus_store.open_index(name, consistency="strong")
    memory = vecbridge.get_backend("sklearn")
    assert copy(index, memory, "copied", drop_unsupported=True).written == 3
    copied = memory.open_index("copied")
    assert copied.info.unsupported == {}
    assert copied.fetch(["b"]).fields == {"label": ["cat"]}
    assert verify(index, copied, drop_unsupported=True).same
    assert export_records(index, tmp_path / "out.npz", drop_unsupported=True) == 3
    before = rows_of(milvus_store, name)
    if index.info.required and not index.info.kept:
        # Milvus asks for a value of every column that has no default.
        with pytest.raises(UnsupportedError, match="takes none without"):
            index.upsert(["a"], ROWS[:1], {"label": ["dog"]}, drop_unsupported=True)
        assert rows_of(milvus_store, name) == before
    else:
        index.upsert(["a"], ROWS[:1], {"label": ["dog"]}, drop_unsupported=True)
        assert index.fetch(["a"]).fields == {"label": ["dog"]}
        after = rows_of(milvus_store, name)
        kept = before[0] if index.info.kept else after[0]
        assert after == [{**kept, "label": "dog"}, *before[1:]]
    index.delete(["c"])
    assert index.count() == 2


def test_a_collection_of_our_own_has_nothing_unsupported(milvus_store: Store) -> None:
    for dimension in (1, 5):
        index = milvus_store.create_index(
            f"o_{uuid.uuid4().hex}", dimension=dimension, fields={"label": "string", "n": "float"}
        )
        assert index.info.unsupported == {}
        assert milvus_store.open_index(index.info.name).info.unsupported == {}


def test_columns_that_may_be_null_and_are_no_fields_are_named(tmp_path: Path) -> None:
    """Lite stands in for a newer server: 2.3 has no nulls."""
    from pymilvus import DataType

    nullable: dict[str, Any] = {
        "note": ({"datatype": DataType.JSON, "nullable": True}, {"of": "x"}),
        "codes": (
            {
                "datatype": DataType.ARRAY,
                "element_type": DataType.INT64,
                "max_capacity": 8,
                "nullable": True,
            },
            [1],
        ),
        "title": ({"datatype": DataType.VARCHAR, "max_length": 64, "nullable": True}, None),
    }
    with vecbridge.get_backend("milvus", uri=tmp_path / "null.db") as store:
        name = make(store, **nullable)
        index, before = store.open_index(name), rows_of(store, name)
        assert index.info.fields == {"label": "string", "title": "string?"}
        assert index.info.unsupported == {
            "note": "JSON, nullable",
            "codes": "ARRAY of INT64, nullable",
        }
        assert index.fetch(["a"]).fields == {"label": ["cat"], "title": [None]}
        row = {"label": ["dog"], "title": ["x"]}
        index.upsert(["a"], ROWS[:1], row)
        assert index.fetch(["a"]).fields == row
        assert rows_of(store, name) == [{**before[0], "label": "dog", "title": "x"}, *before[1:]]
