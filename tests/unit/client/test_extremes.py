"""Every public call with vectors and radii as extreme as they come: no raw error, no warning.

The caller has asked numpy to raise on everything, and Python to turn warnings into errors.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import vecbridge
from tests.oracle import oracle_distances
from vecbridge import METRICS, Index, Metric, ranking

LARGEST = float(np.finfo(np.float32).max)
SMALLEST = 1e-45
CORNERS = {
    "largest": [[LARGEST, LARGEST], [-LARGEST, LARGEST], [LARGEST / 2, 1.0]],
    "subnormal": [[SMALLEST, SMALLEST], [2 * SMALLEST, 0.0], [0.0, 0.0]],
    "both": [[LARGEST, SMALLEST], [SMALLEST, LARGEST], [0.0, 0.0]],
    "vanishing squares": [[1e-25, 0.0], [0.0, -1e-25], [1e-30, 1e-30]],
    "plain": [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]],
}
RADII = [
    0,
    -0.0,
    1e-320,
    SMALLEST,
    1.0,
    LARGEST,
    1e77,
    1e154,
    1.3e154,
    1.35e154,
    1e155,
    1e200,
    1.79e308,
    math.inf,
    10**400,
    -1.0,
    -1e155,
    -1.79e308,
    -math.inf,
    -(10**400),
    np.float32(LARGEST),
]
DIMENSIONS = (2, 20)
COUNT = 18


@contextmanager
def strictest() -> Iterator[None]:
    """Everything that numpy has to say is an error, before and after."""
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        before = np.geterr()
        yield
        assert np.geterr() == before, "a call has changed how numpy treats the caller's own sums"


def corner(name: str, dimension: int, count: int) -> NDArray[np.float32]:
    rows = np.zeros((count, dimension), dtype=np.float32)
    rows[:, :2] = np.resize(np.array(CORNERS[name], dtype=np.float32), (count, 2))
    return rows


def as_float(radius: Any) -> float:
    """What an integer beyond every float comes to: the last float before infinity."""
    most = int(np.finfo(np.float64).max)
    return float(max(-most, min(radius, most)) if isinstance(radius, int) else radius)


@pytest.fixture(params=["sklearn", "faiss", "torch"])
def store(request: pytest.FixtureRequest) -> Iterator[vecbridge.Store]:
    with vecbridge.get_backend(request.param) as opened:
        yield opened


def calls(queries: NDArray[np.float32], k: int | None) -> dict[str, Callable[[Index], Any]]:
    return {
        "search": lambda index: index.search(queries, k),
        "native": lambda index: index.search(queries, k, ranking="native"),
        "certified": lambda index: index.search(queries, k, ranking="certified"),
        "within": lambda index: index.search(queries, k, within=["1", "2", "7"]),
        "farthest": lambda index: index.farthest(queries, k),
        "aggregated": lambda index: index.search_aggregated(queries, k or COUNT),
        "candidates": lambda index: index.candidates(queries, k or COUNT),
    }


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_no_vector_and_no_radius_brings_a_raw_error_or_a_warning(
    store: vecbridge.Store, metric: Metric
) -> None:
    for dimension in DIMENSIONS:
        for name in CORNERS:
            index = store.create_index(
                f"{name.replace(' ', '_')}_{dimension}", dimension=dimension, metric=metric
            )
            with strictest():
                index.upsert([f"{at}" for at in range(COUNT)], corner(name, dimension, COUNT))
                for other in CORNERS:
                    queries = corner(other, dimension, 3)
                    for k in (1, None):
                        for call in calls(queries, k).values():
                            call(index)
                    for radius in RADII:
                        index.range_search(queries, radius)
                for k in (1, 5, COUNT - 2, None):
                    for _ in index.neighbors(k):
                        # The caller's own sums are its own affair.
                        with pytest.raises(FloatingPointError):
                            np.float32(LARGEST) * np.float32(LARGEST)
                for radius in RADII:
                    list(index.neighbors_within(radius))
                    index.duplicates(radius)


@pytest.mark.parametrize("name", CORNERS)
@pytest.mark.parametrize("metric", METRICS)
def test_a_radius_takes_in_what_the_definition_says_however_wide(
    store: vecbridge.Store, metric: Metric, name: str
) -> None:
    vectors = corner(name, 20, COUNT)
    ids = [f"{at:02}" for at in range(COUNT)]
    index = store.create_index("radii", dimension=20, metric=metric)
    index.upsert(ids, vectors)
    with np.errstate(all="ignore"):
        table = np.array([oracle_distances(metric, query, vectors) for query in vectors])
    for radius in RADII:
        limit = as_float(radius)
        inside = table <= limit
        found = index.range_search(vectors[:3], radius)
        assert [len(hits) for hits in found] == inside[:3].sum(axis=1).tolist()
        assert all(hits.exact for hits in found)
        np.fill_diagonal(inside, val=False)
        near = dict(index.neighbors_within(radius))
        for at, row in enumerate(ids):
            assert sorted(near[row].ids) == [ids[other] for other in np.flatnonzero(inside[at])]
        kept: list[int] = []
        for at in range(COUNT):
            if not inside[at, kept].any():
                kept.append(at)
        gone = {name for hits in index.duplicates(radius).values() for name in hits.ids}
        assert gone == set(ids) - {ids[at] for at in kept}


@pytest.mark.parametrize("name", CORNERS)
@pytest.mark.parametrize("metric", METRICS)
def test_ranking_itself_is_quiet(metric: Metric, name: str) -> None:
    vectors = corner(name, 20, COUNT)
    queries = corner(name, 20, 3)
    with strictest():
        lengths = ranking.norms(vectors)
        ranking.distances(metric, queries[0], vectors)
        ranking.distance_matrix(metric, queries, vectors)
        ranking.float64_bounds(metric, queries, vectors, lengths)
        keys = ranking.Float32Keys(metric, 20, lengths)
        with np.errstate(all="ignore"):
            products = queries @ vectors.T
        native = keys.native(keys.keys(products), float(ranking.norms(queries)[0]))
        assert native.shape == (3, COUNT)
        pairs = ranking.Pairs(metric, [f"{at}" for at in range(COUNT)], vectors)
        for k in (1, 4, None):
            list(pairs.neighbors(k))
            list(pairs.neighbors(k, farthest=True))
        for radius in (0.0, 1e155, -1e155, 1.79e308, math.inf, -math.inf):
            list(pairs.within(radius))
            pairs.nearest_among(pairs.apart(radius), radius)
