"""The nearest of few queries, by the kernels with which FAISS compares one query to many vectors.

``faiss.knn`` calls a kernel for every pair when there are few queries, and keeps a heap, which
grows slow with ``k``. Comparing to all vectors first and picking then is several times as fast.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge import Metric
from vecbridge.ranking import smallest_columns
from vecbridge_faiss._library import faiss

_VALUE_BYTES = 32 << 20
# What stays in a core's cache while one query after the other is compared to it.
_TILE_BYTES = 1 << 20
# Less than this is done hardly later than a second thread has begun.
_THREADED_BYTES = 24 << 20
_WORKERS = min(8, os.cpu_count() or 1)


def nearest_of_few(
    metric: Metric,
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    count: int,
    selected: NDArray[np.intp] | None,
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """FAISS's values of the ``count`` nearest of each query, nearest first, and their rows.

    Args:
        metric: inner products are taken for all but euclidean.
        queries: ``(q, d)`` float32.
        vectors: ``(n, d)`` float32.
        count: how many; at most as many as may be found.
        selected: rows that alone may be found.
    """
    values, rows = picked_in_blocks(
        lambda part: _keys(metric, part, vectors), queries, len(vectors), count, selected
    )
    return (values, rows) if metric == "euclidean" else (np.negative(values, out=values), rows)


def picked_in_blocks(
    keys_of: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    queries: NDArray[np.float32],
    records: int,
    count: int,
    selected: NDArray[np.intp] | None,
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """The smallest keys of each query, in order, and whose they are: ``(q, count)`` each.

    Args:
        keys_of: ``(b, records)`` keys of a block of queries, of which there are as many as fit.
        queries: ``(q, d)`` float32.
        records: how many keys a query has.
        count: how many to pick.
        selected: rows that alone may be picked.
    """
    values = np.empty((len(queries), count), dtype=np.float32)
    rows = np.empty((len(queries), count), dtype=np.intp)
    step = max(1, _VALUE_BYTES // (4 * max(records, 1)))
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        values[part], rows[part] = _picked(keys_of(queries[part]), count, selected)
    return values, rows


def _picked(
    keys: NDArray[np.float32], count: int, selected: NDArray[np.intp] | None
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """The smallest keys of each row, in order, and whose they are."""
    if selected is not None:
        keys = keys[:, selected]
    columns = smallest_columns(keys, count)
    found = np.take_along_axis(keys, columns, axis=1)
    order = np.argsort(found, axis=1, kind="stable")
    columns = np.take_along_axis(columns, order, axis=1)
    found = np.take_along_axis(found, order, axis=1)
    return found, columns if selected is None else selected[columns]


def _keys(
    metric: Metric, queries: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """``(q, n)``: squared distances, or inner products with the sign turned."""
    keys = np.empty((len(queries), len(vectors)), dtype=np.float32)
    kernel = faiss.fvec_L2sqr_ny if metric == "euclidean" else faiss.fvec_inner_products_ny

    def fill(rows: slice) -> None:
        _fill(kernel, queries, vectors[rows], keys[:, rows])
        if metric != "euclidean":
            np.negative(keys[:, rows], out=keys[:, rows])

    own, *others = _parts(len(queries), vectors)
    if not others:
        fill(own)
        return keys
    with ThreadPoolExecutor(len(others)) as pool:
        filled = pool.map(fill, others)
        fill(own)
        # Where one of them failed, this raises its error.
        list(filled)
    return keys


def _fill(
    kernel: Callable[..., None],
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    dimension = vectors.shape[1]
    step = len(vectors) if len(queries) == 1 else max(1, _TILE_BYTES // (4 * dimension))
    for start in range(0, len(vectors), max(step, 1)):
        tile = vectors[start : start + step]
        pointer: Any = faiss.swig_ptr(tile)
        for query, row in zip(queries, out[:, start : start + step], strict=True):
            kernel(faiss.swig_ptr(row), faiss.swig_ptr(query), pointer, dimension, len(tile))


def _parts(queries: int, vectors: NDArray[np.float32]) -> list[slice]:
    """The rows that each thread takes."""
    workers = _WORKERS if queries * vectors.nbytes >= _THREADED_BYTES else 1
    size = max(1, -(-len(vectors) // workers))
    return [slice(start, start + size) for start in range(0, max(len(vectors), 1), size)]
