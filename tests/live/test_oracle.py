"""One ranking: the independent oracle, and every store that is exact."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import vecbridge
from tests.adversarial import DIMENSIONS, KINDS, Data, make
from tests.oracle import oracle
from vecbridge import METRICS, Index, Metric, Store

COUNT = 60
STORES = (
    "sklearn_memory",
    "sklearn_disk",
    "faiss_memory",
    "faiss_disk",
    "torch_memory",
    "milvus_lite",
    "milvus_server",
    "pgvector_server",
    "redis_server",
    "qdrant_disk",
    "lancedb_lite",
)


@pytest.fixture(scope="module", params=STORES)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    folder: Path = tmp_path_factory.mktemp("stores")
    name, _, place = request.param.partition("_")
    options: dict[str, dict[str, Any]] = {
        "memory": {},
        "disk": {"path": folder / "records"},
        "lite": {"uri": str(folder / "vectors.db")},
    }
    if place == "server":
        uri = "milvus_server_uri" if name == "milvus" else f"{name}_uri"
        options["server"] = {"uri": request.getfixturevalue(uri)}
    with vecbridge.get_backend(name, **options[place]) as opened:
        yield opened


class Arena:
    """One index a metric and dimension: every data set replaces the same ids in it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._indexes: dict[tuple[Metric, int, int], Index] = {}

    def compare(self, metric: Metric, data: Data, ks: list[int]) -> None:
        """Writes the data, asks for every ``k``, and wants the oracle's bits."""
        index = self._index(metric, data)
        index.upsert(data.ids, data.vectors)
        assert index.count() == len(data.ids)
        most = max(ks)
        expected = [oracle(metric, data.ids, data.vectors, query, most) for query in data.queries]
        for k in ks:
            found = index.search(data.queries, k)
            for hits, (ids, distances) in zip(found, expected, strict=True):
                assert hits.ids == ids[:k]
                assert hits.distances.tobytes() == np.array(distances[:k]).tobytes()
                assert hits.exact

    def _index(self, metric: Metric, data: Data) -> Index:
        key = metric, data.vectors.shape[1], len(data.ids)
        if key not in self._indexes:
            name = f"oracle_{uuid.uuid4().hex}"
            self._indexes[key] = self._store.create_index(name, dimension=key[1], metric=metric)
        return self._indexes[key]


@pytest.fixture(scope="module")
def arena(store: Store) -> Arena:
    return Arena(store)


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
def test_adversarial_data(arena: Arena, metric: Metric, dimension: int, kind: str) -> None:
    arena.compare(metric, make(kind, dimension, count=COUNT), [1, 2, 10, COUNT, COUNT + 1])


@pytest.mark.parametrize("metric", METRICS)
def test_every_k_from_one_to_one_more_than_there_are(arena: Arena, metric: Metric) -> None:
    arena.compare(metric, make("duplicates", 64, count=COUNT), list(range(1, COUNT + 2)))


@pytest.mark.parametrize("metric", METRICS)
def test_digits(arena: Arena, metric: Metric) -> None:
    vectors = load_digits().data.astype(np.float32)
    ids = [f"digit-{number}" for number in range(len(vectors))]
    queries = vectors[:: len(vectors) // 8]
    arena.compare(metric, Data(ids, vectors, queries), [1, 10, 100, len(ids), len(ids) + 1])
