"""Scores of a float32 engine as distances, and lower bounds of what it leaves out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.oracle import oracle_distances
from vecbridge import METRICS, Metric
from vecbridge.ranking import (
    UNCERTIFIED,
    EngineGeometry,
    ScoreForm,
    difference_bounds,
    distances,
)

DIMENSION = 64
FORMS: list[tuple[Metric, ScoreForm]] = [
    ("euclidean", "squared"),
    ("euclidean", "distance"),
    ("cosine", "similarity"),
    ("cosine", "negative"),
    ("cosine", "one-minus"),
    ("cosine", "distance"),
    ("dotproduct", "similarity"),
    ("dotproduct", "negative"),
    ("dotproduct", "one-minus"),
]


def scores_of(metric: Metric, form: ScoreForm, query: Any, vectors: Any) -> Any:
    """What an engine answers, in float32."""
    one = np.float32(1.0)
    if metric == "euclidean":
        squared = ((vectors - query) ** 2).sum(axis=1)
        found = squared if form == "squared" else np.sqrt(squared)
    else:
        found = vectors @ query
        if metric == "cosine":
            found = found / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(query))
        if form == "negative":
            found = -found
        elif form in ("one-minus", "distance"):
            found = one - found
    assert found.dtype == np.float32
    return found.astype(np.float64)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 3e15])
@pytest.mark.parametrize(("metric", "form"), FORMS)
def test_the_bound_lies_below_every_farther_record(
    metric: Metric, form: ScoreForm, scale: float
) -> None:
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((400, DIMENSION)).astype(np.float32)
    query = (rng.standard_normal(DIMENSION) * scale).astype(np.float32)
    geometry = EngineGeometry(metric, DIMENSION, form)
    sent, (asked,) = geometry.prepare(query[np.newaxis])
    native = geometry.distances(scores_of(metric, form, sent[0], vectors), asked)
    exact = distances(metric, query, vectors)
    assert native == pytest.approx(exact, rel=1e-4, abs=1e-4 * max(scale, 1.0))
    order = np.argsort(native)
    near, far = order[:50], order[50:]
    largest = float(np.linalg.norm(vectors, axis=1).max()) * 1.01
    bound = geometry.lower_bound(native[near], asked, vectors[near], largest)
    assert UNCERTIFIED < bound <= exact[far].min()
    if scale == 1.0:
        # It is worth something: the nearest ten are certified by it.
        assert np.sort(exact)[10] < bound


@pytest.mark.parametrize(("metric", "form"), FORMS)
def test_an_engine_less_precise_than_float32_is_not_believed(
    metric: Metric, form: ScoreForm
) -> None:
    vectors = np.random.default_rng(4).standard_normal((20, DIMENSION)).astype(np.float32)
    geometry = EngineGeometry(metric, DIMENSION, form)
    _, (asked,) = geometry.prepare(vectors[:1])
    farther = distances(metric, vectors[0], vectors) + 0.01
    assert geometry.lower_bound(farther, asked, vectors, 20.0) == UNCERTIFIED


@pytest.mark.parametrize(("metric", "form"), FORMS)
def test_scores_that_overflowed_certify_nothing(metric: Metric, form: ScoreForm) -> None:
    vectors = np.ones((2, DIMENSION), np.float32)
    geometry = EngineGeometry(metric, DIMENSION, form)
    _, (asked,) = geometry.prepare(vectors[:1])
    for raw in (math.nan, math.inf, -math.inf):
        native = geometry.distances(np.array([1.0, raw]), asked)
        assert not np.isnan(native).any()
        bound = geometry.lower_bound(native, asked, vectors, 20.0)
        assert bound <= distances(metric, vectors[0], vectors).min()


@pytest.mark.parametrize("norm", [1e-38, 1e-44, 1e30, 3e38])
@pytest.mark.parametrize("metric", ["cosine", "dotproduct"])
def test_queries_of_any_norm_are_sent_at_a_safe_one(metric: Metric, norm: float) -> None:
    query = np.zeros((1, DIMENSION), np.float32)
    query[0, 3] = norm
    sent, (asked,) = EngineGeometry(metric, DIMENSION, "similarity").prepare(query)
    assert 0.5 <= np.linalg.norm(sent) <= 1.0
    assert np.array_equal(sent.astype(np.float64) * asked.scale, query.astype(np.float64))


def test_a_zero_query_under_cosine_and_a_huge_one_under_euclidean_are_not_trusted() -> None:
    zero, huge = np.zeros((1, 2), np.float32), np.full((1, 2), 1e30, np.float32)
    cosine = EngineGeometry("cosine", 2, "similarity")
    euclidean = EngineGeometry("euclidean", 2, "squared")
    assert not cosine.trusts(cosine.prepare(zero)[1][0])
    assert not euclidean.trusts(euclidean.prepare(huge)[1][0])
    assert euclidean.trusts(euclidean.prepare(zero)[1][0])


@pytest.mark.parametrize("metric", METRICS)
def test_the_band_leaves_room_for_squares(metric: Metric) -> None:
    least, greatest = EngineGeometry(metric, 2, "distance").band
    assert 0.0 <= least < greatest
    assert metric == "dotproduct" or greatest**2 < 2.0**127


@pytest.mark.parametrize("scale", [1e-42, 1e-20, 1.0, 1e18, 1e30])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("dimension", [1, 7, 512])
def test_distances_lie_between_the_bounds_of_differences(
    scale: float, offset: float, dimension: int
) -> None:
    rng = np.random.default_rng(0)
    vectors = np.float32((rng.standard_normal((500, dimension)) + offset) * scale)
    query = np.float32((rng.standard_normal(dimension) + offset) * scale)
    vectors[7] = query
    exact = oracle_distances("euclidean", query, vectors)
    lower, upper = difference_bounds(query, vectors)
    assert (lower <= exact).all()
    assert (exact <= upper).all()
    if scale == 1.0:
        apart = exact > 0.0
        assert (upper[apart] < exact[apart] * 1.001).all()
        assert (lower[apart] > exact[apart] * 0.999).all()
