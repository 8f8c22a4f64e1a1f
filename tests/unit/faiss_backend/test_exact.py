"""FAISS flat: what its kernels' values are worth, and where it searches."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest

from tests.adversarial import DIMENSIONS
from tests.oracle import oracle_distances
from tests.unit.local.engines import data_of
from vecbridge import METRICS, Metric, get_backend
from vecbridge.ranking import norms
from vecbridge_faiss._flat import Flat, unit_vectors


@pytest.fixture(params=["differences", "products", "one product"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every way to a euclidean distance, whatever the number of queries."""
    before = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = 1 if request.param == "products" else 1 << 30
    monkeypatch.setattr(
        "vecbridge_faiss._flat.SEVERAL", 1 if request.param == "one product" else 1 << 30
    )
    yield request.param
    faiss.cvar.distance_compute_blas_threshold = before


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["gaussian", "mixed_norms", "all_tiny", "mid", "unit"])
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_values_lie_within_the_bounds(
    kind: str, metric: Metric, dimension: int, kernel: str
) -> None:
    data = data_of(kind, dimension, count=200)
    flat = Flat(metric, data.vectors, norms(data.vectors))
    query_norms = norms(data.queries)
    usable = flat.usable(query_norms)
    queries, query_norms = data.queries[usable], query_norms[usable]
    if not len(queries):
        # Products of these underflow, so none of the queries may be asked.
        assert kind == "all_tiny"
        return
    found = flat.nearest(queries, data.vectors, len(data.ids), "fast")
    assert found.differences == (metric == "euclidean" and kernel == "differences")
    lower, upper = flat.bounds(found, query_norms)
    for row, query in enumerate(queries):
        exact = oracle_distances(metric, query, data.vectors)[found.columns[row]]
        assert (lower[row] <= exact).all()
        assert (exact <= upper[row]).all()
        assert (np.diff(lower[row]) >= 0).all()
        assert (np.diff(upper[row]) >= 0).all()


def test_what_one_product_cannot_tell_is_told_by_differences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Long vectors close together, whose neighbours float32 products see as one."""
    rng = np.random.default_rng(0)
    vectors = np.float32(1000.0 + 0.01 * rng.standard_normal((3000, 64)))
    index = get_backend("faiss").create_index("t", dimension=64, metric="euclidean")
    index.upsert([f"{row:04}" for row in range(3000)], vectors)
    ways: list[tuple[str, int]] = []
    nearest = Flat.nearest

    def told(self: Flat, queries: Any, matrix: Any, count: int, way: Any, selected: Any) -> Any:
        ways.append((way, len(queries)))
        return nearest(self, queries, matrix, count, way, selected)

    monkeypatch.setattr(Flat, "nearest", told)
    monkeypatch.setattr("vecbridge.local.Scoped.float64_rows", None)
    for query, hits in zip(vectors[:40], index.search(vectors[:40], 5), strict=True):
        exact = oracle_distances("euclidean", query, vectors)
        best = np.argsort(exact, kind="stable")[:5]
        assert hits.ids == tuple(f"{row:04}" for row in best)
        assert hits.distances.tolist() == exact[best].tolist()
    assert ways == [("fast", 40), ("close", 40)]


@pytest.mark.parametrize("metric", METRICS)
def test_ordinary_data_are_decided_by_one_product(
    metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_of("gaussian", 64, count=2000)
    index = get_backend("faiss").create_index("t", dimension=64, metric=metric)
    index.upsert(data.ids, data.vectors)
    monkeypatch.setattr("vecbridge_faiss._flat.nearest_of_few", None)
    monkeypatch.setattr("vecbridge_faiss._flat.faiss.knn_L2sqr", None)
    monkeypatch.setattr("vecbridge_faiss._flat.faiss.knn_inner_product", None)
    assert all(hits.exact for hits in index.search(data.vectors[:40], 5))


def test_native_euclidean_distances_are_not_squared() -> None:
    index = get_backend("faiss").create_index("t", dimension=2, metric="euclidean")
    index.upsert(["far", "origin"], [[3, 4], [0, 0]])
    (hits,) = index.search([0, 0], 2, ranking="native")
    assert (hits.ids, hits.distances.tolist()) == (("origin", "far"), [0.0, 5.0])


@pytest.mark.parametrize(("kind", "copied"), [("unit", False), ("gaussian", True)])
def test_vectors_of_one_length_are_searched_where_they_lie(kind: str, copied: bool) -> None:
    vectors = data_of(kind, 64, count=500).vectors
    assert (Flat("cosine", vectors, norms(vectors)).units is not None) == copied


def test_unit_vectors_of_what_is_added_go_behind_those_that_are_there() -> None:
    index: Any = get_backend("faiss").create_index("t", dimension=16)
    vectors = data_of("gaussian", 16, count=600).vectors
    seen = []
    for start, stop in ((0, 400), (400, 450), (450, 470)):
        index.upsert([f"id{row}" for row in range(start, stop)], vectors[start:stop])
        index.search(vectors[0], 1)
        flat = index.engine._exact._whole[1]
        assert np.array_equal(flat.units, unit_vectors(vectors[:stop], norms(vectors[:stop])))
        seen.append(flat.units)
    assert np.shares_memory(seen[1], seen[2])
    index.upsert(["id3"], vectors[500:501])
    vectors[3] = vectors[500]
    index.search(vectors[0], 1)
    flat = index.engine._exact._whole[1]
    assert np.array_equal(flat.units, unit_vectors(vectors[:470], norms(vectors[:470])))
