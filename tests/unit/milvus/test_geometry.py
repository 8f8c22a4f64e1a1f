from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from vecbridge import METRICS, Metric
from vecbridge.ranking import distances
from vecbridge_milvus._geometry import USELESS, Geometry

DIMENSION = 64


def float32_engine(metric: Metric, query: Any, vectors: Any) -> Any:
    """What a server answers: L2 squared, similarities for the others, in float32."""
    if metric == "euclidean":
        return ((vectors - query) ** 2).sum(axis=1).astype(np.float64)
    dots = vectors @ query
    if metric == "cosine":
        dots = dots / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(query))
    return dots.astype(np.float64)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 3e15])
@pytest.mark.parametrize("metric", METRICS)
def test_the_floor_lies_below_every_farther_record(metric: Metric, scale: float) -> None:
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((400, DIMENSION)).astype(np.float32)
    query = (rng.standard_normal(DIMENSION) * scale).astype(np.float32)
    geometry = Geometry(metric, DIMENSION)
    sent, (asked,) = geometry.prepare(query[np.newaxis])
    native = geometry.contract(float32_engine(metric, sent[0], vectors), asked)
    order = np.argsort(native)
    near, far = order[:50], order[50:]
    largest = float(np.linalg.norm(vectors, axis=1).max()) * 1.01
    floor = geometry.floor(asked, native[near], vectors[near], largest)
    exact = distances(metric, query, vectors)
    assert USELESS < floor <= exact[far].min()
    if scale == 1.0:
        # It is worth something: the nearest ten are certified by it.
        assert np.sort(exact)[10] < floor


@pytest.mark.parametrize("metric", METRICS)
def test_an_engine_less_precise_than_float32_is_not_believed(metric: Metric) -> None:
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((20, DIMENSION)).astype(np.float32)
    geometry = Geometry(metric, DIMENSION)
    _, (asked,) = geometry.prepare(vectors[:1])
    farther = distances(metric, vectors[0], vectors) + 0.01
    assert geometry.floor(asked, farther, vectors, 20.0) == USELESS


@pytest.mark.parametrize("metric", METRICS)
def test_distances_that_overflowed_certify_nothing(metric: Metric) -> None:
    vectors = np.ones((2, DIMENSION), np.float32)
    geometry = Geometry(metric, DIMENSION)
    _, (asked,) = geometry.prepare(vectors[:1])
    for raw in (math.nan, math.inf, -math.inf):
        native = geometry.contract(np.array([1.0, raw]), asked)
        assert not np.isnan(native).any()
        assert (
            geometry.floor(asked, native, vectors, 20.0)
            <= distances(metric, vectors[0], vectors).min()
        )


@pytest.mark.parametrize("norm", [1e-38, 1e-44, 1e30, 3e38])
@pytest.mark.parametrize("metric", ["cosine", "dotproduct"])
def test_queries_of_any_norm_are_sent_at_a_safe_one(metric: Metric, norm: float) -> None:
    query = np.zeros((1, DIMENSION), np.float32)
    query[0, 3] = norm
    sent, (asked,) = Geometry(metric, DIMENSION).prepare(query)
    assert 0.5 <= np.linalg.norm(sent) <= 1.0
    assert np.array_equal(sent.astype(np.float64) * asked.scale, query.astype(np.float64))


def test_a_zero_query_under_cosine_and_a_huge_one_under_euclidean_are_not_trusted() -> None:
    zero, huge = np.zeros((1, 2), np.float32), np.full((1, 2), 1e30, np.float32)
    cosine, euclidean = Geometry("cosine", 2), Geometry("euclidean", 2)
    assert not cosine.trusts(cosine.prepare(zero)[1][0])
    assert not euclidean.trusts(euclidean.prepare(huge)[1][0])
    assert euclidean.trusts(euclidean.prepare(zero)[1][0])
