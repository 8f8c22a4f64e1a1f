from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np
import pytest

from tests.engine import make_engine
from tests.oracle import oracle_distances
from vecbridge import AGGREGATIONS, Index, InvalidArgumentError

IDS = [f"r{number:02d}" for number in range(40)]


@pytest.fixture
def vectors() -> Any:
    return np.random.default_rng(3).integers(-2, 3, (40, 5)).astype(np.float32)


@pytest.fixture
def index(vectors: Any) -> Index:
    index = Index(make_engine(5))
    index.upsert(IDS, vectors)
    return index


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("k", [1, 9, 40, 99, None])
@pytest.mark.parametrize("farthest", [False, True])
def test_ranking_by_several_queries_is_the_oracles(
    index: Index, vectors: Any, aggregation: Any, k: int | None, farthest: bool
) -> None:
    queries = vectors[:11]
    if aggregation == "mean":
        queries = np.float32(np.float64(queries).sum(axis=0) / 11)[None]
    columns = np.array([oracle_distances("euclidean", query, vectors) for query in queries]).T
    reduce: dict[str, Any] = {
        "mean": min,
        # Not sum(), which has compensated for rounding since Python 3.12.
        "post-mean": lambda c: functools.reduce(operator.add, c) / len(c),
        "post-min": min,
        "post-max": max,
    }
    reduced = [float(reduce[aggregation](column.tolist())) for column in columns]
    sign = -1 if farthest else 1
    expected = sorted(zip(reduced, IDS, strict=True), key=lambda p: (sign * p[0], p[1]))[:k]
    hits = index.search_aggregated(vectors[:11], k, aggregation=aggregation, farthest=farthest)
    assert [(hit.distance, hit.id) for hit in hits] == expected
    assert hits.exact


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_one_query_is_its_own_aggregate(index: Index, vectors: Any, aggregation: Any) -> None:
    assert (
        index.search_aggregated(vectors[4], 7, aggregation=aggregation)
        == (index.search(vectors[4], 7)[0])
    )


def test_allow_list_restricts_every_aggregation(index: Index, vectors: Any) -> None:
    for aggregation in AGGREGATIONS:
        hits = index.search_aggregated(
            vectors[:3], None, aggregation=aggregation, within=[*IDS[5:9], "stranger"]
        )
        assert sorted(hits.ids) == IDS[5:9]


def test_mean_of_distances_does_not_depend_on_the_batch() -> None:
    random = np.random.default_rng(0)
    index = Index(make_engine(5))
    index.upsert(IDS, random.standard_normal((40, 5)))
    queries = random.standard_normal((301, 5))
    whole = index.search_aggregated(queries, None, aggregation="post-mean")
    for hit in whole:
        alone = index.search_aggregated(queries, 1, aggregation="post-mean", within=[hit.id])
        assert alone[0] == hit


def test_no_query_and_unknown_aggregations_are_refused(index: Index) -> None:
    with pytest.raises(InvalidArgumentError, match="at least one query"):
        index.search_aggregated(np.empty((0, 5)), 3)
    with pytest.raises(InvalidArgumentError, match="one of mean, post-mean, post-min, post-max"):
        index.search_aggregated(np.ones(5), 3, aggregation="median")  # type: ignore[arg-type]
