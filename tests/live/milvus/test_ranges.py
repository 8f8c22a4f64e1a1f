"""Ranges of ids, counts and partitions, done by Milvus: in order, whole, and nothing twice."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.filters.making import TEXTS
from vecbridge import IdRange, Index, Scope, Store, field
from vecbridge_milvus import MilvusBackend, MilvusIndex

IDS = sorted({text for text in TEXTS if 0 < len(text) < 100} | {"a\x01", "a\x01b", "ab\x7f"})


@pytest.fixture(scope="module")
def index(make_index: Callable[..., Index]) -> Index:
    made = make_index(dimension=2, metric="euclidean", fields={"n": "integer?"})
    numbers = [None if place % 5 == 0 else place for place in range(len(IDS))]
    made.upsert(IDS[::-1], np.ones((len(IDS), 2)), {"n": numbers[::-1]})
    return made


@pytest.fixture(scope="module", autouse=True)
def _sealed(index: Index) -> None:
    engine = index.engine
    assert isinstance(engine, MilvusIndex)
    engine.settle()


def scanned(index: Index, size: int = 7, **options: Any) -> list[str]:
    return [name for page in index.scan(size, **options) for name in page.ids]


def test_every_range_is_read_in_order(index: Index) -> None:
    for place, name in enumerate(IDS):
        assert scanned(index, start=name) == IDS[place:], repr(name)
        assert scanned(index, after=name) == IDS[place + 1 :], repr(name)
        assert scanned(index, start=IDS[0], stop=name) == IDS[:place], repr(name)


def test_a_range_of_a_filter_is_read_without_vectors(index: Index) -> None:
    expected = [name for place, name in enumerate(IDS) if place % 5 and place > 10]
    where = ~(field("n") <= 10) & ~field("n").is_missing()
    assert scanned(index, where=where, start=IDS[3], vectors=False) == expected
    assert index.count(where=where) == len(expected)
    assert index.count(where=field("n").is_missing()) == len(IDS[::5])
    page = next(iter(index.scan(5, where=where, vectors=False)))
    assert page.vectors.shape == (5, 0)
    assert page.fields["n"] == [11, 12, 13, 14, 16]


def test_ends_with_nul_are_between_the_ids(index: Index) -> None:
    """No id holds NUL: what comes after ``a`` begins at ``a`` and NUL."""
    engine = index.engine
    place = IDS.index("a")
    for ids, expected in (
        (IdRange("a\0", None), IDS[place + 1 :]),
        (IdRange(None, "a\0"), IDS[: place + 1]),
        (IdRange("a\0", "a\0"), []),
    ):
        pages = engine.scan(7, Scope(), ids, vectors=False)
        assert [name for page in pages for name in page.ids] == expected


@pytest.mark.parametrize("count", [1, 2, 7, len(IDS), 1000])
def test_partitions_hold_every_record_once(index: Index, count: int) -> None:
    parts = [scanned(index, start=part.start, stop=part.stop) for part in index.partitions(count)]
    assert [name for part in parts for name in part] == IDS
    assert len(parts) == min(count, len(IDS))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_keys_that_were_inserted_twice_count_once(milvus_store: Store) -> None:
    from pymilvus import DataType

    assert isinstance(milvus_store.backend, MilvusBackend)
    milvus_store.index_names()
    client, name = milvus_store.backend.client, f"d_{uuid.uuid4().hex}"
    schema = client.create_schema(auto_id=False)
    schema.add_field("doc", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("n", DataType.INT64)
    indexes = client.prepare_index_params()
    indexes.add_index("embedding", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=indexes)
    rows = [{"doc": key, "embedding": [1.0, 2.0], "n": at % 2} for at, key in enumerate("abcdef")]
    for _ in range(2):
        client.insert(name, rows)
    index = milvus_store.open_index(name, consistency="strong")
    assert index.count(where=field("n") == 0) == 3
    assert scanned(index, start="b", where=field("n") == 0) == ["c", "e"]
    parts = index.partitions(3)
    assert [scanned(index, start=part.start, stop=part.stop) for part in parts] == [
        ["a", "b"],
        ["c", "d"],
        ["e", "f"],
    ]
