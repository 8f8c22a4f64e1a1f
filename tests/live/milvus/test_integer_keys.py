"""Collections of others whose keys are integers: ids are the digits, on every call."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.oracle import oracle
from vecbridge import IdRange, Index, InvalidIdError, Store, UnsupportedError, field
from vecbridge.transfer import copy, export_records, import_records, verify
from vecbridge_milvus import MilvusBackend, MilvusIndex

KEYS = [
    -(2**63),
    -(2**63) + 1,
    -42,
    -5,
    0,
    1,
    2,
    9,
    10,
    11,
    19,
    100,
    2**53 + 1,
    2**63 - 2,
]
IDS = [str(key) for key in KEYS]
VECTORS = np.random.default_rng(2).standard_normal((len(KEYS), 4)).astype(np.float32)
BAD = ["abc", "007", "+5", "-0", "1.0", " 1", "1_0", "٣", str(2**63), str(-(2**63) - 1)]


def client_of(store: Store) -> Any:
    """The store's own: Milvus Lite admits no other one."""
    assert isinstance(store.backend, MilvusBackend)
    return store.backend.client


def make(store: Store, *, auto_id: bool = False) -> str:
    from pymilvus import DataType

    client, name = client_of(store), f"i_{uuid.uuid4().hex}"
    schema = client.create_schema(auto_id=auto_id)
    schema.add_field("number", DataType.INT64, is_primary=True)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("label", DataType.VARCHAR, max_length=64)
    indexes = client.prepare_index_params()
    indexes.add_index("embedding", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=indexes)
    return name


@pytest.fixture
def index(milvus_store: Store) -> Index:
    name = make(milvus_store)
    rows = [
        {"number": key, "embedding": vector.tolist(), "label": f"l{key}"}
        for key, vector in zip(KEYS, VECTORS, strict=True)
    ]
    client_of(milvus_store).insert(name, rows)
    return milvus_store.open_index(name, consistency="strong")


def test_reads_give_the_digits(index: Index) -> None:
    assert index.info.integer_ids
    assert index.info.max_id_bytes == 20
    assert index.count() == len(KEYS)
    found = index.fetch([*IDS[::-1], "7", *BAD])
    assert found.ids == tuple(IDS[::-1])
    assert found.missing == ("7", *BAD)
    assert found.fields["label"] == [f"l{key}" for key in KEYS[::-1]]
    np.testing.assert_array_equal(found.vectors, VECTORS[::-1])
    assert index.contains(["-5", "abc", "10"]).tolist() == [True, False, True]
    for query in (VECTORS[3], VECTORS[9]):
        (hits,) = index.search(query, 7, ranking="certified")
        expected, distances = oracle("euclidean", IDS, VECTORS, query, 7)
        assert (hits.ids, hits.distances.tolist()) == (expected, distances)
    (hits,) = index.search(VECTORS[0], 9, within=["10", "9", "abc", IDS[0], IDS[-1]])
    assert set(hits.ids) == {"10", "9", IDS[0], IDS[-1]}
    (hits,) = index.search(VECTORS[0], 3, where=field("label") == "l10")
    assert hits.ids == ("10",)
    nearest = dict(index.neighbors(2, where=field("label").is_in(["l9", "l10"])))
    assert [*nearest] == ["10", "9"]


@pytest.mark.parametrize("rows", [1, 4, 1000])
def test_ranges_are_of_the_digits_and_in_their_order(index: Index, rows: int) -> None:
    def scanned(**options: Any) -> list[str]:
        return [name for part in index.scan(rows, **options) for name in part.ids]

    assert sorted(scanned()) == sorted(IDS)
    ordered = sorted(IDS)
    for start, stop in (("1", "2"), ("-", "0"), ("10", None), (None, "-5"), ("1 ", "abc")):
        wanted = [name for name in ordered if name in IdRange(start, stop)]
        assert scanned(start=start, stop=stop) == wanted
    assert scanned(after="10") == [name for name in ordered if name > "10"]
    engine = index.engine
    assert isinstance(engine, MilvusIndex)
    for count in (1, 3, 40):
        ranges = index.partitions(count)
        found = [name for each in ranges for name in scanned(start=each.start, stop=each.stop)]
        assert found == ordered


def test_writes_take_the_digits_and_nothing_else(index: Index, milvus_store: Store) -> None:
    for bad in BAD:
        with pytest.raises(InvalidIdError, match=r"digits of integers|bytes"):
            index.upsert(["77", bad], VECTORS[:2], {"label": ["x", "y"]})
    assert index.count() == len(KEYS)
    if "milvus_lite" not in client_of(milvus_store).get_server_version():
        with pytest.raises(InvalidIdError, match="largest integer"):
            index.upsert(["77", str(2**63 - 1)], VECTORS[:2], {"label": ["x", "y"]})
    index.upsert(["77", "10"], VECTORS[:2], {"label": ["new", "other"]})
    assert index.fetch(["10", "77"]).fields == {"label": ["other", "new"]}
    index.update_fields(["-5"], {"label": ["changed"]})
    assert index.fetch(["-5"]).fields == {"label": ["changed"]}
    np.testing.assert_array_equal(index.fetch(["-5"]).vectors, VECTORS[3:4])
    index.delete(["77", "abc", *IDS[:2]])
    assert sorted(name for part in index.scan() for name in part.ids) == sorted(IDS[2:])


def test_the_records_make_the_round(index: Index, milvus_store: Store, tmp_path: Path) -> None:
    memory = vecbridge.get_backend("sklearn")
    assert copy(index, memory, "copied").written == len(KEYS)
    copied = memory.open_index("copied")
    assert verify(index, copied).same
    export_records(index, tmp_path / "all.npz")
    index.delete(IDS[3:])
    copy(copied, milvus_store, index.info.name, resume=True)
    assert verify(index, copied).same
    index.delete(IDS)
    import_records(tmp_path / "all.npz", milvus_store, index.info.name)
    assert verify(index, copied).same
    copied.upsert(["a word"], VECTORS[:1], {"label": ["x"]})
    with pytest.raises(InvalidIdError, match="a word"):
        copy(copied, milvus_store, index.info.name, resume=True)
    assert index.count() == len(KEYS)


def test_keys_that_milvus_chooses_are_read_and_not_written(milvus_store: Store) -> None:
    name = make(milvus_store, auto_id=True)
    rows = [{"embedding": vector.tolist(), "label": "x"} for vector in VECTORS]
    ids = [str(key) for key in client_of(milvus_store).insert(name, rows)["ids"]]
    index = milvus_store.open_index(name, consistency="strong")
    assert index.fetch(ids).ids == tuple(ids)
    with pytest.raises(UnsupportedError, match=r"chooses its keys by itself \(auto_id\)"):
        index.upsert(ids[:1], VECTORS[:1], {"label": ["y"]})
    with pytest.raises(UnsupportedError, match="auto_id"):
        index.update_fields(ids[:1], {"label": ["y"]})
    index.delete(ids[:1])
    assert index.count() == len(ids) - 1
    assert copy(index, vecbridge.get_backend("sklearn"), "copied").written == len(ids) - 1
