"""Every engine over the local store ranks as the contract defines, and its floors are true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.adversarial import DIMENSIONS, Data, make
from tests.oracle import oracle, oracle_distances
from tests.unit.local.engines import ENGINES, EVERY_KIND, Engine, data_of
from vecbridge import METRICS, Metric, field


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_rankings_are_the_oracles_and_floors_are_true(
    kind: str, dimension: int, metric: Metric, engine: Engine
) -> None:
    data = data_of(kind, dimension, count=200)
    index = engine.index_of(data, metric)
    truth = [oracle(metric, data.ids, data.vectors, query, 201) for query in data.queries]
    for k in (1, 10, 201):
        for (ids, distances), hits in zip(truth, index.search(data.queries, k), strict=True):
            assert (hits.ids, hits.distances.tolist()) == (ids[:k], distances[:k])
            assert hits.exact
    for k in (1, 7, 60):
        found = index.candidates(data.queries, k)
        for query, candidates in zip(data.queries, found, strict=True):
            listed = set(candidates.ids)
            assert len(listed) == len(candidates.ids) >= k
            left_out = [at for at, name in enumerate(data.ids) if name not in listed]
            assert (candidates.lower_bound == np.inf) == (not left_out)
            if left_out:
                nearest = oracle_distances(metric, query, data.vectors[left_out]).min()
                assert candidates.lower_bound <= nearest


@pytest.mark.parametrize("metric", METRICS)
def test_ordinary_data_is_decided_in_one_round_by_few_candidates(
    metric: Metric, engine: Engine
) -> None:
    data = make("gaussian", 64, count=5000)
    index = engine.index_of(data, metric)
    for query, candidates in zip(data.queries, index.candidates(data.queries, 10), strict=True):
        assert 10 <= len(candidates.ids) <= 40
        tenth = np.sort(oracle_distances(metric, query, data.vectors))[9]
        assert candidates.lower_bound > tenth


def test_ties_beyond_the_spare_candidates_are_offered_at_once(engine: Engine) -> None:
    vectors = np.zeros((3000, 8), dtype=np.float32)
    vectors[:, 0] = np.arange(3000) // 100
    data = Data([f"id{number}" for number in range(3000)], vectors, vectors[:1])
    (candidates,) = engine.index_of(data, "euclidean").candidates(data.queries, 10)
    assert set(data.ids[:100]) <= set(candidates.ids)
    assert len(candidates.ids) <= 200
    assert candidates.lower_bound > 0.0


def test_offset_data_is_decided_by_few_candidates(engine: Engine) -> None:
    data = make("offset_1000", 64, count=2000)
    index = engine.index_of(data, "euclidean")
    (candidates,) = index.candidates(data.queries[:1], 10)
    assert len(candidates.ids) <= 104
    tenth = np.sort(oracle_distances("euclidean", data.queries[0], data.vectors))[9]
    assert candidates.lower_bound > tenth


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["gaussian", "all_huge", "all_tiny", "zero_vectors"])
def test_native_distances_are_the_contracts_within_rounding(
    kind: str, metric: Metric, engine: Engine
) -> None:
    data = data_of(kind, 64, count=200)
    found = engine.index_of(data, metric).search(data.queries, 200, ranking="native")
    for query, hits in zip(data.queries, found, strict=True):
        assert not hits.exact
        exact = oracle_distances(metric, query, data.vectors)
        expected = dict(zip(data.ids, exact.tolist(), strict=True))
        size = float(np.linalg.norm(np.float64(query)))
        largest = float(np.linalg.norm(np.float64(data.vectors), axis=1).max())
        scale = {"cosine": 1.0, "dotproduct": size * largest, "euclidean": size + largest}[metric]
        assert hits.distances == pytest.approx(
            [expected[name] for name in hits.ids], rel=1e-3, abs=2e-3 * scale
        )
        assert sorted(hits.ids) == sorted(data.ids)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("ranking", ["exact", "native"])
def test_only_allowed_records_are_found(metric: Metric, ranking: Any, engine: Engine) -> None:
    data = make("gaussian", 16, count=1000)
    index = engine.index_of(data, metric)
    for size in (0, 1, 30, 200, 400, 700, 990, 1000):
        allowed = data.ids[::-1][:size]
        (hits,) = index.search(data.queries[0], 12, within=[*allowed, "unknown"], ranking=ranking)
        ids, _ = oracle(metric, allowed, data.vectors[::-1][:size], data.queries[0], 12)
        assert hits.ids == ids


def test_filters_and_allow_lists_combine(engine: Engine) -> None:
    vectors = np.array([[1, number] for number in range(100)], dtype=np.float32)
    data = Data([f"id{n}" for n in range(100)], vectors, vectors[:1])
    index = engine.index_of(data, "cosine", n="integer")
    index.upsert(data.ids, vectors, {"n": list(range(100))})
    (hits,) = index.search([1, 0], 3, where=field("n") >= 50)
    assert hits.ids == ("id50", "id51", "id52")
    (hits,) = index.search([1, 0], 3, where=field("n") >= 50, within=["id1", "id99", "id60"])
    assert hits.ids == ("id60", "id99")
    (hits,) = index.search([1, 0], 3, where=field("n") > 1000)
    assert hits.ids == ()


@pytest.mark.parametrize("metric", METRICS)
def test_searches_follow_writes(metric: Metric, engine: Engine) -> None:
    rng = np.random.default_rng(0)
    data = make("gaussian", 8, count=200)
    index = engine.index_of(data, metric)
    model = dict(zip(data.ids, data.vectors, strict=True))
    for step in range(12):
        more = rng.standard_normal((40, 8), dtype=np.float32) * (3.0 if step > 6 else 1.0)
        kind = "new" if step % 3 else "id-"
        ids = [f"{kind}{number:04d}" for number in range(25 * step, 25 * step + 40)]
        index.upsert(ids, more)
        model.update(zip(ids, more, strict=True))
        if step % 4 == 3:
            gone = list(model)[step : 5 * step : 2]
            index.delete(gone)
            for name in gone:
                del model[name]
        for query, hits in zip(data.queries, index.search(data.queries, 7), strict=True):
            expected, _ = oracle(metric, list(model), np.array(list(model.values())), query, 7)
            assert hits.ids == expected


@pytest.mark.parametrize("metric", METRICS)
def test_a_batch_answers_as_single_queries_do(metric: Metric, engine: Engine) -> None:
    data = make("mixed_norms", 16, count=300, queries=25)
    index = engine.index_of(data, metric)
    together = index.search(data.queries, 10)
    assert ENGINES["sklearn"].index_of(data, metric).search(data.queries, 10) == together
    assert [index.search(query, 10)[0] for query in data.queries] == together


def test_an_empty_index_answers_with_nothing(engine: Engine) -> None:
    empty = Data([], np.empty((0, 4), dtype=np.float32), None)
    index = engine.index_of(empty, "cosine")
    for ranking in ("exact", "native"):
        assert [hits.ids for hits in index.search(np.ones((2, 4)), ranking=ranking)] == [(), ()]


def test_a_search_holds_no_snapshot_that_a_write_would_have_to_copy(engine: Engine) -> None:
    data = make("gaussian", 8, count=100)
    index: Any = engine.index_of(data, "cosine")

    def place() -> int:
        """Where the vectors lie: a write moves them only where a snapshot is held."""
        return int(index.engine.snapshot().vectors.ctypes.data)

    # What is written after a bulk load makes room for more.
    index.upsert(["one more"], data.vectors[:1])
    before = place()
    index.search(data.queries, 1)
    index.search(data.queries, 1, ranking="native")
    index.search(data.queries, 1, within=data.ids[:80])
    index.farthest(data.queries, 1)
    index.range_search(data.queries, 0.5)
    index.upsert(data.ids[:1], data.vectors[1:2])
    assert place() == before
    held = index.engine.snapshot()
    index.upsert(data.ids[:1], data.vectors[2:3])
    assert place() != before == held.vectors.ctypes.data


HARD_KINDS = ("gaussian", "one_ulp_apart", "mixed_norms", "zero_vectors", "all_huge", "subnormal")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", HARD_KINDS)
def test_every_record_within_a_distance_is_found(kind: str, metric: Metric, engine: Engine) -> None:
    data = data_of(kind, 24, count=150)
    index = engine.index_of(data, metric)
    for count in (150, 105, 15):
        within = None if count == 150 else data.ids[:count]
        exact = oracle_distances(metric, data.queries[0], data.vectors[:count])
        for radius in [*np.sort(exact)[[0, 7, -1]].tolist(), np.inf, -np.inf, -1.0]:
            (hits,) = index.range_search(data.queries[0], radius, within=within)
            expected = {data.ids[at] for at, far in enumerate(exact.tolist()) if far <= radius}
            assert {*hits.ids} == expected
            assert hits.exact


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", HARD_KINDS)
def test_the_farthest_are_the_oracles(kind: str, metric: Metric, engine: Engine) -> None:
    data = data_of(kind, 24, count=150)
    index = engine.index_of(data, metric)
    for count in (150, 105, 15):
        within = None if count == 150 else data.ids[:count]
        exact = oracle_distances(metric, data.queries[0], data.vectors[:count])
        order = sorted(range(count), key=lambda at: (-exact[at], data.ids[at]))[:5]
        (hits,) = index.farthest(data.queries[0], 5, within=within)
        assert hits.ids == tuple(data.ids[at] for at in order)
        assert hits.distances.tolist() == exact[order].tolist()
