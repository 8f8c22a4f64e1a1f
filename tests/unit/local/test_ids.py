"""What opening a store learns of its ids, and what it does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vecbridge.local import IdTable, LocalStore, LocalTable


class Alike(str):
    """A string whose hash is that of others."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 7


def state(table: LocalTable) -> tuple[tuple[str, ...], list[list[float]], list[object]]:
    """Ids, vectors and a field of the rows, in their order."""
    view = table.snapshot()
    rows = np.arange(len(view))
    return view.ids_at(rows), view.vectors.tolist(), view.fields["n"].tolist()


def test_ids_are_kept_once_where_they_were_first_with_the_row_they_were_in_last() -> None:
    table = IdTable()
    table.load(["a", "b"])
    table.load(["c", "a", "d", "c"])
    rows = table.keep_latest()
    assert rows is not None
    assert rows.tolist() == [3, 1, 5, 4]
    assert table.ids == ["a", "b", "c", "d"]
    assert table.rows == {"a": 0, "b": 1, "c": 2, "d": 3}


def test_equal_hashes_are_no_equal_ids() -> None:
    table = IdTable()
    table.load([Alike("a"), Alike("b")])
    assert table.keep_latest() is None
    assert table.rows == {Alike("a"): 0, Alike("b"): 1}


def test_what_is_added_after_a_look_is_found_by_the_next() -> None:
    table = IdTable(["a"])
    assert table.rows == {"a": 0}
    table.ids.append("b")
    other = table.copy()
    table.ids.append("c")
    assert table.rows == {"a": 0, "b": 1, "c": 2}
    assert other.rows == {"a": 0, "b": 1}


@pytest.mark.parametrize("seed", range(6))
def test_a_log_of_overwritten_records_opens_as_its_writer_left_it(
    tmp_path: Path, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    store = LocalStore(tmp_path, backend="test")
    table = store.create("i", dimension=2, metric="euclidean", fields={"n": "integer"})
    for step in range(12):
        ids = [f"r{number}" for number in rng.permutation(40)[: rng.integers(1, 20)]]
        vectors = rng.standard_normal((len(ids), 2), dtype=np.float32)
        table.upsert(ids, vectors, {"n": [step] * len(ids)})
        # Some logs have no deletion, some have one late, some many.
        if seed % 3 and step % 7 > 4 - seed:
            table.delete(ids[::3])
    written = state(table)
    store.close()
    again = LocalStore(tmp_path, backend="test")
    opened = again.open("i")
    assert state(opened) == written
    assert opened.contains([*written[0], "other"]).tolist() == [True] * len(written[0]) + [False]
    opened.upsert(["new", written[0][0]], np.zeros((2, 2), np.float32), {"n": [1, 2]})
    assert opened.count() == len(written[0]) + 1
    assert opened.fetch([written[0][0]]).vectors.tolist() == [[0.0, 0.0]]
    again.close()


def test_a_search_of_everything_needs_no_rows_of_ids(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, backend="test")
    table = store.create("i", dimension=2, metric="euclidean")
    table.upsert(["a", "b"], np.eye(2, dtype=np.float32))
    store.close()
    again = LocalStore(tmp_path, backend="test")
    view = again.open("i").snapshot()
    assert view.ids_at(np.array([1])) == ("b",)
    assert view.ids.mapped == 0
    assert view.rows_of(["b", "a"]).tolist() == [1, 0]
    again.close()
