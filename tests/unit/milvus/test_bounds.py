"""What is certified is so by a bound that holds, whatever the norms and the server's arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.oracle import oracle
from tests.servers.milvus_wire import Wire, sent_queries
from vecbridge import METRICS, Index, Metric, Scope
from vecbridge.ranking import distances
from vecbridge_milvus import MilvusIndex

DIMENSION, COUNT = 64, 400
IDS = [f"id{number:03}" for number in range(COUNT)]
VECTORS = np.random.default_rng(3).standard_normal((COUNT, DIMENSION)).astype(np.float32)


@pytest.fixture
def filled(make_index: Callable[..., Index]) -> Callable[[Metric], Index]:
    def get(metric: Metric) -> Index:
        index = make_index(dimension=DIMENSION, metric=metric)
        index.upsert(IDS, VECTORS)
        return index

    return get


def bound(index: Index, query: Any, k: int) -> tuple[set[str], float]:
    """The candidates of a query, and the lower bound of all other distances."""
    assert isinstance(index.engine, MilvusIndex)
    (found,) = index.engine.candidates(query[np.newaxis], k, Scope())
    return set(found.ids), found.lower_bound


@pytest.mark.parametrize("scale", [1e-20, 1.0, 3e15])
@pytest.mark.parametrize("metric", METRICS)
def test_the_bound_lies_below_every_farther_record(
    filled: Callable[[Metric], Index], metric: Metric, scale: float
) -> None:
    index = filled(metric)
    query = (np.random.default_rng(4).standard_normal(DIMENSION) * scale).astype(np.float32)
    listed, lowest = bound(index, query, 50)
    exact = distances(metric, query, VECTORS)
    left_out = [row for row, name in enumerate(IDS) if name not in listed]
    assert left_out
    assert -1e300 < lowest <= exact[left_out].min()
    if scale == 1.0:
        # It is worth something: the nearest ten are certified by it.
        assert np.sort(exact)[10] < lowest
    (hits,) = index.search(query, 10)
    assert hits.exact
    assert hits.ids == oracle(metric, IDS, VECTORS, query, 10)[0]


@pytest.mark.parametrize("metric", METRICS)
def test_a_server_less_precise_than_float32_is_not_believed(
    filled: Callable[[Metric], Index], wire: Wire, metric: Metric
) -> None:
    index = filled(metric)

    def blurred(reply: Any) -> None:
        farther = 0.3 if metric == "euclidean" else -0.01
        scores = [score + farther for score in reply.results.scores]
        reply.results.scores[:] = scores

    wire.edit("Search", blurred)
    assert bound(index, VECTORS[0], 20)[1] <= -1e300
    # So everything is looked at.
    (hits,) = index.search(VECTORS[0], 20)
    assert hits.ids == oracle(metric, IDS, VECTORS, VECTORS[0], 20)[0]
    assert wire.requests("Query")


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric", METRICS)
def test_scores_that_overflowed_certify_nothing(
    filled: Callable[[Metric], Index], wire: Wire, metric: Metric, raw: float
) -> None:
    index = filled(metric)

    def overflowed(reply: Any) -> None:
        reply.results.scores[-1] = raw

    wire.edit("Search", overflowed)
    listed, lowest = bound(index, VECTORS[0], 20)
    left_out = [row for row, name in enumerate(IDS) if name not in listed]
    assert lowest <= distances(metric, VECTORS[0], VECTORS)[left_out].min()
    (hits,) = index.search(VECTORS[0], 20, ranking="native")
    assert not np.isnan(hits.distances).any()


@pytest.mark.parametrize("norm", [1e-38, 1e-44, 1e30, 3e38])
@pytest.mark.parametrize("metric", ["cosine", "dotproduct"])
def test_queries_of_any_norm_are_sent_at_a_safe_one(
    make_index: Callable[..., Index], wire: Wire, metric: Metric, norm: float
) -> None:
    index = make_index(dimension=DIMENSION, metric=metric)
    index.upsert(IDS[:20], VECTORS[:20])
    query = np.zeros(DIMENSION, np.float32)
    query[3] = norm
    wire.clear()
    (hits,) = index.search(query, 3)
    assert hits.ids == oracle(metric, IDS[:20], VECTORS[:20], query, 3)[0]
    sent = sent_queries(wire.requests("Search")[0])[0].astype(np.float64)
    assert 0.5 <= np.linalg.norm(sent) <= 1.0
    # Times a power of two, it is the one that was asked.
    assert np.frexp(float(query[3]) / sent[3])[0] == 0.5
    assert np.count_nonzero(sent) == 1


@pytest.mark.parametrize(("metric", "value"), [("cosine", 0.0), ("euclidean", 1e30)])
def test_a_query_that_float32_cannot_be_trusted_with_is_not_certified_by_the_server(
    filled: Callable[[Metric], Index], metric: Metric, value: float
) -> None:
    index, query = filled(metric), np.full(DIMENSION, value, np.float32)
    assert bound(index, query, 10)[1] <= -1e300
    (hits,) = index.search(query, 10)
    assert hits.ids == oracle(metric, IDS, VECTORS, query, 10)[0]
    assert hits.exact
