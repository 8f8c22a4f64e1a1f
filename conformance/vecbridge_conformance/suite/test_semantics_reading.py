"""Reading: fetch, contains, count, scan."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from vecbridge import InvalidArgumentError
from vecbridge_conformance import Harness, clause
from vecbridge_conformance.checks import contents, contents_of

COUNT = 67
LEFT = COUNT - 20


@clause("READ-1", "READ-2")
def test_fetch_answers_in_the_order_of_the_request(harness: Harness) -> None:
    """Look for answers in the order of the store; sort them at the client."""
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["a", "b", "c", "d"], [[1, 0], [2, 0], [3, 0], [4, 0]])
    asked = ["d", "lost", "a", "c", "also lost"]
    for found in (
        index.fetch(asked),
        index.engine.fetch(asked, vectors=True, consistency=index.info.consistency),
    ):
        assert found.ids == ("d", "a", "c")
        assert found.vectors[:, 0].tolist() == [4, 1, 3]
        assert found.missing == ("lost", "also lost")


@clause("READ-1", "READ-2")
def test_an_id_that_is_asked_for_twice_comes_once(harness: Harness) -> None:
    """Look at repeated ids, found and missing."""
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["a", "b"], [[1, 0], [2, 0]])
    found = index.fetch(["b", "a", "b", "lost", "lost"])
    assert found.ids == ("b", "a")
    assert found.missing == ("lost",)


@clause("READ-2")
def test_fetch_of_nothing_and_of_nothing_that_is_there(harness: Harness) -> None:
    """Look at the shape of an empty answer, and at what an empty list becomes in the store."""
    index = harness.index(dimension=3)
    index.upsert(["a"], [[1, 2, 3]])
    assert index.fetch([]).ids == ()
    assert index.fetch([]).missing == ()
    absent = index.fetch(["x", "y"])
    assert absent.ids == ()
    assert absent.vectors.shape == (0, 3)
    assert absent.missing == ("x", "y")


@clause("READ-1", "READ-4", "CAP-5")
def test_many_records_are_fetched_at_once(harness: Harness) -> None:
    """Look at the most ids that one request of the store takes, and at the most it returns."""
    index = harness.index(dimension=2, metric="euclidean")
    count = 17_000
    ids = [f"{number:06}" for number in range(count)]
    vectors = np.arange(2 * count, dtype=np.float32).reshape(count, 2)
    index.upsert(ids, vectors)
    found = index.fetch(ids[::-1])
    # pytest compares lists of thousands line by line, for minutes where CI is set.
    np.testing.assert_array_equal(found.ids, ids[::-1])
    assert found.vectors.tobytes() == vectors[::-1].tobytes()
    there = index.contains([name for each in ids for name in (each, f"not {each}")])
    np.testing.assert_array_equal(there, np.tile([True, False], count))


@clause("READ-4")
def test_contains_answers_id_by_id(harness: Harness) -> None:
    """Look at the order, and at repeated ids."""
    index = harness.index(dimension=2)
    index.upsert(["a", "b"], [[1, 0], [2, 0]])
    found = index.contains(["b", "lost", "a", "b", "lost"])
    assert found.dtype == np.bool_
    assert found.tolist() == [True, False, True, True, False]
    assert index.contains([]).tolist() == []


@clause("READ-5")
def test_count_is_the_number_of_records_after_every_step(harness: Harness) -> None:
    """Look for a count of rows, of segments or of an estimate; deletes and replacements count."""
    index = harness.index(dimension=2)
    expected: set[str] = set()
    rng = np.random.default_rng(11)
    for step in range(12):
        names = [f"n{number}" for number in rng.choice(20, size=6, replace=False)]
        if step % 3 == 2:
            index.delete(names)
            expected -= set(names)
        else:
            index.upsert(names, rng.standard_normal((6, 2)))
            expected |= set(names)
        assert index.count() == len(expected), f"after step {step}"
        assert len(index) == len(expected)


@clause("READ-6")
def test_scan_visits_every_record_once(harness: Harness) -> None:
    """Look at the borders of pages: overlaps, gaps, and the last one."""
    index = harness.index(dimension=2, metric="euclidean")
    ids = [f"n{number:03}" for number in range(COUNT)]
    vectors = np.arange(2 * COUNT, dtype=np.float32).reshape(COUNT, 2)
    index.upsert(ids, vectors)
    index.upsert(ids[:30], vectors[:30])
    index.delete(ids[20:40])
    for batch_size in (1, 2, 20, LEFT - 1, LEFT, LEFT + 1):
        pages = list(index.scan(batch_size))
        assert all(0 < len(page) <= batch_size for page in pages), f"batch_size={batch_size}"
        visited = list(chain.from_iterable(page.ids for page in pages))
        assert sorted(visited) == ids[:20] + ids[40:], f"batch_size={batch_size}"
    assert contents(index) == contents_of(
        ids[:20] + ids[40:], np.concatenate([vectors[:20], vectors[40:]])
    )


@clause("READ-6")
def test_untouched_records_are_scanned_while_others_are_written(
    harness: Harness,
) -> None:
    """Look at pages that begin at an offset: a delete in between moves the rest."""
    index = harness.index(dimension=2)
    ids = [f"n{number:03}" for number in range(90)]
    index.upsert(ids, np.ones((90, 2)))
    visited: list[str] = []
    for page in index.scan(10):
        visited += page.ids
        if len(visited) == 30:
            index.delete(ids[:20])
            index.upsert(["new"], [[1, 1]])
    untouched = [name for name in visited if name in ids[20:]]
    assert sorted(untouched) == ids[20:]
    assert len(visited) == len(set(visited))


@clause("READ-6", "SEARCH-4")
@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "10", True])
def test_a_batch_size_is_a_count(harness: Harness, batch_size: int) -> None:
    """Look at the client layer."""
    index = harness.index()
    with pytest.raises(InvalidArgumentError, match="batch_size"):
        index.scan(batch_size)
