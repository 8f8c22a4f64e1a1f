"""Similarity backends of FiftyOne at work in turn, on one dataset. Prints JSON.

Run by ``bench_fiftyone.py`` with a database of its own in ``FIFTYONE_DATABASE_URI``.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import cycle
from types import SimpleNamespace
from typing import Any

import numpy as np
from _measure import seconds, together

DATASET = "benchmark"
CONFIGS = {
    "milvus": "MilvusSimilarityConfig",
    "pgvector": "PgVectorSimilarityConfig",
    "qdrant": "QdrantSimilarityConfig",
    "lancedb": "LanceDBSimilarityConfig",
    "redis": "RedisSimilarityConfig",
}
"""Classes of FiftyOne's own backends, whose names are ours where vecbridge is enabled."""
UNSAVED = {"uri", "path", "connection_string", "host", "port"}
"""What leads to a store, and is given again when an index is loaded."""
WANTED_SECONDS = 1.0
"""How long work is repeated, by all backends together; where once takes longer, it is done once."""
AFRESH = frozenset({"reload", "session", "duplicates"})
"""Work that loads the index itself, so that its first run is like any other."""

Work = Callable[[], object]


@dataclass(frozen=True)
class Backend:
    """A backend as FiftyOne names it, and its settings."""

    name: Any
    options: dict[str, Any]


def backend(column: str, options: dict[str, Any]) -> Backend:
    """Return a column of the table: ``theirs_milvus`` is FiftyOne's class, ``milvus`` is ours."""
    if not column.startswith("theirs_"):
        return Backend(column, options)
    name = column.removeprefix("theirs_")
    module = import_module(f"fiftyone.brain.internal.core.{name}")
    if name == "redis":
        # The module it asks for has another name in newer releases of the client.
        definition = import_module("redis.commands.search.index_definition")
        sys.modules["redis.commands.search.indexDefinition"] = definition
    if name == "qdrant":
        # It names a server by its address and knows no other way; there is none in a wheel.
        folder = options.pop("path")
        vars(module)["qdrant"] = SimpleNamespace(QdrantClient=lambda **_: _engine(folder))
    return Backend(getattr(module, CONFIGS[name]), options)


@cache
def _engine(folder: str) -> Any:
    from qdrant_client import QdrantClient

    class Client(QdrantClient):
        """Has the method that the adapter calls, and that newer releases of the client have not."""

        def search(self, collection_name: str, query_vector: Any, **options: Any) -> Any:
            return self.query_points(collection_name, query=query_vector, **options).points

    return Client(path=folder)


def data(count: int, dimension: int) -> Any:
    """Vectors in loose clusters, as embeddings are, with a copy of every fiftieth."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((64, dimension))
    vectors = centres[rng.integers(0, 64, count)] + 0.5 * rng.standard_normal((count, dimension))
    vectors[1::50] = vectors[0::50][: len(vectors[1::50])]
    return vectors.astype(np.float32)


def make_dataset(count: int) -> Any:
    """Return a dataset whose images are never read."""
    import fiftyone as fo

    dataset = fo.Dataset(DATASET, overwrite=True)
    dataset.add_samples([fo.Sample(filepath=f"/none/{number}.png") for number in range(count)])
    return dataset


class Side:
    """One backend's index of the dataset, made when this is.

    Args:
        key: of its run.
        used: the backend.
        dataset: what is indexed.
        vectors: one a sample.
    """

    def __init__(self, key: str, used: Backend, dataset: Any, vectors: Any) -> None:
        self._key, self._dataset, self._vectors = key, dataset, vectors
        self._again: Any = None
        self._place = {name: used.options[name] for name in UNSAVED & set(used.options)}
        self._ids = dataset.values("id")
        self.creation = seconds(lambda: self._create(used))
        self.index = self._loaded()
        # FiftyOne's sklearn makes its table at the first query.
        self.index._kneighbors(self._ids[0], k=1)  # noqa: SLF001

    def _create(self, used: Backend) -> None:
        import fiftyone.brain as fob

        fob.compute_similarity(
            self._dataset,
            embeddings=self._vectors,
            brain_key=self._key,
            backend=used.name,
            metric="euclidean",
            **used.options,
        )
        self._dataset.clear_cache()

    def _loaded(self) -> Any:
        return self._dataset.load_brain_results(self._key, cache=False, **self._place)

    def works(self) -> dict[str, Work]:
        """Each piece of work by its name."""
        dataset, ids, index = self._dataset, self._ids, self.index
        one, half = dataset[: len(ids) // 100], dataset[: len(ids) // 2]
        hundred, names = self._vectors[:100], cycle(ids)

        def inside(view: Any) -> Work:
            def asked() -> None:
                with index.use_view(view):
                    index.sort_by_similarity(ids[5], k=25)

            return asked

        def session() -> None:
            loaded = self._loaded()
            for name in ids[:100]:
                loaded.sort_by_similarity(name, k=25)

        def sort() -> None:
            index.sort_by_similarity(next(names), k=25)

        def least() -> None:
            index.sort_by_similarity(next(names), k=25, reverse=True)

        def duplicates() -> None:
            self._again = self._loaded()
            self._again.find_duplicates(thresh=1e-3)

        return {
            "reload": lambda: self._loaded()._kneighbors(ids[0], k=1),  # noqa: SLF001
            "session": session,
            "sort": sort,
            "least": least,
            "view1": inside(one),
            "view50": inside(half),
            "hundred": lambda: index._kneighbors(hundred, k=10),  # noqa: SLF001
            "size": lambda: index.reload() or index.index_size,
            "some": lambda: index.get_embeddings(sample_ids=ids[: len(ids) // 10]),
            "duplicates": duplicates,
            "again": lambda: self._again.find_duplicates(thresh=1e-2),
        }


def times(works: dict[str, Work], *, afresh: bool) -> dict[str, float]:
    """Seconds of one piece of work by each backend; what it cannot do is left out."""
    first = {}
    for column, work in works.items():
        # FiftyOne's own cannot do everything.
        with suppress(Exception):
            first[column] = seconds(work)
    able = {column: works[column] for column in first}
    if sum(first.values()) <= WANTED_SECONDS:
        return together(able, WANTED_SECONDS)[0]
    return first if afresh else {column: seconds(work) for column, work in able.items()}


def measured(
    backends: dict[str, Backend], names: Sequence[str], count: int, dimension: int
) -> dict[str, dict[str, float]]:
    """Seconds of each piece of work that is named, for each backend.

    Args:
        backends: one a column.
        names: of the work.
        count: how many vectors there are.
        dimension: of each.
    """
    import fiftyone as fo

    vectors, dataset = data(count, dimension), make_dataset(count)
    sides = {key: Side(key, used, dataset, vectors) for key, used in backends.items()}
    works = {column: side.works() for column, side in sides.items()}
    found = {column: {"create": side.creation} for column, side in sides.items()}
    for name in names:
        asked = {column: work[name] for column, work in works.items()}
        taken = times(asked, afresh=name in AFRESH)
        for column, figure in taken.items():
            found[column][name] = figure
    for side in sides.values():
        side.index.cleanup()
    fo.delete_dataset(DATASET)
    return found


def main(asked: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Measures the backends that are named."""
    warnings.simplefilter("ignore")
    import fiftyone as fo

    import vecbridge.fiftyone

    fo.config.show_progress_bars = False
    vecbridge.fiftyone.enable()
    backends = {column: backend(column, options) for column, options in asked["columns"].items()}
    return measured(backends, asked["works"], *asked["size"])


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
