"""Every operation on records, with the ids that break string-built filters."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge import (
    DuplicateIdError,
    Index,
    IndexExistsError,
    IndexNotFoundError,
    InvalidArgumentError,
    InvalidVectorError,
    SchemaMismatchError,
    Store,
)

HOSTILE = [
    "plain",
    "it's",
    'say "no"',
    "back\\slash",
    "ends with\\",
    "\\n is not a newline",
    "new\nline",
    "carriage\rreturn",
    "tab\t",
    "\x01\x1f\x7f",
    "[1, 2]",
    "{ids}",
    "%",
    "_",
    "pk",
    "zzz'] or pk not in ['zzz",
    'zzz"] or pk not in ["zzz',
    'zzz" or pk != "',
    "é",
    "e\u0301",
    "😀",
    "日本語",
    "\u2028",
    " ",
    "x" * 512,
    "語" * 170,
]
FIELDS: dict[str, Any] = {"label": "string", "size": "integer", "score": "float", "good": "boolean"}


@pytest.fixture(scope="module")
def index(make_index: Callable[..., Index]) -> Index:
    return make_index(dimension=5, metric="euclidean", fields=FIELDS)


@pytest.fixture
def hostile(index: Index) -> Any:
    """The vectors under the hostile ids, and nothing else in the index."""
    for records in index.scan(consistency="strong"):
        index.delete(records.ids)
    vectors = np.random.default_rng(1).standard_normal((len(HOSTILE), 5)).astype(np.float32)
    index.upsert(HOSTILE, vectors, columns(len(HOSTILE)))
    return vectors


def columns(count: int, label: str = "cat") -> dict[str, list[Any]]:
    return {
        "label": [f"{label} \"{number}'\\" for number in range(count)],
        "size": [(-1) ** number * 2**62 + number for number in range(count)],
        "score": [number / 7 for number in range(count)],
        "good": [number % 2 == 0 for number in range(count)],
    }


def test_hostile_ids_come_back_bit_for_bit_in_request_order(index: Index, hostile: Any) -> None:
    asked = [*HOSTILE[::-1], "absent", "also absent'"]
    records = index.fetch(asked)
    assert records.ids == tuple(HOSTILE[::-1])
    assert records.missing == ("absent", "also absent'")
    assert records.vectors.tobytes() == hostile[::-1].tobytes()
    expected = {name: column[::-1] for name, column in columns(len(HOSTILE)).items()}
    assert records.fields == expected


def test_each_hostile_id_is_told_from_the_others(index: Index, hostile: Any) -> None:
    assert index.count() == len(HOSTILE)
    for name in HOSTILE:
        assert index.fetch([name]).ids == (name,)
    assert index.contains([*HOSTILE, "absent"]).tolist() == [True] * len(HOSTILE) + [False]


def test_a_hostile_id_in_within_admits_only_itself(index: Index, hostile: Any) -> None:
    for row, name in enumerate(HOSTILE):
        (hits,) = index.search(hostile[0], k=3, within=[name, "absent"])
        assert hits.ids == (name,)
        assert hits.distances[0] == pytest.approx(np.linalg.norm(hostile[0] - hostile[row]))


def test_deleting_a_hostile_id_touches_nothing_else(index: Index, hostile: Any) -> None:
    left = list(HOSTILE)
    for name in HOSTILE[10:20]:
        index.delete([name, "absent"])
        left.remove(name)
    assert index.count() == len(left)
    assert index.contains(left).all()


def test_an_upsert_replaces_the_whole_record(index: Index, hostile: Any) -> None:
    index.upsert(HOSTILE[:3], np.zeros((3, 5)), columns(3, "dog"))
    records = index.fetch(HOSTILE[:3])
    assert not records.vectors.any()
    assert records.fields["label"] == columns(3, "dog")["label"]
    assert index.count() == len(HOSTILE)


def test_a_scan_visits_each_record_once_in_pages_of_any_size(index: Index, hostile: Any) -> None:
    for size in (1, 7, len(HOSTILE), 1000):
        batches = list(index.scan(size))
        assert max(len(batch) for batch in batches) <= size
        ids = [name for batch in batches for name in batch.ids]
        assert sorted(ids) == sorted(HOSTILE)
        found = dict(zip(ids, np.concatenate([each.vectors for each in batches]), strict=True))
        stacked = np.stack([found[name] for name in HOSTILE])
        assert stacked.tobytes() == hostile.tobytes()


def test_extreme_float32_values_come_back_bit_for_bit(index: Index, hostile: Any) -> None:
    extreme = np.array([[-0.0, 1e-45, 3.4028235e38, -1.1754944e-38, 1 / 3]], np.float32)
    index.upsert(["extreme"], extreme, columns(1))
    assert index.fetch(["extreme"]).vectors.tobytes() == extreme.tobytes()


def test_bad_input_changes_nothing(index: Index, hostile: Any) -> None:
    with pytest.raises(DuplicateIdError):
        index.upsert(["new", "new"], np.zeros((2, 5)), columns(2))
    with pytest.raises(InvalidVectorError):
        index.upsert(["new"], np.full((1, 5), np.nan), columns(1))
    with pytest.raises(InvalidArgumentError, match="65535 bytes"):
        index.upsert(["new"], np.zeros((1, 5)), {**columns(1), "label": ["x" * 65536]})
    with pytest.raises(InvalidArgumentError, match="64 bits"):
        index.upsert(["new"], np.zeros((1, 5)), {**columns(1), "size": [2**63]})
    assert index.count() == len(HOSTILE)


def test_more_records_than_a_page_or_a_batch(make_index: Callable[..., Index]) -> None:
    index = make_index(dimension=3, metric="dotproduct")
    count = 20_000
    ids = [f"'{number}\"" for number in range(count)]
    vectors = np.random.default_rng(2).standard_normal((count, 3)).astype(np.float32)
    index.upsert(ids, vectors)
    assert index.count() == count
    assert {name for batch in index.scan() for name in batch.ids} == set(ids)
    records = index.fetch(ids[::-1])
    assert records.ids == tuple(ids[::-1])
    assert records.vectors.tobytes() == vectors[::-1].tobytes()
    (hits,) = index.search(vectors[0], k=17_000)
    assert len(set(hits.ids)) == 17_000
    assert hits.exact
    (within,) = index.search(vectors[0], k=3, within=ids[:9_000])
    assert set(within.ids) <= set(ids[:9_000])
    index.delete(ids[1:])
    assert index.count() == 1


def test_a_scan_over_sealed_and_growing_segments(
    make_index: Callable[..., Index], milvus_store: Store
) -> None:
    index = make_index(dimension=4, metric="euclidean")
    vectors = np.random.default_rng(3).standard_normal((900, 4)).astype(np.float32)
    ids = [f"id{number}" for number in range(900)]
    client = milvus_store.backend.client  # type: ignore[attr-defined]
    for start in (0, 300, 600):
        index.upsert(ids[start : start + 300], vectors[start : start + 300])
        if start < 600:
            client.flush(index.info.name)
    index.upsert(ids[::5], vectors[::5])
    index.delete(ids[1::5])
    left = sorted(set(ids) - set(ids[1::5]))
    for size in (50, 1000):
        found = [name for batch in index.scan(size) for name in batch.ids]
        assert sorted(found) == left


def test_an_index_is_reopened_as_the_server_has_it(
    milvus_store: Store, index: Index, milvus_uri: str
) -> None:
    with vecbridge.get_backend("milvus", uri=milvus_uri) as store:
        again = store.open_index(index.info.name)
        assert again.info == index.info
        assert index.info.name in store.index_names()
        with pytest.raises(SchemaMismatchError, match="dimension 6"):
            store.open_index(index.info.name, dimension=6)
        with pytest.raises(SchemaMismatchError, match="metric cosine"):
            store.open_index(index.info.name, metric="cosine")
        with pytest.raises(IndexExistsError, match=index.info.name):
            store.create_index(index.info.name, dimension=5)


def test_an_index_that_is_not_there(milvus_store: Store) -> None:
    for use in (milvus_store.open_index, milvus_store.drop_index):
        with pytest.raises(IndexNotFoundError, match="no collection 'nowhere'"):
            use("nowhere")


def test_a_dropped_index_is_gone(milvus_store: Store, make_index: Callable[..., Index]) -> None:
    index = make_index(dimension=3)
    milvus_store.drop_index(index.info.name)
    assert index.info.name not in milvus_store.index_names()
    with pytest.raises(IndexNotFoundError):
        index.upsert(["a"], [[1, 2, 3]])


@pytest.mark.parametrize("name", ["pk", "vector", "vecbridge_norm", "in", "NOT", "json_contains"])
def test_field_names_that_are_taken_are_refused(milvus_store: Store, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=name):
        milvus_store.create_index("never", dimension=3, fields={name: "string"})
    assert "never" not in milvus_store.index_names()


@pytest.mark.slow
def test_the_longest_strings_can_be_read_back(milvus_server_uri: str) -> None:
    """A server gives up on an answer of 100 MB, and these are 131."""
    ids = [f"{number:04d}" for number in range(2000)]
    texts = ["x" * 65_531 + name for name in ids]
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        name = f"long_{uuid.uuid4().hex}"
        index = store.create_index(name, dimension=4, fields={"text": "string"})
        index.upsert(ids, np.ones((2000, 4)), {"text": texts})
        fetched = index.fetch(ids)
        assert fetched.ids == tuple(ids)
        assert fetched.fields["text"] == texts
        scanned = {name for batch in index.scan(2000) for name in batch.ids}
        assert scanned == set(ids)
        store.drop_index(name)
