"""Few queries, compared to every vector before anything is picked."""

from __future__ import annotations

import numpy as np
import pytest

from vecbridge import Metric
from vecbridge_faiss import _few as few


@pytest.mark.parametrize("metric", ["euclidean", "dotproduct"])
@pytest.mark.parametrize("some", [False, True])
@pytest.mark.parametrize("count", [1, 7, 200])
def test_the_nearest_are_found_whatever_the_blocks_and_threads(
    metric: Metric, some: bool, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(few, "_TILE_BYTES", 4 * 6 * 50)
    monkeypatch.setattr(few, "_VALUE_BYTES", 4 * 1001 * 2)
    monkeypatch.setattr(few, "_THREADED_BYTES", 1)
    rng = np.random.default_rng(0)
    # Small integers, so that every order of summing gives the same.
    vectors = rng.integers(-9, 9, (1001, 6)).astype(np.float32)
    queries = rng.integers(-9, 9, (5, 6)).astype(np.float32)
    selected = np.arange(3, 1001, 2) if some else None
    values, rows = few.nearest_of_few(metric, queries, vectors, count, selected)
    table = queries @ vectors.T
    if metric == "euclidean":
        table = ((queries[:, np.newaxis] - vectors) ** 2).sum(axis=2)
    allowed = table if selected is None else table[:, selected]
    best = np.sort(allowed) if metric == "euclidean" else -np.sort(-allowed)
    assert np.array_equal(values, best[:, :count])
    assert np.array_equal(np.take_along_axis(table, rows, axis=1), values)
    assert all(len(set(row)) == count for row in rows.tolist())
    assert selected is None or np.isin(rows, selected).all()
