"""The public names of what stores behind a client are built on, and of those stores.

FiftyOne's are the classes that it stores by name, one set for each store that takes a name of its.
"""

from __future__ import annotations

OF_REMOTE_STORES = {
    "vecbridge.remote": [
        "NORM",
        "ApproximateCollection",
        "ApproximateRanker",
        "Cause",
        "Collection",
        "Columns",
        "Connector",
        "ErrorTable",
        "ExactRanker",
        "Link",
        "Nearest",
        "Page",
        "PartitionedCollection",
        "RemoteBackend",
        "RemoteIndex",
        "RemoteSettings",
        "from_document",
        "id_bounds",
        "storage_name",
        "to_document",
        "uuid_of",
    ],
    "vecbridge.fiftyone.similarity": [
        "MilvusSimilarity",
        "MilvusSimilarityConfig",
        "MilvusSimilarityIndex",
        "PgvectorSimilarity",
        "PgvectorSimilarityConfig",
        "PgvectorSimilarityIndex",
        "SklearnSimilarity",
        "SklearnSimilarityConfig",
        "SklearnSimilarityIndex",
        "connect_default",
    ],
    "vecbridge_pgvector": ["PgvectorBackend", "PgvectorSettings"],
}
