"""What a table does with records, in memory and on disk alike."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.local.helpers import as_model, contents, named, new_table, reader, vectors
from vecbridge import ClosedError, IndexExistsError, IndexNotFoundError, field
from vecbridge.local import LocalStore, LocalTable

HOSTILE_IDS = [
    'a"b',
    "c\\",
    "line\nbreak",
    "tab\t",
    "名前",
    "😀",
    "' OR 1=1 --",
    "\u00e9",
    "e\u0301",
]


@pytest.fixture(params=["memory", "disk"])
def place(request: Any, tmp_path: Path) -> Path | None:
    return tmp_path if request.param == "disk" else None


@pytest.fixture
def table(place: Path | None) -> LocalTable:
    return new_table(place)


def test_records_come_back_bit_for_bit_in_request_order(table: LocalTable) -> None:
    matrix = vectors(5)
    matrix[0] = [-0.0, 1e-45, 3.4e38, 0.1]
    table.upsert(named(5), matrix)
    records = table.fetch(["id3", "unknown", "id0"])
    assert records.ids == ("id3", "id0")
    assert records.missing == ("unknown",)
    assert records.vectors.tobytes() == matrix[[3, 0]].tobytes()


def test_an_upsert_replaces_and_adds_in_one_call(table: LocalTable) -> None:
    table.upsert(named(4), vectors(4))
    newer = vectors(4, seed=1)
    table.upsert(named(4, start=2), newer)
    expected = as_model(named(4), vectors(4)) | as_model(named(4, start=2), newer)
    assert contents(table) == expected
    assert table.count() == 6


@pytest.mark.parametrize(
    "gone", [[0], [9], [0, 9], [7, 8, 9], [0, 1, 2, 3, 4, 5], list(range(10)), [1, 9, 3, 8]]
)
def test_a_delete_leaves_exactly_the_others(table: LocalTable, gone: list[int]) -> None:
    matrix = vectors(10)
    table.upsert(named(10), matrix)
    table.delete([f"id{number}" for number in gone] + ["unknown"])
    expected = as_model(named(10), matrix)
    for number in gone:
        del expected[f"id{number}"]
    assert contents(table) == expected
    view = table.snapshot()
    assert view.norms == pytest.approx(np.linalg.norm(np.float64(view.vectors), axis=1))
    kept = list(expected)
    assert view.ids_at(view.rows_of(kept)) == tuple(kept)


def test_hostile_ids_are_ordinary(place: Path | None) -> None:
    table = new_table(place)
    matrix = vectors(len(HOSTILE_IDS))
    table.upsert(HOSTILE_IDS, matrix)
    other = table if place is None else reader(place)
    assert contents(other) == as_model(HOSTILE_IDS, matrix)
    table.delete(HOSTILE_IDS[:1])
    assert other.contains(HOSTILE_IDS).tolist() == [False] + [True] * (len(HOSTILE_IDS) - 1)


def test_field_values_keep_type_and_value(place: Path | None) -> None:
    types: dict[str, Any] = {"s": "string", "i": "integer", "f": "float", "b": "boolean"}
    table = new_table(place, fields=types)
    columns: dict[str, list[Any]] = {
        "s": ["", 'q"\udc80', "雪"],
        "i": [-(2**63), 2**80, 0],
        "f": [0.1, 5e-324, 1e308],
        "b": [True, False, True],
    }
    table.upsert(named(3), vectors(3), columns)
    table.upsert(["id1"], vectors(1), {"s": ["new"], "i": [1], "f": [1.0], "b": [True]})
    table.delete(["id0"])
    found = (table if place is None else reader(place)).fetch(["id2", "id1"])
    assert found.fields == {"s": ["雪", "new"], "i": [0, 1], "f": [1e308, 1.0], "b": [True, True]}
    assert [type(column[0]) for column in found.fields.values()] == [str, int, float, bool]


def test_filters_choose_among_all_rows_or_some(table: LocalTable, place: Path | None) -> None:
    fielded = LocalStore(None, backend="test").create(
        "f", dimension=4, metric="cosine", fields={"n": "integer"}
    )
    fielded.upsert(named(6), vectors(6), {"n": [0, 1, 2, 3, 4, 5]})
    view = fielded.snapshot()
    assert view.ids_at(view.rows_where(field("n") > 3)) == ("id4", "id5")
    some = view.rows_of(["id5", "unknown", "id1"])
    assert view.ids_at(view.rows_where(field("n") > 3, some)) == ("id5",)


def test_what_is_given_is_not_kept_and_what_is_returned_is_not_shared(table: LocalTable) -> None:
    matrix = vectors(3)
    original = matrix.copy()
    table.upsert(named(3), matrix)
    matrix[:] = 0
    for records in table.scan(2):
        records.vectors[:] = 7
    table.fetch(["id0"]).vectors[:] = 8
    assert contents(table) == as_model(named(3), original)


def test_a_snapshot_keeps_its_values_while_others_write(table: LocalTable) -> None:
    matrix = vectors(6)
    table.upsert(named(6), matrix)
    view = table.snapshot()
    table.upsert(named(50, start=6), vectors(50))
    table.upsert(["id0"], vectors(1, seed=9))
    table.delete(["id1", "id5"])
    rows = view.rows_of(named(8))
    assert view.ids_at(rows) == tuple(named(6))
    assert view.records(rows).vectors.tobytes() == matrix.tobytes()


def test_a_scan_sees_each_record_once_whatever_is_written_meanwhile(table: LocalTable) -> None:
    matrix = vectors(30)
    table.upsert(named(30), matrix)
    seen: list[str] = []
    for records in table.scan(4):
        seen += records.ids
        table.delete(named(3, start=len(seen) - 2))
        table.upsert(named(2, start=100 + len(seen)), vectors(2))
    assert sorted(seen) == sorted(named(30))


def test_generations_tell_appending_from_rewriting(table: LocalTable) -> None:
    table.upsert(named(3), vectors(3))
    first = table.snapshot().generation
    assert table.snapshot().generation == first
    table.upsert(["new"], vectors(1))
    appended = table.snapshot()
    assert appended.generation > first >= appended.appended_since
    table.upsert(["id0"], vectors(1))
    assert table.snapshot().appended_since > appended.generation


def test_indexes_are_created_listed_and_dropped(place: Path | None) -> None:
    store = LocalStore(place, backend="test")
    assert store.names() == []
    for name in ("b", "a"):
        store.create(name, dimension=2, metric="dotproduct", consistency="eventual")
    assert store.names() == ["a", "b"]
    info = store.open("a").info
    assert (info.name, info.dimension, info.metric) == ("a", 2, "dotproduct")
    assert info.consistency == "eventual"
    with pytest.raises(IndexExistsError, match="'a' exists already"):
        store.create("a", dimension=3, metric="cosine")
    store.drop("a")
    assert store.names() == ["b"]
    for missing in (store.open, store.drop):
        with pytest.raises(IndexNotFoundError, match="no index named 'a'; there are: b"):
            missing("a")


def test_a_dropped_index_stays_dropped_for_those_who_had_it_open(place: Path | None) -> None:
    store = LocalStore(place, backend="test")
    old = store.create("t", dimension=4, metric="cosine")
    old.upsert(named(2), vectors(2))
    store.drop("t")
    store.create("t", dimension=4, metric="cosine")
    with pytest.raises(IndexNotFoundError, match="was dropped"):
        old.count()
    with pytest.raises(IndexNotFoundError, match="was dropped"):
        old.upsert(named(1), vectors(1))
    assert store.open("t").count() == 0


def test_after_close_everything_is_refused(place: Path | None) -> None:
    store = LocalStore(place, backend="test")
    table = store.create("t", dimension=4, metric="cosine")
    store.close()
    store.close()
    for call in (table.count, store.names, lambda: store.open("t"), lambda: store.drop("t")):
        with pytest.raises(ClosedError, match="closed store") as caught:
            call()
        assert caught.value.backend == "test"


def test_handles_of_one_index_share_their_records(place: Path | None) -> None:
    store = LocalStore(place, backend="test")
    table = store.create("t", dimension=4, metric="cosine")
    assert store.open("t") is table


def test_a_store_that_nobody_wrote_to_makes_no_file(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "deep" / "store", backend="test")
    assert store.names() == []
    with pytest.raises(IndexNotFoundError):
        store.open("t")
    assert not (tmp_path / "deep").exists()


def test_long_texts_are_written_in_parts_that_a_row_of_the_file_can_hold(tmp_path: Path) -> None:
    texts = ["é" * 6_500] * 20 + ["short"] * 5
    store = LocalStore(tmp_path, backend="test")
    table = store.create("t", dimension=4, metric="euclidean", fields={"text": "string"})
    table.upsert(named(25), vectors(25), {"text": texts})
    with sqlite3.connect(tmp_path / "records.vecbridge") as connection:
        sizes = [size for (size,) in connection.execute("SELECT length(fields) FROM segments")]
    connection.close()
    assert 1 < len(sizes) < 10
    assert max(sizes) <= 1 << 20
    assert sum(sizes) > 6_500 * 20
    assert reader(tmp_path).fetch(named(25)).fields["text"] == texts
