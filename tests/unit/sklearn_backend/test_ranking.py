"""The reference ranks as the contract defines, and its floors are true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adversarial import DIMENSIONS, KINDS, Data, make
from tests.oracle import oracle, oracle_distances
from vecbridge import METRICS, Index, Metric, field, get_backend
from vecbridge_sklearn import SklearnBackend, SklearnSettings
from vecbridge_sklearn._index import SklearnIndex

EXTREMES = {"all_huge": 1e30, "all_tiny": 1e-30, "mid": 1e10}


def index_of(data: Data, metric: Metric) -> Index:
    index = get_backend("sklearn").create_index("t", dimension=data.vectors.shape[1], metric=metric)
    index.upsert(data.ids, data.vectors)
    return index


def data_of(kind: str, dimension: int, count: int = 60) -> Data:
    if kind in EXTREMES:
        plain = make("gaussian", dimension, count=count)
        factor = np.float32(EXTREMES[kind])
        return Data(plain.ids, plain.vectors * factor, plain.queries * factor)
    return make(kind, dimension, count=count)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("kind", [*KINDS, *EXTREMES])
def test_rankings_are_the_oracles_to_the_last_bit(
    kind: str, dimension: int, metric: Metric
) -> None:
    data = data_of(kind, dimension)
    index = index_of(data, metric)
    for k in (1, 10, len(data.ids) + 1):
        for query, hits in zip(data.queries, index.search(data.queries, k), strict=True):
            ids, distances = oracle(metric, data.ids, data.vectors, query, k)
            assert (hits.ids, hits.distances.tolist()) == (ids, distances)
            assert hits.exact


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("kind", [*KINDS, *EXTREMES])
def test_no_record_that_is_left_out_is_nearer_than_the_floor(
    kind: str, dimension: int, metric: Metric
) -> None:
    data = data_of(kind, dimension, count=300)
    index = index_of(data, metric)
    for k in (1, 7, 60):
        found = index.candidates(data.queries, k)
        for query, candidates in zip(data.queries, found, strict=True):
            assert len(set(candidates.ids)) == len(candidates.ids) >= k
            left_out = [at for at, name in enumerate(data.ids) if name not in set(candidates.ids)]
            if left_out:
                nearest = oracle_distances(metric, query, data.vectors[left_out]).min()
                assert candidates.floor <= nearest
            else:
                assert candidates.floor == np.inf


@pytest.mark.parametrize("metric", METRICS)
def test_ordinary_data_is_decided_in_one_round_by_few_candidates(metric: Metric) -> None:
    data = make("gaussian", 64, count=3000)
    for query, candidates in zip(
        data.queries, index_of(data, metric).candidates(data.queries, 10), strict=True
    ):
        assert len(candidates.ids) == 26
        tenth = np.sort(oracle_distances(metric, query, data.vectors))[9]
        assert candidates.floor > tenth


def test_ties_beyond_the_spare_candidates_are_offered_at_once() -> None:
    vectors = np.zeros((500, 8), dtype=np.float32)
    vectors[:, 0] = np.arange(500) // 100
    data = Data([f"id{number}" for number in range(500)], vectors, vectors[:1])
    (candidates,) = index_of(data, "euclidean").candidates(data.queries, 10)
    assert set(data.ids[:100]) <= set(candidates.ids)
    assert len(candidates.ids) == 101
    assert candidates.floor > 0.0


def test_the_float64_tier_decides_what_float32_cannot() -> None:
    data = make("offset_1000", 64, count=2000)
    (candidates,) = index_of(data, "euclidean").candidates(data.queries[:1], 10)
    assert len(candidates.ids) == 26
    tenth = np.sort(oracle_distances("euclidean", data.queries[0], data.vectors))[9]
    assert candidates.floor > tenth


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["gaussian", "all_huge", "all_tiny", "zero_vectors"])
def test_native_distances_are_the_contracts_within_rounding(kind: str, metric: Metric) -> None:
    data = data_of(kind, 64, count=200)
    for query, hits in zip(
        data.queries,
        index_of(data, metric).search(data.queries, 200, ranking="native"),
        strict=True,
    ):
        assert not hits.exact
        exact = dict(
            zip(data.ids, oracle_distances(metric, query, data.vectors).tolist(), strict=True)
        )
        size = float(np.linalg.norm(np.float64(query)))
        largest = float(np.linalg.norm(np.float64(data.vectors), axis=1).max())
        scale = {"cosine": 1.0, "dotproduct": size * largest, "euclidean": size + largest}[metric]
        assert hits.distances == pytest.approx(
            [exact[name] for name in hits.ids], rel=1e-3, abs=2e-3 * scale
        )
        assert sorted(hits.ids) == sorted(data.ids)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("size", [0, 1, 30, 400, 1000])
@pytest.mark.parametrize("ranking", ["exact", "native"])
def test_only_allowed_records_are_found(metric: Metric, size: int, ranking: Any) -> None:
    data = make("gaussian", 16, count=1000)
    index = index_of(data, metric)
    allowed = data.ids[::-1][:size]
    (hits,) = index.search(data.queries[0], 12, within=[*allowed, "nobody"], ranking=ranking)
    ids, _ = oracle(metric, allowed, data.vectors[::-1][:size], data.queries[0], 12)
    assert hits.ids == ids


def test_filters_and_allow_lists_combine() -> None:
    index = get_backend("sklearn").create_index("t", dimension=2, fields={"n": "integer"})
    vectors = np.array([[1, number] for number in range(100)])
    index.upsert([f"id{n}" for n in range(100)], vectors, {"n": list(range(100))})
    (hits,) = index.search([1, 0], 3, where=field("n") >= 50)
    assert hits.ids == ("id50", "id51", "id52")
    (hits,) = index.search([1, 0], 3, where=field("n") >= 50, within=["id1", "id99", "id60"])
    assert hits.ids == ("id60", "id99")
    (hits,) = index.search([1, 0], 3, where=field("n") > 1000)
    assert hits.ids == ()


def test_searches_follow_writes() -> None:
    data = make("gaussian", 8, count=200)
    index = index_of(data, "cosine")
    query = data.queries[0]
    (first,) = index.search(query, 3)
    index.delete(first.ids[:1])
    (second,) = index.search(query, 2)
    assert second.ids == first.ids[1:]
    index.upsert(["new"], query[None])
    (third,) = index.search(query, 1)
    assert third.ids == ("new",)


def test_a_batch_answers_as_single_queries_do(monkeypatch: pytest.MonkeyPatch) -> None:
    data = make("mixed_norms", 16, count=300, queries=25)
    index = index_of(data, "dotproduct")
    together = index.search(data.queries, 10)
    monkeypatch.setattr("vecbridge_sklearn._index._KEY_BYTES", 300 * 4 * 4)
    monkeypatch.setattr("vecbridge.ranking._double._BLOCK_BYTES", 16 * 8 * 7)
    assert index.search(data.queries, 10) == together
    assert [index.search(query, 10)[0] for query in data.queries] == together


def test_an_empty_index_answers_with_nothing() -> None:
    index = get_backend("sklearn").create_index("t", dimension=4)
    for ranking in ("exact", "native"):
        assert [hits.ids for hits in index.search(np.ones((2, 4)), ranking=ranking)] == [(), ()]


def test_a_search_holds_no_snapshot_that_a_write_would_have_to_copy() -> None:
    backend = SklearnBackend(SklearnSettings())
    engine = backend.create_index("t", dimension=4, metric="cosine", fields={}, consistency=None)
    assert isinstance(engine, SklearnIndex)
    vectors = np.ones((3, 4), dtype=np.float32)
    engine.upsert(["a", "b", "c"], vectors)
    engine.candidates(vectors[:1], 1)
    engine.search(vectors[:1], 1)
    columns = engine._table("search")._columns
    assert len(columns._views) == 0


def test_an_index_is_the_same_after_reopening(tmp_path: Path) -> None:
    data = make("gaussian", 16, count=100)
    with get_backend("sklearn", path=tmp_path) as store:
        index = store.create_index("t", dimension=16, metric="dotproduct")
        index.upsert(data.ids, data.vectors)
        before = index.search(data.queries, 5)
        assert index.capabilities.durable
        assert index.capabilities.shared
    with get_backend("sklearn", path=str(tmp_path)) as store:
        assert store.index_names() == ["t"]
        again = store.open_index("t")
        assert again.info.metric == "dotproduct"
        assert again.search(data.queries, 5) == before


def test_a_memory_store_claims_no_durability() -> None:
    for path in (None, ":memory:"):
        index = get_backend("sklearn", path=path).create_index("t", dimension=2)
        assert not index.capabilities.durable
        assert not index.capabilities.shared
