"""The ten nearest others of every record by each local engine, against scikit-learn and FAISS raw.

The pairs are multiplied by the core, whatever the engine: what differs is how records get there.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import faiss
import numpy as np
from _measure import Row, arguments, report, seconds
from sklearn.neighbors import NearestNeighbors

from vecbridge import METRICS, Index, Metric, get_backend

K = 10
ENGINES = ("sklearn", "faiss", "torch")


def raw(metric: Metric, vectors: Any) -> Any:
    """Return what FAISS alone takes, itself among the eleven nearest."""
    if metric == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    kind = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
    return lambda: faiss.knn(vectors, vectors, K + 1, metric=kind)


def neighbours(metric: Metric, count: int, dimension: int, runs: int) -> list[Row]:
    """Median seconds of each, run in turn."""
    vectors = np.random.default_rng(0).standard_normal((count, dimension), dtype=np.float32)
    ids = [f"record-{number}" for number in range(count)]
    stores = {engine: get_backend(engine) for engine in ENGINES}
    works: dict[str, Callable[[], Any]] = {}
    for engine, store in stores.items():
        index = store.create_index("bench", dimension=dimension, metric=metric)
        index.upsert(ids, vectors)
        works[engine] = partial(_listed, index)
    works["FAISS flat"] = raw(metric, vectors)
    if metric != "dotproduct":
        peer = NearestNeighbors(n_neighbors=K + 1, algorithm="brute", metric=metric).fit(vectors)
        works["scikit-learn"] = lambda: peer.kneighbors(vectors)
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            times[name].append(seconds(work))
    for store in stores.values():
        store.close()
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    return [
        Row(f"{metric}: all neighbours, k={K}, {engine}", medians[engine], taken, name, "s", 1.0)
        for engine in ENGINES
        for name, taken in medians.items()
        if name not in ENGINES
    ]


def _listed(index: Index) -> int:
    return sum(len(hits) for _, hits in index.neighbors(K))


def main() -> None:
    """Measures every metric and prints the table."""
    parser = arguments(__doc__ or "")
    parser.set_defaults(dimension=128)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--metric", choices=METRICS, action="append")
    options = parser.parse_args()
    rows: list[Row] = []
    for metric in options.metric or METRICS:
        rows += neighbours(metric, options.count, options.dimension, options.runs)
    title = f"All neighbours of {options.count} x {options.dimension} float32, exact"
    report(title, rows, options.json)


if __name__ == "__main__":
    main()
