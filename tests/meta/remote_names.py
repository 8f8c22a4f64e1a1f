"""The public names of what stores behind a client are built on, and of those stores."""

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
    "vecbridge_pgvector": ["PgvectorBackend", "PgvectorSettings"],
}
