"""How each of FiftyOne's index objects is made, with the settings that are its own defaults."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.neighbours._index import scoped
from vecbridge import IndexInfo

Make = Callable[[IndexInfo], Any]
"""Makes their index object for an index that may be there already."""


def sklearn_maker(samples: Any) -> Make:
    """Their sklearn index, whose embeddings are in the object."""
    import numpy as np
    from fiftyone.brain.internal.core import sklearn as theirs

    kind = scoped(theirs.SklearnSimilarityIndex)

    def make(info: IndexInfo) -> Any:
        config = theirs.SklearnSimilarityConfig(metric=info.metric)
        nothing = np.empty((0, info.dimension), np.float32)
        return kind(samples, config, None, embeddings=nothing, sample_ids=np.empty(0, dtype=object))

    return make


def milvus_maker(samples: Any, uri: str) -> Make:
    """Their Milvus index, with reads as strong as its setting makes them."""
    from fiftyone.brain.internal.core import milvus as theirs

    kind = scoped(theirs.MilvusSimilarityIndex)

    def make(info: IndexInfo) -> Any:
        config = theirs.MilvusSimilarityConfig(
            collection_name=info.name, metric=info.metric, consistency_level="Strong", uri=uri
        )
        return kind(samples, config, None)

    return make


def lancedb_maker(samples: Any, folder: Path) -> Make:
    """Their LanceDB index, on files."""
    from fiftyone.brain.internal.core import lancedb as theirs

    kind = scoped(theirs.LanceDBSimilarityIndex)

    def make(info: IndexInfo) -> Any:
        config = theirs.LanceDBSimilarityConfig(
            table_name=_slug(info), metric=info.metric, uri=str(folder)
        )
        return kind(samples, config, None)

    return make


def pgvector_maker(samples: Any, address: str) -> Make:
    """Their pgvector index: HNSW, as it is made unless told otherwise."""
    from fiftyone.brain.internal.core import pgvector as theirs

    kind = scoped(theirs.PgVectorSimilarityIndex)

    def make(info: IndexInfo) -> Any:
        config = theirs.PgVectorSimilarityConfig(
            table_name=_slug(info),
            index_name=f"{_slug(info)}_index",
            metric=info.metric,
            connection_string=address,
        )
        return kind(samples, config, None)

    return make


def qdrant_maker(samples: Any, client: Any) -> Make:
    """Their Qdrant index, whose client is one on files: there is no server to be had.

    Their code names a server by its address and knows no other way; it is given this client where
    it makes one.
    """
    from fiftyone.brain.internal.core import qdrant as theirs

    kind = scoped(theirs.QdrantSimilarityIndex)
    theirs.qdrant = SimpleNamespace(QdrantClient=lambda **_: client)

    def make(info: IndexInfo) -> Any:
        config = theirs.QdrantSimilarityConfig(collection_name=_slug(info), metric=info.metric)
        return kind(samples, config, None)

    return make


def redis_maker(samples: Any, port: int) -> Make:
    """Their Redis index: FLAT, as it is made unless told otherwise."""
    from fiftyone.brain.internal.core import redis as theirs

    kind = scoped(theirs.RedisSimilarityIndex)

    def make(info: IndexInfo) -> Any:
        config = theirs.RedisSimilarityConfig(
            index_name=_slug(info), metric=info.metric, host="127.0.0.1", port=port
        )
        return kind(samples, config, None)

    return make


def _slug(info: IndexInfo) -> str:
    """A name such as FiftyOne makes up for an index, whatever the suite calls it."""
    return "fiftyone_" + hashlib.sha256(info.name.encode()).hexdigest()[:16]
