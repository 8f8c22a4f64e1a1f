"""The record operations that every local backend's index has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.unit.local.helpers import named, vectors
from vecbridge import ClosedError, Scope, field
from vecbridge.local import LocalIndex, LocalStore, local_capabilities


def new_index(path: Path | None = None) -> LocalIndex:
    store = LocalStore(path, backend="test")
    table = store.create("t", dimension=4, metric="cosine", fields={"n": "integer"})
    index = LocalIndex(table, local_capabilities(store, exact=True), "test")
    index.upsert(named(5), vectors(5), {"n": [0, 1, 2, 3, 4]})
    return index


def test_record_operations_reach_the_table() -> None:
    index = new_index()
    index.delete(["id4"])
    assert index.count(Scope()) == 4
    assert index.contains(["id4", "id3"], consistency="strong").tolist() == [False, True]
    found = index.fetch(["id2"], vectors=False, consistency="strong")
    assert (found.fields, found.vectors.shape) == ({"n": [2]}, (1, 0))
    pages = index.scan(3, Scope(), None, vectors=True)
    assert [len(records) for records in pages] == [3, 1]
    assert (index.info.name, index.info.fields) == ("t", {"n": "integer"})


def test_candidates_are_all_rows_or_those_of_the_scope() -> None:
    index = new_index()
    scope = index.resolve(Scope())
    assert (len(scope), scope.rows) == (5, None)
    for within, where, expected in (
        (["id3", "unknown", "id1"], None, {"id3", "id1"}),
        (None, field("n") < 2, {"id0", "id1"}),
        (["id3", "id1"], field("n") < 2, {"id1"}),
        ([], None, set()),
    ):
        scope = index.resolve(Scope(within, where))
        assert scope.rows is not None
        assert set(scope.snapshot.ids_at(scope.rows)) == expected


CALLS: list[Callable[[LocalIndex], object]] = [
    lambda index: index.upsert(["a"], vectors(1), {"n": [1]}),
    lambda index: index.delete(["a"]),
    lambda index: index.fetch(["a"], vectors=True, consistency="strong"),
    lambda index: index.contains(["a"], consistency="strong"),
    lambda index: index.count(Scope()),
    lambda index: index.scan(1, Scope(), None, vectors=True),
    lambda index: index.partitions(2, consistency="strong"),
    lambda index: index.search(vectors(1), 1, Scope()),
    lambda index: index.candidates(vectors(1), 1, Scope()),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_index_refuses_everything_but_closing_and_its_info(
    call: Callable[[LocalIndex], object],
) -> None:
    index = new_index()
    index.close()
    index.close()
    with pytest.raises(ClosedError, match="index 't', which was closed") as caught:
        call(index)
    assert caught.value.backend == "test"
    assert index.info.dimension == 4


def test_closing_one_handle_leaves_the_others(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, backend="test")
    table = store.create("t", dimension=4, metric="cosine")
    capabilities = local_capabilities(store, exact=True)
    one, other = (LocalIndex(table, capabilities, "test") for _ in range(2))
    one.close()
    other.upsert(named(2), vectors(2))
    assert other.count(Scope()) == 2


def test_capabilities_say_where_the_records_are(tmp_path: Path) -> None:
    on_disk = local_capabilities(LocalStore(tmp_path, "test"), exact=False, recall=0.9)
    in_memory = local_capabilities(LocalStore(":memory:", "test"), exact=True)
    assert (on_disk.durable, on_disk.shared, on_disk.exact) == (True, True, False)
    assert (in_memory.durable, in_memory.shared, in_memory.exact) == (False, False, True)


def test_a_snapshot_copies_nothing_and_stays_as_it_was() -> None:
    index = new_index()
    before = index.snapshot()
    values = before.vectors.copy()
    assert np.shares_memory(before.vectors, index.snapshot().vectors)
    index.upsert(["id0"], 1.0 + vectors(1), {"n": [7]})
    assert (before.vectors == values).all()
    assert (index.snapshot().vectors[0] != values[0]).any()
    index.close()
    with pytest.raises(ClosedError, match="snapshot"):
        index.snapshot()
