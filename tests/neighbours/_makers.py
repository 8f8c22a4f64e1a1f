"""How each of FiftyOne's index objects is made, with the settings that are its own defaults."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.neighbours._index import scoped
from vecbridge import IndexInfo

Make = Callable[[IndexInfo], Any]
"""Makes their index object for an index that may be there already."""


def sklearn_maker(samples: Any) -> Make:
    """Return what makes their sklearn index, whose embeddings are in the object."""
    import numpy as np
    from fiftyone.brain.internal.core import sklearn as theirs

    kind = scoped(theirs.SklearnSimilarityIndex)

    def make(info: IndexInfo) -> Any:
        config = theirs.SklearnSimilarityConfig(metric=info.metric)
        nothing = np.empty((0, info.dimension), np.float32)
        return kind(samples, config, None, embeddings=nothing, sample_ids=np.empty(0, dtype=object))

    return make


def milvus_maker(samples: Any, uri: str) -> Make:
    """Return what makes their Milvus index, with reads as strong as its setting makes them."""
    return _maker(
        samples,
        "milvus.Milvus",
        lambda info: {"collection_name": info.name, "consistency_level": "Strong", "uri": uri},
    )


def lancedb_maker(samples: Any, folder: Path) -> Make:
    """Return what makes their LanceDB index, on files."""
    return _maker(
        samples, "lancedb.LanceDB", lambda info: {"table_name": _slug(info), "uri": str(folder)}
    )


def pgvector_maker(samples: Any, address: str) -> Make:
    """Return what makes their pgvector index: HNSW, its default."""
    return _maker(
        samples,
        "pgvector.PgVector",
        lambda info: {
            "table_name": _slug(info),
            "index_name": f"{_slug(info)}_index",
            "connection_string": address,
        },
    )


def qdrant_maker(samples: Any, client: Any) -> Make:
    """Return what makes their Qdrant index, whose client is one on files, without a server.

    Their code names a server by its address and knows no other way; it is given this client where
    it makes one.
    """
    import_module("fiftyone.brain.internal.core.qdrant").__dict__["qdrant"] = SimpleNamespace(
        QdrantClient=lambda **_: client
    )
    return _maker(samples, "qdrant.Qdrant", lambda info: {"collection_name": _slug(info)})


def redis_maker(samples: Any, port: int) -> Make:
    """Return what makes their Redis index: FLAT, its default."""
    return _maker(
        samples,
        "redis.Redis",
        lambda info: {"index_name": _slug(info), "host": "127.0.0.1", "port": port},
    )


def _maker(samples: Any, store: str, settings: Callable[[IndexInfo], dict[str, Any]]) -> Make:
    module, _, name = store.partition(".")
    theirs = import_module(f"fiftyone.brain.internal.core.{module}")
    kind = scoped(getattr(theirs, f"{name}SimilarityIndex"))
    config = getattr(theirs, f"{name}SimilarityConfig")
    return lambda info: kind(samples, config(metric=info.metric, **settings(info)), None)


def _slug(info: IndexInfo) -> str:
    """Return a name such as FiftyOne makes up for an index, whatever the suite calls it."""
    return "fiftyone_" + hashlib.sha256(info.name.encode()).hexdigest()[:16]
