"""The farthest records, on data on which float32 goes wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.adversarial import DIMENSIONS, KINDS, make
from tests.engine import make_engine
from tests.oracle import oracle
from vecbridge import METRICS, Index, Metric, get_backend
from vecbridge.local import LocalIndex


def filled(metric: Metric, ids: list[str], vectors: Any) -> Index:
    store = get_backend("sklearn", path=":memory:")
    index = store.create_index("far", dimension=vectors.shape[1], metric=metric)
    index.upsert(ids, vectors)
    return index


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("metric", METRICS)
def test_every_k_equals_the_oracle_to_the_last_bit(
    metric: Metric, dimension: int, kind: str
) -> None:
    data = make(kind, dimension)
    index = filled(metric, data.ids, data.vectors)
    expected = [
        oracle(metric, data.ids, data.vectors, query, 61, farthest=True) for query in data.queries
    ]
    for k in (1, 2, 7, 59, 60, 61):
        for hits, (ids, distances) in zip(index.farthest(data.queries, k), expected, strict=True):
            assert hits.ids == ids[:k]
            assert hits.distances.tolist() == distances[:k]
            assert hits.exact


@pytest.mark.parametrize("metric", METRICS)
def test_only_records_of_the_list_are_ranked(metric: Metric) -> None:
    data = make("gaussian", 64)
    index = filled(metric, data.ids, data.vectors)
    inside = data.ids[::3]
    ids, _ = oracle(metric, inside, data.vectors[::3], data.queries[0], 5, farthest=True)
    assert index.farthest(data.queries[0], 5, within=inside)[0].ids == ids


@pytest.mark.parametrize("metric", ["cosine", "dotproduct"])
def test_engine_is_asked_for_a_few_candidates_and_not_for_everything(metric: Metric) -> None:
    data = make("gaussian", 64, count=500)
    engine = make_engine(64, metric)
    index = Index(engine)
    index.upsert(data.ids, data.vectors)
    engine.calls.clear()
    hits = index.farthest(data.queries, 10)
    assert all(answer.exact for answer in hits)
    assert "scan" not in {call[0] for call in engine.calls}


def test_distances_that_overflow_float32_are_ranked() -> None:
    vectors = np.array([[3e38, 0], [-3e38, 0], [1, 1], [2, 2]], dtype=np.float32)
    index = filled("euclidean", list("abcd"), vectors)
    hits = index.farthest(np.array([3e38, 0], dtype=np.float32), 2)[0]
    assert hits.ids == ("b", "c")
    assert hits.distances[0] == pytest.approx(6e38)


def test_many_queries_are_answered_together() -> None:
    data = make("gaussian", 64, queries=30)
    index = filled("euclidean", data.ids, data.vectors)
    for query, hits in zip(data.queries, index.farthest(data.queries, 4), strict=True):
        ids, distances = oracle("euclidean", data.ids, data.vectors, query, 4, farthest=True)
        assert (hits.ids, hits.distances.tolist()) == (ids, distances)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("backend", ["sklearn", "faiss", "torch"])
def test_local_engines_answer_without_a_scan(
    backend: str, metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make("gaussian", 64, count=500)
    with get_backend(backend) as store:
        index = store.create_index("far", dimension=64, metric=metric)
        index.upsert(data.ids, data.vectors)
        monkeypatch.delattr(LocalIndex, "scan")
        for within in (None, data.ids[::3]):
            rows = slice(None, None, None if within is None else 3)
            answers = index.farthest(data.queries, 7, within=within)
            for query, hits in zip(data.queries, answers, strict=True):
                ids, distances = oracle(
                    metric, data.ids[rows], data.vectors[rows], query, 7, farthest=True
                )
                assert (hits.ids, hits.distances.tolist()) == (ids, distances)


@pytest.mark.parametrize("metric", METRICS)
def test_an_engine_that_proves_nothing_of_its_own_search_needs_no_scan(
    metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make("gaussian", 64, count=500)
    with get_backend("faiss", index="HNSW16") as store:
        index = store.create_index("far", dimension=64, metric=metric)
        index.upsert(data.ids, data.vectors)
        monkeypatch.delattr(LocalIndex, "scan")
        for query, hits in zip(data.queries, index.farthest(data.queries, 7), strict=True):
            ids, distances = oracle(metric, data.ids, data.vectors, query, 7, farthest=True)
            assert (hits.ids, hits.distances.tolist()) == (ids, distances)
