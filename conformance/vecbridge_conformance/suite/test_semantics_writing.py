"""Writing: insert, replace, delete, again."""

from __future__ import annotations

import numpy as np
import pytest

from vecbridge import DuplicateIdError, InvalidArgumentError
from vecbridge_conformance import Harness, clause
from vecbridge_conformance.checks import contents, contents_of, unchanged

BIG = 3000


@clause("WRITE-1", "WRITE-2", "READ-5")
def test_an_upsert_of_a_known_id_replaces_the_record(harness: Harness) -> None:
    """Look for insert where upsert is meant, and for a count of rows instead of records."""
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["a", "b"], [[1, 0], [2, 0]])
    for round_number in range(3):
        index.upsert(["b", "c"], [[3 + round_number, 0], [9, 9]])
        assert index.count() == 3
        assert index.fetch(["b"]).vectors.tolist() == [[3 + round_number, 0]]
    assert contents(index) == contents_of("abc", [[1, 0], [5, 0], [9, 9]])
    assert sorted(index.search([0, 0], k=9)[0].ids) == ["a", "b", "c"]


@clause("WRITE-2", "RANK-3")
def test_a_replaced_vector_no_longer_answers(harness: Harness) -> None:
    """Look for an old vector that is still searched after its record was replaced."""
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["moving", "still"], [[0, 0], [1, 0]])
    index.upsert(["moving"], [[100, 0]])
    for ranking in ("exact", "native"):
        hits = index.search([0, 0], k=5, ranking=ranking)[0]
        assert hits.ids == ("still", "moving")
        assert hits.distances.tolist() == pytest.approx([1, 100], rel=1e-5)


@clause("WRITE-3", "ERR-3")
def test_two_equal_ids_in_one_call_are_refused(harness: Harness) -> None:
    """Look at the client layer; nothing of the call may be written."""
    index = harness.index(dimension=2)
    index.upsert(["a"], [[1, 2]])
    with unchanged(index), pytest.raises(DuplicateIdError):
        index.upsert(["new", "a", "b", "a"], np.ones((4, 2)))


@clause("WRITE-4")
def test_nothing_is_written_where_nothing_is_given(harness: Harness) -> None:
    """Look at what an empty list becomes in the store's language: it must not mean all."""
    index = harness.index(dimension=2)
    index.upsert(["a"], [[1, 2]])
    with unchanged(index):
        index.upsert([], np.empty((0, 2)))
        index.delete([])


@clause("WRITE-4", "CAP-5", "READ-6")
def test_a_large_upsert_is_written_whole(harness: Harness) -> None:
    """Look at batches: the last one, their borders, and the store's limit of bytes."""
    index = harness.index(dimension=256, metric="euclidean")
    vectors = np.zeros((BIG, 256), dtype=np.float32)
    vectors[:, 0] = np.arange(BIG)
    ids = [f"{'x' * 40}-{number}" for number in range(BIG)]
    index.upsert(ids, vectors)
    assert index.count() == BIG
    found, expected = contents(index), contents_of(ids, vectors)
    wrong = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    assert not wrong, f"{len(wrong)} of {BIG} records are lost or wrong, {wrong[0]!r} among them"


@clause("WRITE-4")
def test_there_must_be_one_vector_an_id(harness: Harness) -> None:
    """Look at the client layer."""
    index = harness.index(dimension=2)
    with unchanged(index), pytest.raises(InvalidArgumentError, match=r"2 ids and 1 vectors"):
        index.upsert(["a", "b"], [[1, 2]])


@clause("WRITE-5", "READ-5")
def test_delete_ignores_what_is_not_there(harness: Harness) -> None:
    """Look at deletes of absent ids: alone, among others, twice, on an empty index."""
    index = harness.index(dimension=2, metric="euclidean")
    index.delete(["absent"])
    index.upsert(["a", "b", "c"], [[1, 0], [2, 0], [3, 0]])
    index.delete(["absent", "b", "b", "also absent"])
    index.delete(["b"])
    assert index.count() == 2
    assert contents(index) == contents_of("ac", [[1, 0], [3, 0]])


@clause("WRITE-5", "SEARCH-3")
def test_a_deleted_record_is_seen_by_no_read(harness: Harness) -> None:
    """Look at every read after a delete: stores keep tombstones, caches and segments."""
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["gone", "kept"], [[0, 0], [5, 0]])
    index.delete(["gone"])
    assert index.fetch(["gone"]).missing == ("gone",)
    assert index.contains(["gone"]).tolist() == [False]
    assert list(contents(index)) == ["kept"]
    for ranking in ("exact", "native"):
        assert index.search([0, 0], k=5, ranking=ranking)[0].ids == ("kept",)
    assert index.search([0, 0], k=5, within=["gone", "kept"])[0].ids == ("kept",)
    assert [name for each in index.candidates([[0, 0]], 5) for name in each.ids] == ["kept"]


@clause("WRITE-5", "WRITE-1")
def test_a_deleted_id_can_be_written_again(harness: Harness) -> None:
    """Look for a tombstone that hides the record which was written after it."""
    index = harness.index(dimension=2, metric="euclidean")
    for round_number in range(3):
        index.upsert(["a"], [[round_number, 1]])
        assert index.fetch(["a"]).vectors.tolist() == [[round_number, 1]]
        assert index.count() == 1
        index.delete(["a"])
        assert index.count() == 0


@clause("WRITE-6")
def test_the_same_write_again_leaves_the_same_records(harness: Harness) -> None:
    """Look at what repeats of one upsert and of one delete leave."""
    index = harness.index(dimension=2, metric="euclidean")
    ids, vectors = [f"n{number}" for number in range(20)], np.arange(40).reshape(20, 2)
    for _ in range(3):
        index.upsert(ids, vectors)
    with unchanged(index):
        index.upsert(ids, vectors)
    index.delete(ids[:5])
    with unchanged(index):
        index.delete(ids[:5])
    assert contents(index) == contents_of(ids[5:], vectors[5:])


@clause("WRITE-2", "WRITE-4")
def test_the_order_within_one_upsert_does_not_matter(harness: Harness) -> None:
    """Look at which vector goes to which id."""
    vectors = np.arange(60, dtype=np.float32).reshape(30, 2)
    ids = [f"n{number:02}" for number in range(30)]
    shuffled = np.random.default_rng(5).permutation(30)
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert([ids[row] for row in shuffled], vectors[shuffled])
    assert contents(index) == contents_of(ids, vectors)
