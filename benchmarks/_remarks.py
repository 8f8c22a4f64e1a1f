"""Why a ratio misses its limit, as far as is known; shown beside those that do."""

from __future__ import annotations

import re
from typing import Any

UNKNOWN = "no reason is known yet"
_OUR_SHARE = "a third of a millisecond of checks and session, beside a server that answers in five"
_THEIR_TABLE = (
    "up to 15,000 records its sklearn reads a table of all distances, for which its first query "
    "takes seconds; ours searches every time, and neighbors() answers for all records at once"
)
_REMARKS: tuple[tuple[str, str, str], ...] = (
    (
        "milvus",
        "one query, native",
        _OUR_SHARE,
    ),
    (
        "milvus",
        "half of all",
        "100,000 ids cannot be sent with each query: more hits are asked for, and sifted here",
    ),
    (
        "milvus",
        "(100 queries|one query), exact",
        "mostly the vectors, which pymilvus takes as long to fetch: see the row with them",
    ),
    (
        "stores",
        "pgvector: .*queries",
        "one more pass looks for vectors beyond the reach of float32, and the vectors come along",
    ),
    (
        "stores",
        "redis: .*queries",
        (
            "the vectors come along, and each read asks whether the index is whole and the server "
            "still the primary"
        ),
    ),
    (
        "stores",
        "chroma: .*queries",
        (
            "ours is tuned until it finds 0.95 of the nearest, by hand it is what the client does "
            "unasked: their recall stands below"
        ),
    ),
    (
        "langchain",
        "one query, native",
        _OUR_SHARE,
    ),
    (
        "langchain",
        "one query, exact",
        "an exact search asks for more hits than k, and for their vectors, to prove the order",
    ),
    (
        "duplicates",
        "unique",
        "the distance that leaves as many as are wanted is found by halving, over all records",
    ),
    (
        "local",
        "opening",
        "each id is a string of its own, and a million of them outgrow the processor's caches",
    ),
    (
        "torch",
        "100 queries",
        "two libraries' threads wait for each other: one multiplies, the other picks the best",
    ),
    (
        "fiftyone",
        "pgvector: (sort_by|100 vectors|load_brain_results)",
        "ours looks at every record, and is exact; its pgvector asks an HNSW index, which may miss",
    ),
    (
        "fiftyone",
        "(qdrant|redis): (sort_by|100 vectors|load_brain_results)",
        "the ranking is proven, from vectors that come along",
    ),
    (
        "fiftyone",
        "[mM]ilvus: (sort_by|the same in a view of 1 %|load_brain_results)",
        "the answer is proven, from vectors that come along; its milvus misses a tenth of these 25",
    ),
    (
        "fiftyone",
        "10k (sklearn|FAISS): (sort_by|the same, least|least)",
        _THEIR_TABLE,
    ),
    (
        "fiftyone",
        "least similar",
        "a server is not asked for the farthest by Euclidean distance: all records are read",
    ),
    (
        "fiftyone",
        "view of 1 %",
        "a millisecond of checks and exact distances, beside ids that take MongoDB one or two",
    ),
    (
        "fiftyone",
        "[mM]ilvus: .*index_size",
        "its milvus reads a counter that counts deleted and repeated rows too; ours counts records",
    ),
    (
        "fiftyone",
        "[mM]ilvus: get_embeddings",
        "pymilvus decodes the rows of a query one by one, for both",
    ),
    (
        "fiftyone",
        "index_size",
        "its sklearn reads an attribute, whatever others have written; ours asks the store",
    ),
)
"""Benchmark, pattern of the work, reason; the first that fits counts."""


def remark(benchmark: str, row: dict[str, Any]) -> str:
    """Return the reason for one row."""
    for name, pattern, reason in _REMARKS:
        if name == benchmark and re.search(pattern, row["work"]):
            return reason
    return UNKNOWN
