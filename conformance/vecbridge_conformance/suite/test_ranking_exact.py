"""The exact ranking: ids, order and distances of the reference, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from vecbridge import METRICS, Index, InvalidArgumentError, Metric
from vecbridge_conformance import Harness, clause, requires
from vecbridge_conformance.checks import assert_same_hits, exact_ranking
from vecbridge_conformance.data import DIMENSIONS, KINDS, Data, make
from vecbridge_conformance.properties import some

COUNT = 60


@requires("exact")
@clause("RANK-1", "RANK-3", "RANK-4", "RANK-5", "DIST-2", "DIST-3", "DIST-8")
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("metric", METRICS)
def test_adversarial_data_rank_as_the_definition_says(
    harness: Harness, metric: Metric, dimension: int
) -> None:
    """Look at the lower bound first: if it is honest, the client layer makes the rest right."""
    index = harness.index(dimension=dimension, metric=metric)
    at = DIMENSIONS.index(dimension)
    # Three at a turn: each kind has its turn with each metric and with each dimension.
    kinds = some(harness, KINDS, turn=METRICS.index(metric) + at + 1, few=3)
    for turn, kind in enumerate(kinds, at):
        data = make(kind, dimension, count=COUNT)
        index.upsert(data.ids, data.vectors)
        ks = some(harness, [1, 2, 10, COUNT, COUNT + 1], turn=turn)
        _compare(index, data, ks, f"data: {kind}, ")


@requires("exact")
@clause("RANK-1", "RANK-3", "SEARCH-3", "SEARCH-6")
@pytest.mark.parametrize("metric", METRICS)
def test_every_k_from_one_to_one_more_than_there_are(harness: Harness, metric: Metric) -> None:
    """Look at ties that are cut by k: they belong to the smaller ids."""
    data = make("duplicates", 64, count=40)
    index = harness.index(dimension=64, metric=metric)
    index.upsert(data.ids, data.vectors)
    _compare(index, data, some(harness, range(1, 42), turn=METRICS.index(metric), few=14))


@requires("exact")
@clause("RANK-2", "RANK-1")
def test_ties_are_in_the_order_of_code_points(harness: Harness) -> None:
    """Look for ties in the order of insertion, of a locale, of bytes of UTF-16, or folded."""
    ids = ["b", "B", "a", "\u00e9", "e", "\uffff", "\U00010000", "10", "9", "_", " x"]
    for metric in METRICS:
        index = harness.index(dimension=2, metric=metric)
        for order in (ids, ids[::-1]):
            index.upsert(order, np.ones((len(ids), 2)))
            for k in (1, 5, len(ids)):
                assert index.search([1, 0], k)[0].ids == tuple(sorted(ids)[:k])
            index.delete(ids)


@requires("exact")
@clause("RANK-1", "RANK-3", "CAND-6")
@pytest.mark.parametrize("metric", METRICS)
def test_more_ties_than_the_engine_spares(harness: Harness, metric: Metric) -> None:
    """Look at ties that reach beyond the candidates: the lower bound must not exceed them."""
    count = 400
    ids = [f"n{number:03}" for number in range(count)]
    shuffled = np.random.default_rng(2).permutation(count).tolist()
    index = harness.index(dimension=3, metric=metric)
    index.upsert([ids[row] for row in shuffled], np.tile([1.0, 2.0, 3.0], (count, 1)))
    for k in (1, 10, 399):
        assert index.search([3, 2, 1], k)[0].ids == tuple(ids[:k])


@requires("exact")
@clause("RANK-3", "WRITE-2", "WRITE-5")
@pytest.mark.parametrize("metric", METRICS)
def test_the_ranking_follows_writes(harness: Harness, metric: Metric) -> None:
    """Look for norms, caches and rows that a replaced or deleted record leaves behind."""
    data = make("mixed_norms", 64, count=90)
    other = make("small_integers", 64, count=90)
    index = harness.index(dimension=64, metric=metric)
    index.upsert(data.ids, data.vectors)
    index.search(data.queries, k=5)
    index.upsert(data.ids[:40], other.vectors[:40])
    index.delete(data.ids[30:60])
    ids = data.ids[:30] + data.ids[60:]
    vectors = np.concatenate([other.vectors[:30], data.vectors[60:]])
    _compare(index, Data(ids, vectors, other.queries), [1, 10, 60, 61])


@requires("exact")
@clause("RANK-3", "RANK-5", "SEARCH-7")
@pytest.mark.parametrize("metric", METRICS)
def test_the_ranking_within_an_allow_list(harness: Harness, metric: Metric) -> None:
    """Look at the lower bound of a search within: of the records in scope, not of all."""
    data = make("one_ulp_apart", 64, count=90)
    index = harness.index(dimension=64, metric=metric)
    index.upsert(data.ids, data.vectors)
    listed = data.ids[::2]
    for query in data.queries:
        for k in (1, 7, 44, 46):
            hits = index.search(query, k, within=listed)[0]
            assert_same_hits(hits, exact_ranking(metric, listed, data.vectors[::2], query, k))
            assert hits.exact


@requires("exact")
@clause("RANK-6", "RANK-10")
def test_without_a_scan_the_distances_are_still_the_definitions(harness: Harness) -> None:
    """Look at what is said to be exact where nothing proves it."""
    data = make("offset_1000", 64, count=300)
    index = harness.index(dimension=64, metric="cosine")
    index.upsert(data.ids, data.vectors)
    rows = {name: row for row, name in enumerate(data.ids)}
    for query in data.queries:
        hits = index.search(query, k=10, ranking="no-scan")[0]
        listed = data.vectors[[rows[name] for name in hits.ids]]
        assert_same_hits(hits, exact_ranking("cosine", hits.ids, listed, query, 10))
        if hits.exact:
            assert_same_hits(hits, exact_ranking("cosine", data.ids, data.vectors, query, 10))


@clause("RANK-9", "RANK-4", "RANK-11")
@pytest.mark.parametrize("metric", METRICS)
def test_exactness_may_be_asked_of_any_index(harness: Harness, metric: Metric) -> None:
    """Look at what an approximate index scans: every record, not those that its index reaches."""
    data = make("gaussian", 64, count=600)
    index = harness.index(dimension=64, metric=metric)
    index.upsert(data.ids, data.vectors)
    for k in (1, 50):
        for query, hits in zip(
            data.queries, index.search(data.queries, k, ranking="certified"), strict=True
        ):
            assert hits.exact
            assert_same_hits(hits, exact_ranking(metric, data.ids, data.vectors, query, k))
    for word in ("fast", "Exact", "", None, True):
        with pytest.raises(InvalidArgumentError, match="ranking must be one of exact"):
            index.search(data.queries, ranking=word)  # type: ignore[arg-type]


def _compare(index: Index, data: Data, ks: Sequence[int], prefix: str = "") -> None:
    metric = index.info.metric
    for k in ks:
        for row, hits in enumerate(index.search(data.queries, k)):
            expected = exact_ranking(metric, data.ids, data.vectors, data.queries[row], k)
            assert_same_hits(hits, expected, f"{prefix}{metric}, k = {k}, query {row}: ")
            assert hits.exact, f"{prefix}{metric}, k = {k}: right, and not said to be exact"
