"""Searching: how many hits, in what order, among which records."""

from __future__ import annotations

import numpy as np
import pytest

from vecbridge import METRICS, RANKINGS, InvalidArgumentError, Ranking, field
from vecbridge_conformance import Harness, clause, requires, vacuous
from vecbridge_conformance.checks import assert_same_hits
from vecbridge_conformance.data import make

BAD_K = (0, -1, 1.5, "10", True)


@clause("SEARCH-1")
def test_there_is_one_answer_a_query_in_order(harness: Harness) -> None:
    """Look at how the answers of a batch are put back together."""
    index = harness.index(dimension=2, metric="euclidean")
    corners = np.array([[0, 0], [0, 9], [9, 0], [9, 9]])
    index.upsert(["a", "b", "c", "d"], corners)
    for order in ([0, 1, 2, 3], [3, 1, 2, 0], [2, 2, 0]):
        found = index.search(corners[order], k=1)
        assert [hits.ids[0] for hits in found] == ["abcd"[row] for row in order]
    assert index.search([9, 0], k=1)[0].ids == ("c",)
    assert len(index.search([9, 0], k=1)) == 1


@clause("SEARCH-2")
def test_no_queries_give_no_answers(harness: Harness) -> None:
    """Look at the client layer."""
    index = harness.index(dimension=3)
    index.upsert(["a"], [[1, 2, 3]])
    assert index.search(np.empty((0, 3)), k=3) == []


@clause("SEARCH-3", "SEARCH-4")
@pytest.mark.parametrize("ranking", ["exact", "native"])
def test_an_answer_is_never_padded(harness: Harness, ranking: str) -> None:
    """Look at k around the number of records: -1, empty ids and repeats are padding."""
    index = harness.index(dimension=2, metric="euclidean")
    ids = [f"n{number}" for number in range(7)]
    index.upsert(ids, [[number, 0] for number in range(7)])
    for k in (1, 6, 7, 8, 50, None):
        hits = index.search([0, 0], k, ranking=ranking)[0]  # type: ignore[arg-type]
        assert hits.ids == tuple(ids[:k])
        assert len(hits.distances) == len(hits.ids)


@clause("SEARCH-3")
@pytest.mark.parametrize("ranking", RANKINGS)
def test_a_search_of_an_empty_index_finds_nothing(harness: Harness, ranking: Ranking) -> None:
    """Look at a division by the number of records, before the first one and after the last."""
    for metric in METRICS:
        index = harness.index(dimension=2, metric=metric)
        for _ in range(2):
            for k, within in ((1, None), (10, ["a", "z"]), (None, None)):
                found = index.search(np.eye(2), k, within=within, ranking=ranking)
                assert [hits.ids for hits in found] == [(), ()], (metric, k, within)
            index.upsert(["a", "b"], [[1, 2], [3, 4]])
            index.delete(["a", "b"])


@clause("SEARCH-10", "NEAR-1", "NEAR-3", "NEAR-4")
def test_nothing_is_near_or_far_in_an_empty_index(harness: Harness) -> None:
    """Look at methods of an engine that search has no use for."""
    for metric in METRICS:
        index = harness.index(dimension=2, metric=metric)
        for _ in range(2):
            assert [hits.ids for hits in index.farthest(np.eye(2), 3)] == [(), ()]
            assert [hits.ids for hits in index.range_search(np.eye(2), np.inf)] == [(), ()]
            assert list(index.neighbors(3)) == list(index.neighbors_within(3.0)) == []
            index.upsert(["a", "b"], [[1, 2], [3, 4]])
            index.delete(["a", "b"])


@requires("fields")
@clause("SEARCH-3", "SEARCH-8")
@pytest.mark.parametrize("ranking", RANKINGS)
def test_a_filter_that_matches_nothing_finds_nothing(harness: Harness, ranking: Ranking) -> None:
    """Look at a division by the number of records in scope."""
    if ranking == "no-scan" and "==" not in harness.capabilities.filters:
        vacuous("without a scan this engine has no such filter")
    index = harness.index(dimension=2, metric="euclidean", fields={"size": "integer"})
    index.upsert(list("abc"), np.eye(3, 2), {"size": [1, 2, 3]})
    one, none = field("size") == 1, field("size") == 4
    for k in (1, 10, None):
        for where, within in ((none, None), (one, ["b", "c"]), (none, ["a"])):
            found = index.search(np.eye(2), k, where=where, within=within, ranking=ranking)
            assert [hits.ids for hits in found] == [(), ()], (k, where, within)


@requires("fields")
@clause("SEARCH-8", "SEARCH-10", "NEAR-1", "NEAR-3")
def test_nothing_is_near_or_far_where_a_filter_matches_nothing(harness: Harness) -> None:
    """Look at methods of an engine that search has no use for."""
    index = harness.index(dimension=2, metric="euclidean", fields={"size": "integer"})
    index.upsert(list("abc"), np.eye(3, 2), {"size": [1, 2, 3]})
    none = field("size") == 4
    assert [hits.ids for hits in index.farthest(np.eye(2), 3, where=none)] == [(), ()]
    assert [hits.ids for hits in index.range_search(np.eye(2), 9.0, where=none)] == [(), ()]
    assert list(index.neighbors(3, where=none)) == []


@clause("SEARCH-3", "WRITE-5")
def test_k_counts_live_records_only(harness: Harness) -> None:
    """Look for deleted records that take up places among the best k."""
    index = harness.index(dimension=2, metric="euclidean")
    ids = [f"n{number:02}" for number in range(40)]
    index.upsert(ids, [[number, 0] for number in range(40)])
    index.delete(ids[:35])
    for ranking in ("exact", "native"):
        assert index.search([0, 0], k=5, ranking=ranking)[0].ids == tuple(ids[35:])


@clause("SEARCH-4", "ERR-3")
@pytest.mark.parametrize("k", BAD_K)
def test_k_is_a_count(harness: Harness, k: int) -> None:
    """Look at the client layer."""
    index = harness.index(dimension=2)
    index.upsert(["a"], [[1, 2]])
    for attempt in (index.search, index.farthest):
        with pytest.raises(InvalidArgumentError, match="k must be"):
            attempt([1, 2], k)


@clause("SEARCH-4", "CAP-5")
def test_k_has_no_ceiling(harness: Harness) -> None:
    """Look at max_k: is it the store's real ceiling?"""
    index = harness.index(dimension=2, metric="euclidean")
    count = 17_000
    ids = [f"{number:06}" for number in range(count)]
    index.upsert(ids, np.stack([np.arange(count), np.zeros(count)], axis=1))
    for k in (harness.capabilities.max_k or count, count - 1, count + 1, 10 * count):
        hits = index.search([0, 0], k)[0]
        assert len(hits) == min(k, count)
        # Which records an approximate index lists is a matter of its recall.
        if hits.exact:
            np.testing.assert_array_equal(hits.ids, ids[:k])
        assert hits.exact or not harness.capabilities.exact


@clause("SEARCH-5", "DIST-8")
@pytest.mark.parametrize("ranking", ["exact", "native"])
def test_a_batch_answers_as_its_queries_do_alone(harness: Harness, ranking: str) -> None:
    """Look at large batches: limits of the store, and answers that come in another order."""
    data = make("gaussian", 64, count=200, queries=120)
    index = harness.index(dimension=64, metric="cosine")
    index.upsert(data.ids, data.vectors)
    batch = index.search(data.queries, k=7, ranking=ranking)  # type: ignore[arg-type]
    assert len(batch) == 120
    for query, together in zip(data.queries[::30], batch[::30], strict=True):
        alone = index.search(query, k=7, ranking=ranking)[0]  # type: ignore[arg-type]
        assert together.ids == alone.ids
        if ranking == "exact":
            assert_same_hits(together, alone)


@clause("SEARCH-6")
def test_a_smaller_k_gives_the_beginning_of_a_larger_one(harness: Harness) -> None:
    """Look for a search whose best hit depends on how many are asked for."""
    if not harness.capabilities.exact:
        vacuous("what an approximate index finds may depend on k")
    data = make("duplicates", 64, count=80)
    for metric in ("cosine", "dotproduct", "euclidean"):
        index = harness.index(dimension=64, metric=metric)
        index.upsert(data.ids, data.vectors)
        everything = index.search(data.queries, k=None)
        for k in (1, 2, 5, 20, 79):
            for best, whole in zip(index.search(data.queries, k), everything, strict=True):
                assert best.ids == whole.ids[:k], f"{metric}, k = {k}"


@clause("SEARCH-7")
@pytest.mark.parametrize("ranking", ["exact", "native"])
def test_within_leaves_only_the_listed_records(harness: Harness, ranking: str) -> None:
    """Look at unknown ids, repeats, an empty list, and candidates that are filtered too late."""
    index = harness.index(dimension=2, metric="euclidean")
    ids = [f"n{number:02}" for number in range(60)]
    index.upsert(ids, [[number, 0] for number in range(60)])

    def found(within: list[str], k: int | None) -> tuple[str, ...]:
        return index.search([0, 0], k, within=within, ranking=ranking)[0].ids  # type: ignore[arg-type]

    assert found(ids[50:], 3) == tuple(ids[50:53])
    assert found(ids[:49:-1], None) == tuple(ids[50:])
    assert found(["n55", "unknown", "n52", "n55"], 9) == ("n52", "n55")
    assert found(["unknown"], 9) == ()
    assert found([], 9) == ()
    index.delete(["n52"])
    assert found(["n52", "n55"], 9) == ("n55",)


@clause("SEARCH-7", "RANK-3")
def test_a_search_within_is_the_full_ranking_without_the_others(harness: Harness) -> None:
    """Look at within together with ties and with every metric."""
    data = make("duplicates", 3, count=60)
    for metric in ("cosine", "dotproduct", "euclidean"):
        index = harness.index(dimension=3, metric=metric)
        index.upsert(data.ids, data.vectors)
        listed = set(data.ids[::3])
        full = index.search(data.queries, k=None)
        for k in (1, 7, 20, 21):
            for hits, whole in zip(index.search(data.queries, k, within=listed), full, strict=True):
                kept = [hit for hit in whole if hit.id in listed][:k]
                assert hits.distances.tolist() == [hit.distance for hit in kept]
                # Which of several at the last place is its own choice where it is approximate.
                assert hits.ids == tuple(hit.id for hit in kept) or not hits.exact


@clause("SEARCH-7", "CAP-5")
def test_within_has_no_ceiling(harness: Harness) -> None:
    """Look at max_within: is it the store's real ceiling?"""
    most = harness.capabilities.max_within or 5000
    count = min(most + 1, 20_000)
    index = harness.index(dimension=2, metric="euclidean")
    ids = [f"{number:06}" for number in range(count)]
    index.upsert(ids, np.stack([np.arange(count), np.zeros(count)], axis=1))
    for listed in (ids[: count - 1], ids):
        hits = index.search([count, 0], k=3, within=listed)[0]
        assert hits.ids == tuple(listed[:-4:-1])


@clause("SEARCH-10", "DIST-1")
def test_farthest_ranks_the_other_way(harness: Harness) -> None:
    """Look at ties: they stay in ascending order of id."""
    data = make("duplicates", 3, count=40)
    for metric in ("cosine", "dotproduct", "euclidean"):
        index = harness.index(dimension=3, metric=metric)
        index.upsert(data.ids, data.vectors)
        full = index.search(data.queries, k=None)
        for hits, whole in zip(index.farthest(data.queries, k=12), full, strict=True):
            pairs = [(hit.distance, hit.id) for hit in whole]
            expected = sorted(pairs, key=lambda pair: (-pair[0], pair[1]))
            assert [(hit.distance, hit.id) for hit in hits] == expected[:12]


@clause("SEARCH-11", "WRITE-7")
def test_a_search_after_a_write_sees_it(harness: Harness) -> None:
    """Look for caches, and for writes that are acknowledged before they can be read."""
    index = harness.index(dimension=2, metric="euclidean")
    for number in range(9, 0, -1):
        index.upsert([f"n{number:02}"], [[number, 0]])
        for ranking in ("exact", "native"):
            assert index.search([0, 0], k=1, ranking=ranking)[0].ids == (f"n{number:02}",)
