"""A store that cannot look at every record in one search is read, page by page."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.remote.shelf import Server, ShelfBackend
from vecbridge import Index, Metric, Store, field


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, metric: Metric) -> Index:
    monkeypatch.setattr("vecbridge.remote._walk._PAGE_BYTES", 4 * 8 * 50)
    index = Store(ShelfBackend(Server(share=0.01, exhaustive=False))).create_index(
        "t", dimension=8, metric=metric, fields={"n": "integer"}
    )
    vectors = np.random.default_rng(0).standard_normal((400, 8)).astype(np.float32)
    index.upsert([f"id{row}" for row in range(400)], vectors, {"n": [*range(400)]})
    return index


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_every_record_is_read_where_the_index_does_not_find_enough(index: Index) -> None:
    queries = np.random.default_rng(1).standard_normal((5, 8)).astype(np.float32)
    for scope in ({}, {"where": field("n") < 60}, {"within": ["id1", "id399", "id7"]}):
        true = index.search(queries, k=20, ranking="certified", **scope)
        assert index.search(queries, k=20, **scope) == true
        native = index.search(queries, k=20, ranking="native", **scope)
        assert [hits.ids for hits in native] == [hits.ids for hits in true]
        assert not any(hits.exact for hits in native)


@pytest.mark.parametrize("metric", ["euclidean"])
def test_what_is_left_out_is_no_nearer_than_the_bound(index: Index) -> None:
    query = np.ones(8, np.float32)
    (found,) = index.candidates(query, 20)
    true = index.search(query, k=None)[0]
    left_out = [
        d for name, d in zip(true.ids, true.distances, strict=True) if name not in found.ids
    ]
    assert len(found.ids) >= 20
    assert found.lower_bound <= min(left_out)
    (found,) = index.candidates(query, 100)
    assert len(found.ids) >= 100
    assert np.sort(true.distances)[99] < found.lower_bound < np.inf
    assert index.candidates(query, 400)[0].lower_bound == np.inf
