"""Distance: one number, lower is nearer, on the scale of the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vecbridge import METRICS, Metric, Scope
from vecbridge_conformance import Harness, clause

WRITTEN: dict[str, dict[str, float]] = {
    "euclidean": {"same": 0.0, "long": 5.0, "opposite": 10.0, "across": math.sqrt(50.0)},
    "dotproduct": {"same": -25.0, "long": -50.0, "opposite": 25.0, "across": 0.0},
    "cosine": {"same": 0.0, "long": 0.0, "opposite": 2.0, "across": 1.0},
}
TRIANGLE = {"same": [3, 4], "long": [6, 8], "opposite": [-3, -4], "across": [-4, 3]}


@clause("DIST-1", "DIST-4", "DIST-5", "DIST-6", "CAND-7")
@pytest.mark.parametrize("ranking", ["exact", "native"])
@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_on_the_scale_of_the_definition(
    harness: Harness, metric: Metric, ranking: str
) -> None:
    """Look for squares, similarities, halves, and a cosine that is a dot product or the reverse."""
    index = harness.index(dimension=2, metric=metric)
    index.upsert(TRIANGLE, list(TRIANGLE.values()))
    hits = index.search([3, 4], k=4, ranking=ranking)[0]  # type: ignore[arg-type]
    found = {hit.id: hit.distance for hit in hits}
    assert found == pytest.approx(WRITTEN[metric], abs=1e-5, rel=1e-5)
    assert hits.distances.dtype == np.float64


@clause("DIST-1", "CAND-7")
@pytest.mark.parametrize("metric", METRICS)
def test_the_engine_itself_gives_the_contracts_distances(harness: Harness, metric: Metric) -> None:
    """Look at the engine's search: convert what the store gives, once, there."""
    engine = harness.engine(dimension=2, metric=metric)
    engine.upsert(list(TRIANGLE), np.array(list(TRIANGLE.values()), dtype=np.float32), {})
    hits = engine.search(np.array([[3, 4]], dtype=np.float32), 9, Scope())[0]
    found = dict(zip(hits.ids, hits.distances.tolist(), strict=True))
    assert found == pytest.approx(WRITTEN[metric], abs=1e-5, rel=1e-5)


@clause("DIST-1", "DIST-5")
@pytest.mark.parametrize("ranking", ["exact", "native"])
def test_the_dot_product_prefers_the_long_vector(harness: Harness, ranking: str) -> None:
    """Look for normalising: it makes a dot product a cosine."""
    for metric, first in (("dotproduct", "long"), ("cosine", "straight")):
        index = harness.index(dimension=2, metric=metric)  # type: ignore[arg-type]
        index.upsert(["straight", "long"], [[1, 0], [10, 10]])
        hits = index.search([1, 0], k=2, ranking=ranking)[0]  # type: ignore[arg-type]
        assert hits.ids[0] == first, metric


@clause("DIST-2", "DIST-3")
def test_sums_are_made_in_the_one_fixed_order(harness: Harness) -> None:
    """Look at who computes: only vecbridge.ranking gives these bits, no BLAS does."""
    index = harness.index(dimension=5, metric="dotproduct")
    index.upsert(["a"], [[1, 1, 1, 1, 1]])
    # One after the other these give -1, exactly they give -3; halves added to halves give 0.
    query = np.array([1e16, 1.0, 1.0, -1e16, 1.0], dtype=np.float32)
    wide = [*query.astype(np.float64).tolist(), 0.0, 0.0, 0.0]
    fours = [wide[i] + wide[i + 4] for i in range(4)]
    twos = [fours[i] + fours[i + 2] for i in range(2)]
    assert index.search(query, k=1)[0].distances.tolist() == [0.0 - (twos[0] + twos[1])]


@clause("DIST-5", "RANK-3")
def test_a_distance_of_zero_is_positive_zero(harness: Harness) -> None:
    """Look at -(q.v) where the sum is zero."""
    index = harness.index(dimension=2, metric="dotproduct")
    index.upsert(["a", "b"], [[0, 1], [0, -1]])
    for hits in (index.search([1, 0], k=2)[0], index.farthest([1, 0], k=2)[0]):
        assert not np.signbit(hits.distances).any()


@clause("DIST-6", "DIST-7")
@pytest.mark.parametrize("ranking", ["exact", "native"])
def test_zero_vectors_are_at_cosine_distance_one(harness: Harness, ranking: str) -> None:
    """Look at division by a norm of zero: NaN, an error, or a record that no search finds."""
    index = harness.index(dimension=2, metric="cosine")
    index.upsert(["ahead", "zero", "behind"], [[1, 0], [0, 0], [-1, 0]])
    hits = index.search([2, 0], k=3, ranking=ranking)[0]  # type: ignore[arg-type]
    assert hits.ids == ("ahead", "zero", "behind")
    assert hits.distances.tolist() == pytest.approx([0, 1, 2], abs=1e-6)
    from_zero = index.search([0, 0], k=3, ranking=ranking)[0]  # type: ignore[arg-type]
    assert from_zero.distances.tolist() == pytest.approx([1, 1, 1], abs=1e-6)
    assert sorted(from_zero.ids) == ["ahead", "behind", "zero"]


@clause("DIST-7", "WRITE-1", "WRITE-2")
def test_a_zero_vector_is_a_record_like_any_other(harness: Harness) -> None:
    """Look at zero vectors that replace and are replaced."""
    index = harness.index(dimension=2, metric="cosine")
    index.upsert(["a"], [[0, 0]])
    assert index.search([1, 0], k=1)[0].distances.tolist() == [1.0]
    index.upsert(["a"], [[1, 0]])
    assert index.search([1, 0], k=1)[0].distances.tolist() == [0.0]
    index.upsert(["a"], [[0, 0]])
    assert index.fetch(["a"]).vectors.tolist() == [[0, 0]]
    assert index.search([1, 0], k=1)[0].distances.tolist() == [1.0]


@clause("DIST-8")
@pytest.mark.parametrize("metric", METRICS)
def test_a_pair_has_one_distance_whatever_surrounds_it(harness: Harness, metric: Metric) -> None:
    """Look at who computes: a BLAS gives other bits in other batches."""
    rng = np.random.default_rng(3)
    query, vector = rng.standard_normal((2, 513)).astype(np.float32)
    index = harness.index(dimension=513, metric=metric)
    index.upsert(["pair"], [vector])
    alone = index.search(query, k=1)[0].distances[0]
    index.upsert([f"n{number}" for number in range(40)], rng.standard_normal((40, 513)))
    batch = index.search(np.vstack([rng.standard_normal((9, 513)), query]), k=None)[-1]
    assert {hit.id: hit.distance for hit in batch}["pair"] == alone
