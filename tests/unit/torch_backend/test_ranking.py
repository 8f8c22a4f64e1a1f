"""Whatever the precision, rankings are the contract's and floors are true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.adversarial import DIMENSIONS, KINDS, Data, make
from tests.oracle import oracle, oracle_distances
from tests.unit.torch_backend.helpers import EXTREMES, PRECISIONS, data_of, index_of
from vecbridge import METRICS, Metric, field, get_backend


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("kind", [*KINDS, *EXTREMES])
def test_rankings_are_the_oracles_and_floors_are_true(
    kind: str, dimension: int, metric: Metric, precision: str
) -> None:
    data = data_of(kind, dimension, count=200)
    index = index_of(data, metric, precision=precision)
    for query, hits in zip(data.queries, index.search(data.queries, 10), strict=True):
        ids, distances = oracle(metric, data.ids, data.vectors, query, 10)
        assert (hits.ids, hits.distances.tolist()) == (ids, distances)
        assert hits.exact
    for k in (1, 60):
        found = index.candidates(data.queries, k)
        for query, candidates in zip(data.queries, found, strict=True):
            listed = set(candidates.ids)
            assert len(listed) == len(candidates.ids) >= k
            left_out = [at for at, name in enumerate(data.ids) if name not in listed]
            assert (candidates.floor == np.inf) == (not left_out)
            if left_out:
                nearest = oracle_distances(metric, query, data.vectors[left_out]).min()
                assert candidates.floor <= nearest


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("metric", METRICS)
def test_ordinary_data_is_decided_in_one_round_by_few_candidates(
    metric: Metric, precision: str
) -> None:
    data = make("gaussian", 64, count=5000)
    index = index_of(data, metric, precision=precision)
    for query, candidates in zip(data.queries, index.candidates(data.queries, 10), strict=True):
        assert 10 <= len(candidates.ids) <= 40
        tenth = np.sort(oracle_distances(metric, query, data.vectors))[9]
        assert candidates.floor > tenth


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_centre_makes_narrow_euclidean_products_decide_offset_data(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make("offset_1000", 64, count=3000)
    index = index_of(data, "euclidean", precision=precision)

    def never(*_: object) -> None:
        raise AssertionError("float32 was asked")

    monkeypatch.setattr("vecbridge_torch._streamed.Streamed.blocks", never)
    for query, candidates in zip(data.queries, index.candidates(data.queries, 10), strict=True):
        assert len(candidates.ids) < 60
        tenth = np.sort(oracle_distances("euclidean", query, data.vectors))[9]
        assert candidates.floor > tenth


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_ties_beyond_the_spare_candidates_are_offered_at_once(precision: str) -> None:
    vectors = np.zeros((3000, 8), dtype=np.float32)
    vectors[:, 0] = np.arange(3000) // 100
    data = Data([f"id{number}" for number in range(3000)], vectors, vectors[:1])
    (candidates,) = index_of(data, "euclidean", precision=precision).candidates(data.queries, 10)
    assert set(data.ids[:100]) <= set(candidates.ids)
    assert len(candidates.ids) <= 200
    assert candidates.floor > 0.0


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("metric", METRICS)
def test_native_answers_are_candidates_at_their_true_distances(
    metric: Metric, precision: str
) -> None:
    data = make("gaussian", 64, count=400)
    index = index_of(data, metric, precision=precision)
    for k in (5, 400, 1000):
        found = index.search(data.queries, k, ranking="native")
        for query, hits in zip(data.queries, found, strict=True):
            assert not hits.exact
            ids, distances = oracle(metric, data.ids, data.vectors, query, k)
            assert (hits.ids, hits.distances.tolist()) == (ids, distances)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("ranking", ["exact", "native"])
def test_only_allowed_records_are_found(metric: Metric, precision: str, ranking: Any) -> None:
    data = make("gaussian", 16, count=1000)
    index = index_of(data, metric, precision=precision)
    for size in (0, 1, 30, 200, 700, 1000):
        allowed = data.ids[::-1][:size]
        (hits,) = index.search(data.queries[0], 12, within=[*allowed, "nobody"], ranking=ranking)
        ids, _ = oracle(metric, allowed, data.vectors[::-1][:size], data.queries[0], 12)
        assert hits.ids == ids


def test_filters_and_allow_lists_combine() -> None:
    index = get_backend("torch", device="cpu").create_index(
        "t", dimension=2, fields={"n": "integer"}
    )
    vectors = np.array([[1, number] for number in range(100)])
    index.upsert([f"id{n}" for n in range(100)], vectors, {"n": list(range(100))})
    (hits,) = index.search([1, 0], 3, where=field("n") >= 50)
    assert hits.ids == ("id50", "id51", "id52")
    (hits,) = index.search([1, 0], 3, where=field("n") >= 50, within=["id1", "id99", "id60"])
    assert hits.ids == ("id60", "id99")


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("metric", METRICS)
def test_a_batch_answers_as_single_queries_do(
    metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make("mixed_norms", 16, count=300, queries=25)
    for precision in PRECISIONS:
        index = index_of(data, metric, precision=precision)
        together = index.search(data.queries, 10)
        with monkeypatch.context() as small:
            small.setattr("vecbridge_torch._streamed._SCORE_BYTES", 4 * 25 * 90)
            small.setattr("vecbridge_torch._index._QUERIES", 7)
            assert index.search(data.queries, 10) == together
        assert [index.search(query, 10)[0] for query in data.queries] == together


def test_an_empty_index_answers_with_nothing() -> None:
    index = get_backend("torch", device="cpu").create_index("t", dimension=4)
    for ranking in ("exact", "native"):
        assert [hits.ids for hits in index.search(np.ones((2, 4)), ranking=ranking)] == [(), ()]
