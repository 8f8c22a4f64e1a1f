"""The nearest of several queries, by one product of matrices.

Up to its threshold FAISS compares one query after the other to all vectors, each of which it reads
anew. From some thirty queries on, one product takes a half to a third of that time. It rounds more
where distances are euclidean, so what it leaves undecided is compared one by one after all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecbridge import Metric
from vecbridge_faiss._few import picked_in_blocks

SEVERAL = 32
"""From how many queries on one product is faster."""


def halves_of(metric: Metric, norms: NDArray[np.float64]) -> NDArray[np.float32]:
    """What products are taken from, half the squares of norms: ``(n,)``; 0 but for euclidean."""
    if metric != "euclidean":
        return np.zeros(1, dtype=np.float32)
    # Where these overflow, no query is usable.
    with np.errstate(over="ignore"):
        return (0.5 * norms * norms).astype(np.float32)


def nearest_of_several(
    metric: Metric,
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    halves: NDArray[np.float32],
    count: int,
    selected: NDArray[np.intp] | None,
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """FAISS's values of the ``count`` nearest of each query, nearest first, and their rows.

    Args:
        metric: inner products are taken for all but euclidean.
        queries: ``(q, d)`` float32.
        vectors: ``(n, d)`` float32.
        halves: of the vectors, from :func:`halves_of`.
        count: how many; at most as many as may be found.
        selected: rows that alone may be found.
    """

    def keys_of(part: NDArray[np.float32]) -> NDArray[np.float32]:
        table: NDArray[np.float32] = np.matmul(part, vectors.T)
        return np.subtract(halves, table, out=table)

    keys, rows = picked_in_blocks(keys_of, queries, len(vectors), count, selected)
    values = keys.astype(np.float64)
    if metric != "euclidean":
        return np.negative(values, out=values), rows
    wide = queries.astype(np.float64)
    return 2.0 * values + np.einsum("ij,ij->i", wide, wide)[:, np.newaxis], rows
