"""Searches that nothing can answer have no hits, whatever the index and the ranking."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import numpy as np
import pytest

from tests.oracle import oracle
from vecbridge import Ranking, Store, field
from vecbridge_milvus import MilvusBackend

RANKINGS: tuple[Ranking, ...] = ("exact", "certified", "no-scan", "native")


@pytest.mark.parametrize("ranking", RANKINGS)
def test_an_empty_index_with_a_recall_is_searched_and_measured_once_it_is_filled(
    opened: Callable[..., Store], ranking: Ranking
) -> None:
    index = opened(index_type="HNSW", recall=0.9).create_index(
        f"t_{uuid.uuid4().hex}", dimension=4, metric="cosine"
    )
    assert index.search(np.ones(4), 3, ranking=ranking)[0].ids == ()
    vectors = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    ids = [f"id{number:02}" for number in range(50)]
    index.upsert(ids, vectors)
    found = index.search(vectors[7], 3, ranking=ranking)[0].ids
    assert found == oracle("cosine", ids, vectors, vectors[7], 3)[0]


@pytest.mark.parametrize("ranking", RANKINGS)
def test_a_filter_that_nothing_matches_in_a_collection_of_others(
    store: Store, ranking: Ranking
) -> None:
    from pymilvus import DataType

    assert isinstance(store.backend, MilvusBackend)
    client, name = store.backend.client, f"t_{uuid.uuid4().hex}"
    schema = client.create_schema(auto_id=False)
    schema.add_field("word", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("size", DataType.INT64)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=2)
    indexes = client.prepare_index_params()
    indexes.add_index("embedding", index_type="FLAT", metric_type="COSINE")
    client.create_collection(name, schema=schema, index_params=indexes)
    index = store.open_index(name)
    assert index.search([1, 2], 3, ranking=ranking)[0].ids == ()
    index.upsert(["a"], [[1, 2]], {"size": [1]})
    assert index.search([1, 2], 3, ranking=ranking, where=field("size") == 2)[0].ids == ()
    assert index.search([1, 2], 3, ranking=ranking)[0].ids == ("a",)
