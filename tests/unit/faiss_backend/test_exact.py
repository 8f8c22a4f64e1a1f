"""FAISS flat: the exact search of every local engine, beside FAISS's own indexes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracle import oracle_distances
from vecbridge import get_backend


def test_what_float32_products_cannot_tell_apart_is_told_apart() -> None:
    """Long vectors close together, whose neighbours float32 products see as one."""
    rng = np.random.default_rng(0)
    vectors = np.float32(1000.0 + 0.01 * rng.standard_normal((3000, 64)))
    index: Any = get_backend("faiss").create_index("t", dimension=64, metric="euclidean")
    index.upsert([f"{row:04}" for row in range(3000)], vectors)
    for query, hits in zip(vectors[:40], index.search(vectors[:40], 5), strict=True):
        exact = oracle_distances("euclidean", query, vectors)
        best = np.argsort(exact, kind="stable")[:5]
        assert hits.ids == tuple(f"{row:04}" for row in best)
        assert hits.distances.tolist() == exact[best].tolist()
        assert hits.exact


def test_native_euclidean_distances_are_not_squared() -> None:
    index = get_backend("faiss").create_index("t", dimension=2, metric="euclidean")
    index.upsert(["far", "origin"], [[3, 4], [0, 0]])
    (hits,) = index.search([0, 0], 2, ranking="native")
    assert (hits.ids, hits.distances.tolist()) == (("origin", "far"), [0.0, 5.0])
