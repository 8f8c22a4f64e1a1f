"""Rankings within a list of ids, whatever its length and place, and by which plan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.engine import Engine, make_engine
from tests.oracle import oracle
from vecbridge import METRICS, Budgets, Candidates, Index, Metric, Scope

COUNT = 1600
IDS = [f"id{number:04}" for number in range(COUNT)]
VECTORS = np.random.default_rng(7).standard_normal((COUNT, 4)).astype(np.float32)
# A tenth of them twice over, so that there are ties.
VECTORS[::10] = VECTORS[1::10]
QUERIES = np.random.default_rng(8).standard_normal((5, 4)).astype(np.float32)


class Watched(Engine):
    """Notes the length of each list that it is sent; ``None`` where it is sent none."""

    lists: list[int | None]

    def candidates(self, queries: Any, k: int, scope: Scope) -> list[Candidates]:
        within = scope.within
        self.lists.append(None if within is None else len(within))
        most = self.capabilities.max_within
        assert within is None or most is None or len(within) <= most
        assert self.capabilities.max_k is None or k <= self.capabilities.max_k
        return super().candidates(queries, k, scope)


NO_LIST_IS_SHORT = Budgets(long_list_ids=100)
"""Lists of a hundred ids are looked at as those of thousands are."""


def make(
    metric: Metric = "euclidean", budgets: Budgets | None = None, **options: Any
) -> tuple[Index, Watched]:
    plain = make_engine(4, metric, **{"max_within": 500, **options})
    engine = Watched(plain.info, plain.capabilities, bounds=plain.bounds)
    index = Index(engine, budgets=budgets)
    index.upsert(IDS, VECTORS)
    engine.calls.clear()
    engine.lists = []
    return index, engine


def chosen(kind: str, count: int) -> list[int]:
    if kind == "random":
        return [*map(int, np.random.default_rng(9).choice(COUNT, count, replace=False))]
    order = np.argsort(np.linalg.norm(VECTORS - QUERIES[0], axis=1), kind="stable")
    return [*map(int, order[:count] if kind == "nearest" else order[-count:])]


def assert_exact(
    index: Index, metric: Metric, rows: list[int], queries: Any, k: int, **options: Any
) -> None:
    listed = [IDS[row] for row in rows]
    names = [*listed, "unknown", "another", *listed[:2]]
    answers = index.search(queries, k, within=names, **options)
    assert len(answers) == len(queries)
    for query, hits in zip(queries, answers, strict=True):
        listed = [IDS[row] for row in rows]
        ids, distances = oracle(metric, listed, VECTORS[rows], query, k)
        assert hits.ids == ids
        assert hits.distances.tolist() == distances
        assert hits.exact


@pytest.mark.parametrize("k", [1, 10, 700])
@pytest.mark.parametrize("kind", ["random", "nearest", "farthest"])
@pytest.mark.parametrize("count", [3, 400, 800, 1590])
@pytest.mark.parametrize("metric", METRICS)
def test_every_list_is_ranked_exactly(metric: Metric, count: int, kind: str, k: int) -> None:
    index, _ = make(metric)
    assert_exact(index, metric, chosen(kind, count), QUERIES, k)
    assert_exact(index, metric, chosen(kind, count), QUERIES[:1], k, ranking="exact")


def test_few_ids_are_fetched_and_not_searched_for() -> None:
    index, engine = make()
    assert_exact(index, "euclidean", chosen("random", 100), QUERIES[:1], 10)
    assert [name for name, _ in engine.calls] == ["fetch"]


@pytest.mark.parametrize(("most", "plan"), [(8000, ["fetch"]), (6000, ["candidates"] * 2)])
def test_many_queries_rank_a_list_here_only_while_that_is_less_than_to_search(
    most: int, plan: list[str]
) -> None:
    index, engine = make(budgets=Budgets(fetched_values=most))
    queries = np.tile(QUERIES, (4, 1))
    assert_exact(index, "euclidean", chosen("random", 1590), queries, 10)
    assert [name for name, _ in engine.calls] == plan


@pytest.mark.parametrize("count", [400, 800, 1590])
def test_a_good_share_of_all_is_searched_for_without_the_list(count: int) -> None:
    index, engine = make()
    assert_exact(index, "euclidean", chosen("random", count), QUERIES[:1], 10)
    assert set(engine.lists) == {None}
    assert "fetch" not in dict(engine.calls)


def test_a_list_that_lies_far_away_is_sent_in_parts_that_the_store_takes() -> None:
    index, engine = make(max_k=50)
    assert_exact(index, "euclidean", chosen("farthest", 700), QUERIES[:1], 10)
    assert engine.lists[0] is None
    assert [size for size in engine.lists if size is not None] == [500, 202]


def test_one_query_finds_out_for_all_whether_leaving_the_list_out_is_worth_it() -> None:
    index, engine = make(max_k=50)
    near = np.repeat(QUERIES[:1], 4, axis=0)
    assert_exact(index, "euclidean", chosen("farthest", 700), near, 10)
    assert engine.lists.count(None) == 1


def test_a_floor_that_certifies_nothing_ends_with_every_record_looked_at() -> None:
    index, _ = make(bounds="useless")
    assert_exact(index, "euclidean", chosen("random", 800), QUERIES, 10)


def test_an_approximate_engine_gives_all_hits_asked_for_and_says_that_it_is_one() -> None:
    index, _ = make(bounds="none", exact=False, recall=0.9)
    rows = chosen("random", 800)
    listed = [IDS[row] for row in rows]
    for query, hits in zip(QUERIES, index.search(QUERIES, 20, within=listed), strict=True):
        ids, _ = oracle("euclidean", listed, VECTORS[rows], query, 20)
        assert hits.ids == ids
        assert not hits.exact


def test_what_has_to_be_certified_is_where_the_engine_promises_nothing() -> None:
    index, _ = make(bounds="none")
    rows = chosen("random", 800)
    listed = [IDS[row] for row in rows]
    assert not index.search(QUERIES, 20, within=listed)[0].exact
    assert_exact(index, "euclidean", rows, QUERIES, 20, ranking="certified")


def test_an_engine_without_a_ceiling_is_asked_at_once() -> None:
    index, engine = make(max_within=None)
    assert_exact(index, "euclidean", chosen("random", 800), QUERIES, 10)
    assert engine.lists == [802]


@pytest.mark.parametrize("k", [1, 10, 700])
@pytest.mark.parametrize("kind", ["random", "nearest", "farthest"])
@pytest.mark.parametrize("count", [400, 1590])
@pytest.mark.parametrize("metric", METRICS)
def test_every_list_that_is_looked_up_is_ranked_exactly(
    metric: Metric, count: int, kind: str, k: int
) -> None:
    index, _ = make(metric, max_within=None, budgets=NO_LIST_IS_SHORT)
    assert_exact(index, metric, chosen(kind, count), QUERIES, k)
    assert_exact(index, metric, chosen(kind, count), QUERIES[:1], k, ranking="certified")


@pytest.mark.parametrize("times", [1, 4])
def test_a_good_share_of_all_is_not_looked_up(times: int) -> None:
    index, engine = make(max_within=None, budgets=NO_LIST_IS_SHORT)
    queries = np.tile(QUERIES, (times, 1))
    assert_exact(index, "euclidean", chosen("random", 800), queries, 10)
    assert set(engine.lists) == {None}
    assert "fetch" not in dict(engine.calls)


def test_a_list_that_lies_far_away_is_looked_up_in_the_end() -> None:
    index, engine = make(max_within=None, budgets=NO_LIST_IS_SHORT)
    assert_exact(index, "euclidean", chosen("farthest", 300), QUERIES[:1], 10)
    assert (engine.lists[0], engine.lists[-1]) == (None, 302)


def test_a_small_share_of_all_is_looked_up_at_once() -> None:
    index, engine = make(max_within=None, budgets=NO_LIST_IS_SHORT)
    assert_exact(index, "euclidean", chosen("random", 150), QUERIES, 10)
    assert engine.lists == [152]


def test_a_list_is_looked_up_where_that_costs_less_than_to_search_the_rest() -> None:
    budgets = Budgets(long_list_ids=100, lookup_products=1)
    index, engine = make(max_within=None, budgets=budgets)
    assert_exact(index, "euclidean", chosen("random", 800), QUERIES, 10)
    assert engine.lists == [802]


def test_a_native_ranking_within_a_list_that_the_store_takes_is_the_stores_own() -> None:
    index, engine = make()
    listed = [IDS[row] for row in chosen("random", 400)]
    (hits,) = index.search(QUERIES[:1], 10, within=listed, ranking="native")
    assert not hits.exact
    assert engine.lists == [400]
