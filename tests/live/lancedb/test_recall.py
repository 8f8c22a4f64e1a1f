"""What an approximate index finds, by its partitions and by codes of its vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.live.lancedb.conftest import Opener

COUNT, DIMENSION, K = 4000, 16, 10


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("ivf_flat", {"num_partitions": 32}),
        ("ivf_pq", {"num_partitions": 32, "num_sub_vectors": 4}),
        ("ivf_hnsw_sq", {"num_partitions": 4}),
    ],
)
def test_an_index_finds_the_share_that_is_asked_for_at_exact_distances(
    raw: Any, opened: Opener, kind: str, params: dict[str, Any]
) -> None:
    generator = np.random.default_rng(3)
    vectors = generator.standard_normal((COUNT, DIMENSION)).astype(np.float32)
    ids = [f"r{row}" for row in range(COUNT)]
    queries = generator.standard_normal((30, DIMENSION)).astype(np.float32)
    exact = opened().create_index("t", dimension=DIMENSION, metric="cosine")
    exact.upsert([*ids, "zero"], np.concatenate([vectors, np.zeros((1, DIMENSION), np.float32)]))
    index = opened(index_type=kind, index_params=params, recall=0.8).open_index("t")
    found = index.search(queries, k=K)
    assert raw.open_table("t").index_stats("vector_idx").index_type == kind.upper()
    hits = 0
    for right, ours in zip(exact.search(queries, k=K), found, strict=True):
        known = dict(zip(right.ids, right.distances, strict=True))
        same = [place for place, name in enumerate(ours.ids) if name in known]
        hits += len(same)
        assert not ours.exact
        assert [known[ours.ids[place]] for place in same] == [ours.distances[p] for p in same]
    assert hits / (K * len(queries)) >= 0.75
    assert "zero" in index.search(queries[0], k=COUNT)[0].ids
