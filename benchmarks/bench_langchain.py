"""The Milvus backend against langchain-milvus, on one server of this benchmark's own.

Both sides are given vectors that are computed already: langchain-milvus through ``add_embeddings``
and ``similarity_search_with_score_by_vector``, which is all it has, one query a call. Both build a
flat index under cosine and read at session level.
"""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
from _measure import Row, Work, arguments, report, seconds, together
from bench_milvus import EXACT_LIMIT, K, data, server, settle

from vecbridge import Index, get_backend

PEER = "langchain-milvus"
SEARCH_SECONDS = 4.0
INGEST_LIMIT = NATIVE_LIMIT = 1.0


def langchain(uri: str, dimension: int) -> Any:
    """Return a store of langchain-milvus that is never asked to embed anything."""
    from langchain_core.embeddings import FakeEmbeddings
    from langchain_milvus import Milvus

    return Milvus(
        FakeEmbeddings(size=dimension),
        collection_name="langchain",
        connection_args={"uri": uri},
        consistency_level="Session",
        index_params={"index_type": "FLAT", "metric_type": "COSINE", "params": {}},
        search_params={"metric_type": "COSINE", "params": {}},
    )


def compared(uri: str, count: int, dimension: int) -> list[Row]:
    """Ingest, one query and ten."""
    ids, vectors = data(count, dimension)
    queries = np.random.default_rng(1).standard_normal((10, dimension), dtype=np.float32)
    peer = langchain(uri, dimension)
    asked = [query.tolist() for query in queries]

    def theirs(number: int) -> object:
        return [peer.similarity_search_with_score_by_vector(query, k=K) for query in asked[:number]]

    with get_backend("milvus", uri=uri) as store:
        index = store.create_index("ours", dimension=dimension, fields={"text": "string"})
        ingest_peer = seconds(
            lambda: peer.add_embeddings(ids, vectors.tolist(), ids=ids, batch_size=5000)
        )
        ingest = seconds(lambda: index.upsert(ids, vectors, {"text": ids}))
        settle(uri, {"langchain": count, "ours": count})
        index.count(consistency="strong")
        rows = [Row("ingest", ingest, ingest_peer, PEER, "s", INGEST_LIMIT, repeats=1)]
        rows += _searches(index, queries[:1], lambda: theirs(1), "one query")
        rows += _searches(index, queries, lambda: theirs(len(queries)), f"{len(queries)} queries")
    return rows


def _searches(index: Index, queries: Any, theirs: Work, what: str) -> list[Row]:
    taken, repeats = together(
        {
            "native": lambda: index.search(queries, K, ranking="native"),
            "exact": lambda: index.search(queries, K),
            PEER: theirs,
        },
        SEARCH_SECONDS,
    )
    limits = {"native": NATIVE_LIMIT, "exact": EXACT_LIMIT}
    return [
        Row(f"{what}, {way}", 1e3 * taken[way], 1e3 * taken[PEER], PEER, "ms", limit, repeats)
        for way, limit in limits.items()
    ]


def main() -> None:
    """Measures everything and prints the table."""
    parser = arguments(__doc__ or "")
    parser.set_defaults(count=20_000)
    options = parser.parse_args()
    if find_spec("langchain_milvus") is None:
        print("langchain-milvus is not installed: pip install --group bench")
        return
    warnings.simplefilter("ignore")
    size = options.count, options.dimension
    with server() as uri:
        rows = compared(uri, *size)
    report(f"langchain-milvus, {size[0]} x {size[1]}, FLAT, cosine, k={K}", rows, options.json)


if __name__ == "__main__":
    main()
