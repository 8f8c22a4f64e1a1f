"""FAISS flat ranks as the contract defines, and its floors are true."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest

from tests.adversarial import DIMENSIONS, KINDS, Data, make
from tests.oracle import oracle, oracle_distances
from vecbridge import METRICS, Index, Metric, field, get_backend
from vecbridge_faiss import FaissBackend, FaissSettings

EXTREMES = {"all_huge": 1e30, "all_tiny": 1e-30, "mid": 1e10}


def index_of(data: Data, metric: Metric) -> Index:
    index = get_backend("faiss").create_index("t", dimension=data.vectors.shape[1], metric=metric)
    index.upsert(data.ids, data.vectors)
    return index


def data_of(kind: str, dimension: int, count: int = 60) -> Data:
    if kind == "unit":
        plain = make("gaussian", dimension, count=count)
        lengths = np.linalg.norm(plain.vectors, axis=1, keepdims=True)
        return Data(plain.ids, plain.vectors / lengths, plain.queries)
    if kind in EXTREMES:
        plain = make("gaussian", dimension, count=count)
        factor = np.float32(EXTREMES[kind])
        return Data(plain.ids, plain.vectors * factor, plain.queries * factor)
    return make(kind, dimension, count=count)


@pytest.fixture(params=["differences", "products"])
def kernel(request: pytest.FixtureRequest) -> Any:
    """Both of FAISS's ways to a euclidean distance, whatever the number of queries."""
    before = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = 1 << 30 if request.param == "differences" else 1
    yield request.param
    faiss.cvar.distance_compute_blas_threshold = before


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("kind", [*KINDS, *EXTREMES, "unit"])
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
@pytest.mark.parametrize("kind", [*KINDS, *EXTREMES, "unit"])
def test_no_record_that_is_left_out_is_nearer_than_the_floor(
    kind: str, dimension: int, metric: Metric, kernel: str
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
@pytest.mark.parametrize("kind", ["gaussian", "mixed_norms", "all_tiny", "mid", "unit"])
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_faiss_own_values_lie_within_the_bounds(
    kind: str, metric: Metric, dimension: int, kernel: str
) -> None:
    from vecbridge.ranking import norms
    from vecbridge_faiss._flat import Flat

    data = data_of(kind, dimension, count=200)
    flat = Flat(metric, data.vectors, norms(data.vectors))
    query_norms = norms(data.queries)
    usable = flat.usable(query_norms)
    queries, query_norms = data.queries[usable], query_norms[usable]
    if not len(queries):
        # Products of these underflow, so none of the queries may be asked.
        assert kind == "all_tiny"
        return
    found = flat.nearest(queries, data.vectors, len(data.ids))
    assert found.differences == (metric == "euclidean" and kernel == "differences")
    lower, upper = flat.bounds(found, query_norms)
    for row, query in enumerate(queries):
        exact = oracle_distances(metric, query, data.vectors)[found.columns[row]]
        assert (lower[row] <= exact).all()
        assert (exact <= upper[row]).all()
        assert (np.diff(lower[row]) >= 0).all()
        assert (np.diff(upper[row]) >= 0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_ordinary_data_is_decided_in_one_round_by_few_candidates(metric: Metric) -> None:
    data = make("gaussian", 64, count=3000)
    for query, candidates in zip(
        data.queries, index_of(data, metric).candidates(data.queries, 10), strict=True
    ):
        assert 10 < len(candidates.ids) <= 26
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


def test_what_the_expanded_form_leaves_open_differences_decide(kernel: str) -> None:
    data = make("offset_1000", 64, count=2000)
    index = index_of(data, "euclidean")
    (candidates,) = index.candidates(data.queries[:1], 10)
    assert len(candidates.ids) <= 104
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


def test_native_euclidean_distances_are_not_squared() -> None:
    index = get_backend("faiss").create_index("t", dimension=2, metric="euclidean")
    index.upsert(["far", "origin"], [[3, 4], [0, 0]])
    (hits,) = index.search([0, 0], 2, ranking="native")
    assert (hits.ids, hits.distances.tolist()) == (("origin", "far"), [0.0, 5.0])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("size", [0, 1, 30, 400, 990, 1000])
@pytest.mark.parametrize("ranking", ["exact", "native"])
def test_only_allowed_records_are_found(metric: Metric, size: int, ranking: Any) -> None:
    data = make("gaussian", 16, count=1000)
    index = index_of(data, metric)
    allowed = data.ids[::-1][:size]
    (hits,) = index.search(data.queries[0], 12, within=[*allowed, "nobody"], ranking=ranking)
    ids, _ = oracle(metric, allowed, data.vectors[::-1][:size], data.queries[0], 12)
    assert hits.ids == ids


def test_filters_and_allow_lists_combine() -> None:
    index = get_backend("faiss").create_index("t", dimension=2, fields={"n": "integer"})
    vectors = np.array([[1, number] for number in range(100)])
    index.upsert([f"id{n}" for n in range(100)], vectors, {"n": list(range(100))})
    (hits,) = index.search([1, 0], 3, where=field("n") >= 50)
    assert hits.ids == ("id50", "id51", "id52")
    (hits,) = index.search([1, 0], 3, where=field("n") >= 50, within=["id1", "id99", "id60"])
    assert hits.ids == ("id60", "id99")
    (hits,) = index.search([1, 0], 3, where=field("n") > 1000)
    assert hits.ids == ()


@pytest.mark.parametrize("metric", METRICS)
def test_searches_follow_writes(metric: Metric) -> None:
    data = make("gaussian", 8, count=200)
    index = index_of(data, metric)
    query = data.queries[0]
    (first,) = index.search(query, 3)
    index.delete(first.ids[:1])
    (second,) = index.search(query, 2)
    assert second.ids == first.ids[1:]
    index.upsert(["new", first.ids[1]], np.stack([query * 50, -query]))
    ids = [name for name in data.ids if name not in first.ids[:2]] + ["new", first.ids[1]]
    vectors = np.stack([data.vectors[data.ids.index(name)] for name in ids[:-2]])
    vectors = np.concatenate([vectors, np.stack([query * 50, -query])])
    (third,) = index.search(query, 200)
    assert third.ids == oracle(metric, ids, vectors, query, 200)[0]


@pytest.mark.parametrize("metric", METRICS)
def test_a_batch_answers_as_single_queries_do(metric: Metric, kernel: str) -> None:
    data = make("mixed_norms", 16, count=300, queries=25)
    index = index_of(data, metric)
    together = index.search(data.queries, 10)
    assert [index.search(query, 10)[0] for query in data.queries] == together


def test_an_empty_index_answers_with_nothing() -> None:
    index = get_backend("faiss").create_index("t", dimension=4)
    for ranking in ("exact", "native"):
        assert [hits.ids for hits in index.search(np.ones((2, 4)), ranking=ranking)] == [(), ()]


def test_a_search_holds_no_snapshot_that_a_write_would_have_to_copy() -> None:
    backend = FaissBackend(FaissSettings())
    engine = backend.create_index("t", dimension=4, metric="cosine", fields={}, consistency=None)
    vectors = np.arange(400, dtype=np.float32).reshape(100, 4)
    engine.upsert([f"id{number}" for number in range(100)], vectors)
    engine.candidates(vectors[:1], 1)
    engine.search(vectors[:1], 1)
    assert len(engine._table("search")._columns._views) == 0


@pytest.mark.parametrize(("kind", "copied"), [("unit", False), ("gaussian", True)])
def test_vectors_of_one_length_are_searched_where_they_lie(kind: str, copied: bool) -> None:
    from vecbridge.ranking import norms
    from vecbridge_faiss._flat import Flat

    vectors = data_of(kind, 64, count=500).vectors
    assert (Flat("cosine", vectors, norms(vectors))._units is not None) == copied
