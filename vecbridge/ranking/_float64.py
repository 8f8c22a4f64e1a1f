"""Ranking by float64 products, with an error bound for every record.

A product of two float32 values is exact in float64 and neither overflows nor vanishes, so these
bounds hold for every finite vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge.ranking._bounds import FLOAT64_ROUNDOFF, gamma
from vecbridge.ranking._kernel import norms as exact_norms
from vecbridge.ranking._quiet import quietly

_BLOCK_BYTES = 8 << 20


class Bounds(NamedTuple):
    """What the exact distances lie between: ``(q, n)`` float64 each."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


@quietly
def float64_bounds(
    metric: Metric,
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    norms: NDArray[np.float64],
    rows: NDArray[np.intp] | None = None,
    *,
    block_bytes: int = _BLOCK_BYTES,
) -> Bounds:
    """Return bounds of the distances of queries to records, in blocks of bounded memory.

    Args:
        metric: of the index.
        queries: ``(q, d)`` float32.
        vectors: ``(n, d)`` float32, the records.
        norms: ``(n,)`` exact norms of them.
        rows: which of them; all where ``None``.
        block_bytes: how much memory the float64 copies of vectors may take at once.

    Returns:
        ``(q, n)`` bounds, of the rows in their order.
    """
    count = len(vectors) if rows is None else len(rows)
    query_norms = exact_norms(queries)[:, np.newaxis]
    lower, upper = np.empty((len(queries), count)), np.empty((len(queries), count))
    wide = queries.astype(np.float64)
    # Both this computation's rounding and that of the definition itself, generously.
    relative = gamma(4 * (queries.shape[1] + 8), FLOAT64_ROUNDOFF)
    for start, stop in _blocks(count, max(1, block_bytes // (8 * queries.shape[1]))):
        chosen = slice(start, stop) if rows is None else rows[start:stop]
        dots: NDArray[np.float64] = wide @ vectors[chosen].astype(np.float64).T
        part = _bounds_of(metric, dots, query_norms, norms[chosen], relative)
        lower[:, start:stop], upper[:, start:stop] = part
    return Bounds(lower, upper)


def _bounds_of(
    metric: Metric,
    dots: NDArray[np.float64],
    query_norms: NDArray[np.float64],
    norms: NDArray[np.float64],
    relative: float,
) -> Bounds:
    scale = query_norms * norms
    if metric == "dotproduct":
        error = relative * scale
        return Bounds(-dots - error, -dots + error)
    if metric == "cosine":
        cosines = np.divide(dots, scale, out=np.zeros_like(dots), where=scale > 0.0)
        # Against a zero vector the distance is 1 by definition, without any error.
        error = np.where(scale > 0.0, relative, 0.0)
        return Bounds(1.0 - cosines - error, 1.0 - cosines + error)
    total = (query_norms + norms) ** 2
    squared = query_norms * query_norms + norms * norms - 2.0 * dots
    error = relative * total
    return Bounds(
        np.sqrt(np.maximum(squared - error, 0.0)) * (1.0 - relative),
        np.sqrt(np.maximum(squared + error, 0.0)) * (1.0 + relative),
    )


def _blocks(count: int, rows: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, rows):
        yield start, min(start + rows, count)
