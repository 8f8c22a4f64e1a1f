"""FAISS through vecbridge against FAISS raw: flat, and the approximate indexes at their recall."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from _measure import Row, arguments, medians, report, seconds

from vecbridge import METRICS, Index, get_backend
from vecbridge.ranking import shares_found

NATIVE_LIMIT = 1.15
EXACT_LIMIT = 1.3
K = 10


def data(count: int, dimension: int) -> tuple[list[str], Any, Any]:
    """Ids, Gaussian vectors and a hundred queries."""
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((count, dimension), dtype=np.float32)
    queries = generator.standard_normal((100, dimension), dtype=np.float32)
    return [f"record-{number}" for number in range(count)], vectors, queries


def raw_index(metric: str, vectors: Any) -> Any:
    """Return what a user of FAISS alone would build: for cosine, over unit vectors."""
    if metric == "euclidean":
        raw = faiss.IndexFlatL2(vectors.shape[1])
    else:
        raw = faiss.IndexFlatIP(vectors.shape[1])
    if metric == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    raw.add(vectors)
    return raw


def flat(count: int, dimension: int) -> list[Row]:
    """One query and a hundred, native and exact."""
    ids, vectors, queries = data(count, dimension)
    rows = []
    for metric in METRICS:
        index = get_backend("faiss").create_index("bench", dimension=dimension, metric=metric)
        index.upsert(ids, vectors)
        raw = raw_index(metric, vectors)
        rows += _against_raw(index, metric, raw, queries[:1], "1 query", 61)
        rows += _against_raw(index, metric, raw, queries, "100 queries", 9)
    return rows


def _against_raw(
    index: Index, metric: str, raw: Any, queries: Any, what: str, runs: int
) -> list[Row]:
    def search_raw() -> object:
        return raw.search(queries, K)

    native = medians(lambda: index.search(queries, K, ranking="native"), search_raw, runs)
    exact = medians(lambda: index.search(queries, K), search_raw, runs)
    return [
        _ratio(f"{metric}: {what}, k={K}, native", native, NATIVE_LIMIT),
        _ratio(f"{metric}: {what}, k={K}, exact", exact, EXACT_LIMIT),
    ]


def _ratio(work: str, times: tuple[float, float], limit: float) -> Row:
    return Row(work, 1e3 * times[0], 1e3 * times[1], "FAISS flat, raw", limit=limit)


def approximate(count: int, dimension: int) -> list[Row]:
    """HNSW and IVF at a recall of 0.95, against the exact search of the same records."""
    ids, vectors, queries = data(count, dimension)
    # Gaussian noise has no neighbourhoods to find; these are in a few dimensions.
    mixing = np.random.default_rng(1).standard_normal((16, dimension), dtype=np.float32)
    vectors, queries = vectors[:, :16] @ mixing, queries[:, :16] @ mixing
    exact = get_backend("faiss").create_index("bench", dimension=dimension)
    exact.upsert(ids, vectors)
    right = exact.search(queries, K)
    rows = []
    for kind in ("hnsw", "ivf"):
        index = get_backend("faiss", index=kind).create_index("bench", dimension=dimension)
        index.upsert(ids, vectors)
        built = seconds(lambda index=index: index.search(queries, K))  # type: ignore[misc]
        found = index.search(queries, K)
        shares = shares_found([one.ids for one in found], [true.ids for true in right], K)
        times = medians(
            lambda index=index: index.search(queries, K),  # type: ignore[misc]
            lambda: exact.search(queries, K),
            9,
        )
        recall = float(np.mean(shares))
        rows += [
            Row(f"{kind}: recall", recall, 0.95, "what is declared", ""),
            Row(f"{kind}: build and tune", built, None, "", "s"),
            Row(f"{kind}: 100 queries", 1e3 * times[0], 1e3 * times[1], "exact search"),
        ]
    return rows


def main() -> None:
    """Measures everything and prints the table."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--flat", action="store_true", help="the flat index only")
    options = parser.parse_args()
    size = options.count, options.dimension
    rows = flat(*size)
    if not options.flat:
        rows += approximate(*size)
    report(f"FAISS, {size[0]} x {size[1]} float32", rows, options.json)


if __name__ == "__main__":
    main()
