"""Exact ranking: what the client layer makes of an engine's candidates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.adversarial import DIMENSIONS, KINDS, make
from tests.engine import Engine, make_engine
from tests.oracle import oracle
from vecbridge import METRICS, Index, InvalidArgumentError, Metric, Ranking


def filled(engine: Engine, ids: list[str], vectors: Any) -> Index:
    index = Index(engine)
    index.upsert(ids, vectors)
    engine.calls.clear()
    return index


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("metric", METRICS)
def test_every_k_equals_the_oracle_to_the_last_bit(
    metric: Metric, dimension: int, kind: str
) -> None:
    data = make(kind, dimension)
    index = filled(make_engine(dimension, metric), data.ids, data.vectors)
    expected = [oracle(metric, data.ids, data.vectors, query, 61) for query in data.queries]
    for k in range(1, 62):
        for hits, (ids, distances) in zip(index.search(data.queries, k), expected, strict=True):
            assert hits.ids == ids[:k]
            assert hits.distances.tolist() == distances[:k]
            assert hits.exact


@pytest.mark.parametrize("metric", METRICS)
def test_farthest_is_the_ranking_from_its_far_end(metric: Metric) -> None:
    data = make("duplicates", 3)
    index = filled(make_engine(3, metric), data.ids, data.vectors)
    for query in data.queries:
        hits = index.farthest(query, 17)[0]
        ids, distances = oracle(metric, data.ids, data.vectors, query, 17, farthest=True)
        assert (hits.ids, hits.distances.tolist()) == (ids, distances)


def test_k_none_ranks_everything() -> None:
    data = make("integers", 3)
    index = filled(make_engine(3), data.ids, data.vectors)
    hits = index.search(data.queries[0], None)[0]
    assert (hits.ids, hits.distances.tolist()) == oracle(
        "euclidean", data.ids, data.vectors, data.queries[0], 60
    )


def test_an_undecided_cut_is_asked_for_again_until_it_is_decided() -> None:
    engine = make_engine(2, spare=0)
    index = filled(engine, [f"{n:02d}" for n in range(50)], np.ones((50, 2)))
    hits = index.search([1, 1], 3)[0]
    assert hits.ids == ("00", "01", "02")
    assert hits.exact
    assert [call for call, _ in engine.calls] == ["candidates", "candidates"]


def test_a_useless_floor_ends_in_a_scan() -> None:
    data = make("gaussian", 3)
    engine = make_engine(3, bounds="useless")
    index = filled(engine, data.ids, data.vectors)
    hits = index.search(data.queries[0], 5)[0]
    assert (hits.ids, hits.distances.tolist()) == oracle(
        "euclidean", data.ids, data.vectors, data.queries[0], 5
    )
    assert hits.exact


def test_a_scan_that_is_not_allowed_leaves_the_answer_unproven() -> None:
    data = make("gaussian", 3, count=2000)
    engine = make_engine(3, bounds="useless", max_k=100)
    index = filled(engine, data.ids, data.vectors)
    hits = index.search(data.queries[0], 5, ranking="no-scan")[0]
    assert len(hits) == 5
    assert not hits.exact
    assert "scan" not in dict(engine.calls)


def test_an_approximate_engine_is_asked_once_and_never_called_exact() -> None:
    data = make("gaussian", 3)
    engine = make_engine(3, bounds="none", exact=False)
    index = filled(engine, data.ids, data.vectors)
    hits = index.search(data.queries[0], 5)[0]
    assert not hits.exact
    assert len(engine.calls) == 1
    assert hits.distances.tolist() == sorted(hits.distances.tolist())


def test_k_beyond_the_stores_ceiling_is_scanned() -> None:
    data = make("gaussian", 3)
    engine = make_engine(3, max_k=10)
    index = filled(engine, data.ids, data.vectors)
    hits = index.search(data.queries, 11)
    assert [len(each) for each in hits] == [11, 11, 11]
    assert all(each.exact for each in hits)
    assert dict(engine.calls).keys() == {"scan"}


def test_native_beyond_the_ceiling_is_scanned_too() -> None:
    data = make("gaussian", 3)
    index = filled(make_engine(3, max_k=10), data.ids, data.vectors)
    assert len(index.search(data.queries[0], 11, ranking="native")[0]) == 11


def test_native_ranking_keeps_the_engines_distances_in_contract_order() -> None:
    engine = make_engine(2)
    index = filled(engine, ["b", "a", "c"], [[1, 0], [1, 0], [0, 0]])
    hits = index.search([0, 0], 3, ranking="native")[0]
    assert hits.ids == ("c", "a", "b")
    assert not hits.exact


def test_batches_of_queries_answer_like_single_queries() -> None:
    data = make("one_ulp_apart", 64, queries=20)
    index = filled(make_engine(64, "cosine"), data.ids, data.vectors)
    together = index.search(data.queries, 7)
    apart = [index.search(query, 7)[0] for query in data.queries]
    assert together == apart


@pytest.mark.parametrize("wanted", [0, 1, 7, 60])
def test_within_ranks_the_allow_list_alone(wanted: int) -> None:
    data = make("duplicates", 3)
    index = filled(make_engine(3), data.ids, data.vectors)
    chosen = data.ids[:wanted]
    hits = index.search(data.queries[0], 5, within=[*chosen, "unknown"])[0]
    assert (hits.ids, hits.distances.tolist()) == oracle(
        "euclidean", chosen, data.vectors[:wanted].reshape(-1, 3), data.queries[0], 5
    )


def test_an_allow_list_beyond_the_stores_ceiling_is_fetched() -> None:
    data = make("gaussian", 3)
    engine = make_engine(3, max_within=10)
    index = filled(engine, data.ids, data.vectors)
    hits = index.search(data.queries[0], 5, within=data.ids[:11])[0]
    assert hits.ids == oracle("euclidean", data.ids[:11], data.vectors[:11], data.queries[0], 5)[0]
    assert [call for call, _ in engine.calls] == ["fetch"]


def test_an_empty_index_answers_with_no_hits() -> None:
    index = Index(make_engine(3))
    hits = index.search(np.zeros((2, 3)), 5)
    assert [len(each) for each in hits] == [0, 0]
    assert all(each.exact for each in hits)
    assert len(index.search([0, 0, 0], None)[0]) == 0
    assert len(index.farthest([0, 0, 0], 5)[0]) == 0


def test_no_queries_no_answers() -> None:
    index = Index(make_engine(3))
    assert index.search(np.empty((0, 3)), 5) == []
    assert index.farthest(np.empty((0, 3)), 5) == []


@pytest.mark.parametrize("declared", [True, False])
def test_exactness_is_had_where_the_engine_promises_nothing(*, declared: bool) -> None:
    engine = make_engine(3)
    engine.bounds = "none"
    engine.capabilities = replace(engine.capabilities, exact=declared)
    data = make("integers", 3)
    index = filled(engine, data.ids, data.vectors)
    assert not index.search(data.queries[0], 7)[0].exact
    engine.calls.clear()
    (hits,) = index.search(data.queries[0], 7, ranking="certified")
    expected = oracle("euclidean", data.ids, data.vectors, data.queries[0], 7)
    assert (hits.ids, hits.distances.tolist(), hits.exact) == (*expected, True)
    # A declared approximation is not even asked.
    assert ("candidates" in {name for name, _ in engine.calls}) is declared
    mean = index.search_aggregated(data.queries[:1], 7, ranking="certified")
    assert (mean.ids, mean.exact) == (expected[0], True)


@pytest.mark.parametrize("word", ["no-scan", "native"])
def test_an_aggregated_answer_that_is_certified_anyway_takes_no_weaker_word(word: Ranking) -> None:
    index = filled(make_engine(3), ["a"], [[1, 2, 3]])
    assert index.search_aggregated([[1, 2, 3]], ranking=word).ids == ("a",)
    with pytest.raises(InvalidArgumentError, match=word):
        index.search_aggregated([[1, 2, 3]], ranking=word, farthest=True)
    with pytest.raises(InvalidArgumentError, match=word):
        index.search_aggregated([[1, 2, 3]], ranking=word, aggregation="post-min")


def test_without_a_scan_all_that_is_asked_for_is_ranked() -> None:
    data = make("gaussian", 3)
    index = filled(make_engine(3, max_k=10), data.ids, data.vectors)
    for k in (None, 60):
        (hits,) = index.search(data.queries[0], k, ranking="no-scan")
        assert (len(hits), hits.exact) == (60, True)
