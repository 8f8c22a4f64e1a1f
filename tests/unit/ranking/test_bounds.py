"""Bounds from float64 and float32 products hold, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracle import oracle_distances
from tests.unit.local.engines import EVERY_KIND, EXTREMES, data_of
from vecbridge import METRICS, Metric
from vecbridge.ranking import Float32Keys, Frame, float64_bounds, norms

pytestmark = pytest.mark.parametrize("metric", METRICS)


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("block_bytes", [1, 16 * 8 * 7, 1 << 20])
def test_distances_lie_between_their_float64_bounds(
    kind: str, metric: Metric, block_bytes: int
) -> None:
    data = data_of(kind, 16, count=60)
    lengths = norms(data.vectors)
    chosen = np.arange(58, 2, -3)
    for rows in (None, chosen):
        lower, upper = float64_bounds(
            metric, data.queries, data.vectors, lengths, rows, block_bytes=block_bytes
        )
        vectors = data.vectors if rows is None else data.vectors[rows]
        for at, query in enumerate(data.queries):
            exact = oracle_distances(metric, query, vectors)
            assert (lower[at] <= exact).all()
            assert (exact <= upper[at]).all()


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_keys_bound_distances_from_both_sides(kind: str, metric: Metric) -> None:
    data = data_of(kind, 64, count=200)
    keys = Float32Keys(metric, 64, norms(data.vectors))
    usable = [at for at, norm in enumerate(norms(data.queries).tolist()) if keys.usable(norm)]
    assert usable or kind in (*EXTREMES, "huge_norms", "tiny_norms")
    for at in usable:
        query, norm = data.queries[at], float(norms(data.queries[at : at + 1])[0])
        table = keys.keys(query[np.newaxis] @ data.vectors.T)[0]
        exact = oracle_distances(metric, query, data.vectors)
        error = keys.error(norm)
        for key, distance in zip(table.tolist(), exact.tolist(), strict=True):
            assert keys.lower_bound(key, error, norm) <= distance
            assert distance <= keys.upper_bound(key, error, norm)
            assert (table[exact <= distance] <= keys.key_within(distance, norm)).all()


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_frame_keeps_vectors_within_float16(kind: str, metric: Metric) -> None:
    data = data_of(kind, 16, count=60)
    lengths = norms(data.vectors)
    frame = Frame(metric, data.vectors, lengths)
    framed = frame.records(data.vectors, lengths)
    assert np.log2(frame.scale) == int(np.log2(frame.scale))
    assert np.linalg.norm(framed, axis=1).max() <= 1.0 + 2.0**-20
    queries = frame.queries(data.queries)
    scores = queries.values @ framed.T
    if metric == "euclidean":
        scores -= 0.5 * np.sum(framed * framed, axis=1)
    for at, query in enumerate(data.queries):
        exact = oracle_distances(metric, query, data.vectors)
        # Of every record, that it is no nearer than its own score says.
        for column, distance in enumerate(exact.tolist()):
            bounds = frame.lower_bounds(scores[:, column], queries, 1.0)
            assert bounds[at] <= distance
