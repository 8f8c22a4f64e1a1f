"""The exact distance of a pair of vectors: a definition, not an approximation.

The value of a pair must be the same 64 bits whatever the batch, the position, the number of
threads, the BLAS or the machine. So nothing here is left to a library's choice of order: every
elementwise step is one correctly rounded IEEE 754 operation, and every sum is folded in a fixed
pairwise order (``docs/contract.md``, clauses DIST-*).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

P = ParamSpec("P")
R = TypeVar("R")

# What stays in the processor's cache.
_CACHED_BYTES = 1 << 20
_NARROW = 16


def quietly(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function without numpy's warnings, or errors, of what overflows or vanishes.

    ``np.errstate`` as a decorator keeps its state between threads before numpy 2.
    """

    @functools.wraps(function)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return quiet


def pairwise_sum(terms: Float64Array) -> Float64Array:
    """Sum the last axis in the contract's fixed order.

    The axis is padded with zeros to the next power of two; then the second half is added to the
    first until one value is left. The array is used as scratch space.

    Args:
        terms: ``(..., d)`` float64, overwritten.

    Returns:
        ``(...)`` float64.
    """
    dimension = terms.shape[-1]
    if dimension == 0:
        return np.zeros(terms.shape[:-1])
    half = 1 << (dimension - 1).bit_length() >> 1
    if half == 0:
        return terms[..., 0]
    # Padding is never materialised: adding a zero is exact, so only the real tail is added.
    # (x + 0.0 differs from x for x == -0.0 alone, and a zero's sign never survives a distance.)
    tail = dimension - half
    folded = terms[..., :half]
    folded[..., :tail] += terms[..., half:]
    while half > _NARROW:
        half >>= 1
        folded = np.add(folded[..., :half], folded[..., half:], out=folded[..., :half])
    # A short last axis is slow to loop over; its transpose is the same sum, contiguous.
    lanes = np.ascontiguousarray(folded.T)
    while half > 1:
        half >>= 1
        lanes = np.add(lanes[:half], lanes[half:], out=lanes[:half])
    result: Float64Array = lanes[0].T
    return result


@quietly
def norms(vectors: Float32Array) -> Float64Array:
    """Return Euclidean norms in the contract's arithmetic.

    Args:
        vectors: ``(n, d)`` float32.

    Returns:
        ``(n,)`` float64.
    """
    out = np.empty(len(vectors))
    for part in row_blocks(*vectors.shape):
        block = vectors[part].astype(np.float64)
        np.multiply(block, block, out=block)
        np.sqrt(pairwise_sum(block), out=out[part])
    return out


@quietly
def distances(
    metric: Metric,
    queries: Float32Array,
    vectors: Float32Array,
    counts: Sequence[int] | None = None,
) -> Float64Array:
    """Return the exact distances of pairs; lower is nearer for every metric.

    ============  ==============================================================
    euclidean     ``sqrt(sum((q - v)**2))``
    cosine        ``1 - q.v / (sqrt(q.q) * sqrt(v.v))``; 1 against a zero vector
    dotproduct    ``-(q.v)``
    ============  ==============================================================

    Args:
        metric: one of :data:`vecbridge.METRICS`.
        queries: ``(d,)`` float32, measured against every vector; or ``(q, d)``.
        vectors: ``(n, d)`` float32.
        counts: how many vectors in a row belong to each query; one each where not given.

    Returns:
        ``(n,)`` float64.

    Example:
        >>> import numpy as np
        >>> distances("euclidean", np.float32([0, 0]), np.float32([[3, 4], [0, 1]])).tolist()
        [5.0, 1.0]
    """
    out = np.empty(len(vectors))
    wide = np.atleast_2d(queries).astype(np.float64)
    sizes = [len(vectors)] if len(wide) == 1 else counts
    owners = np.repeat(np.arange(len(wide)), 1 if sizes is None else sizes)
    lengths = _norms64(wide) if metric == "cosine" else None
    for part in row_blocks(*vectors.shape):
        owner = owners[part] if len(wide) > 1 else slice(None)
        block_lengths = None if lengths is None else lengths[owner]
        block = vectors[part].astype(np.float64)
        out[part] = _block_distances(metric, wide[owner], block, block_lengths)
    return out


@quietly
def pair_distances(
    metric: Metric,
    left: Float32Array,
    right: Float32Array,
    left_norms: Float64Array,
    right_norms: Float64Array,
) -> Float64Array:
    """Return the exact distances of pairs whose norms are known.

    Args:
        metric: one of :data:`vecbridge.METRICS`.
        left: ``(n, d)`` float32.
        right: ``(n, d)`` float32, one per row of ``left``.
        left_norms: ``(n,)``, from :func:`norms`.
        right_norms: ``(n,)``, of ``right``.

    Returns:
        ``(n,)`` float64; the same bits as :func:`distances` gives.
    """
    out = np.empty(len(left))
    for part in row_blocks(*left.shape):
        wide, others = left[part].astype(np.float64), right[part].astype(np.float64)
        out[part] = _block_distances(metric, wide, others, left_norms[part], right_norms[part])
    return out


@quietly
def distance_matrix(metric: Metric, queries: Float32Array, vectors: Float32Array) -> Float64Array:
    """Return the exact distances of every query to every vector.

    Args:
        metric: one of :data:`vecbridge.METRICS`.
        queries: ``(q, d)`` float32.
        vectors: ``(n, d)`` float32.

    Returns:
        ``(q, n)`` float64; the same bits as :func:`distances` gives pair by pair.
    """
    out = np.empty((len(queries), len(vectors)))
    wide = queries.astype(np.float64)
    lengths = _norms64(wide) if metric == "cosine" else np.empty(len(wide))
    for part in row_blocks(*vectors.shape):
        block = vectors[part].astype(np.float64)
        block_norms = _norms64(block) if metric == "cosine" else None
        for row, query, length in zip(out, wide, lengths, strict=True):
            row[part] = _block_distances(metric, query[np.newaxis], block, length, block_norms)
    return out


def _block_distances(
    metric: Metric,
    queries: Float64Array,
    vectors: Float64Array,
    query_norms: Float64Array | np.float64 | None = None,
    vector_norms: Float64Array | None = None,
) -> Float64Array:
    if metric == "euclidean":
        terms = np.subtract(queries, vectors)
        np.multiply(terms, terms, out=terms)
        return np.sqrt(pairwise_sum(terms))
    products = pairwise_sum(np.multiply(queries, vectors))
    if metric == "dotproduct":
        return 0.0 - products
    if query_norms is None:
        query_norms = _norms64(queries)
    if vector_norms is None:
        vector_norms = np.sqrt(pairwise_sum(np.multiply(vectors, vectors, out=vectors)))
    scale = query_norms * vector_norms
    # A zero vector has no direction: its cosine similarity is 0 by scikit-learn's convention.
    cosines = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0.0)
    return 1.0 - cosines


def _norms64(vectors: Float64Array) -> Float64Array:
    return np.sqrt(pairwise_sum(vectors * vectors))


def row_blocks(count: int, dimension: int, block_bytes: int = _CACHED_BYTES) -> list[slice]:
    """Return ranges of rows whose float64 copies take so many bytes each, or of single rows."""
    rows = max(1, block_bytes // (8 * max(dimension, 1)))
    return [slice(start, min(start + rows, count)) for start in range(0, count, rows)]
