"""How far a computed distance may lie from the exact one, by float32 or by float64.

Standard forward error analysis (N. J. Higham, *Accuracy and Stability of Numerical Algorithms*,
2nd ed., section 3.1): a sum of ``n`` rounded products, in whatever order, is off by at most
``gamma(n) * sum(|x_i * y_i|)``, with ``gamma(n) = n*u / (1 - n*u)`` and ``u`` the unit roundoff.
The bounds hold for any order of summation and with or without fused multiply-add, so they hold for
every BLAS and every server.

A relative bound says nothing of numbers that vanish or overflow. What vanishes adds ``2**-126`` a
step, an input, a product or a sum that is flushed to zero included; where a step may overflow,
nothing is claimed. A product of two float32 values is exact in float64 and neither overflows nor
vanishes there, so the bounds of float64 products hold for every finite vector.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge.ranking._kernel import norms as exact_norms
from vecbridge.ranking._kernel import quietly, row_blocks

DistanceT = TypeVar("DistanceT", float, NDArray[np.float64])

FLOAT32_ROUNDOFF = 2.0**-24
"""Unit roundoff of float32: the largest relative error of one rounding to nearest."""

FLOAT64_ROUNDOFF = 2.0**-53
"""Unit roundoff of float64."""

_FLOAT32_TINY = 2.0**-126
_FLOAT32_SAFE = 2.0**126
# What float64 adds to a bound, and the contract's own rounding to a distance.
_SLACK = 2.0**-40
_LOWEST = -1e300
_BLOCK_BYTES = 8 << 20


def gamma(terms: int, roundoff: float = FLOAT32_ROUNDOFF) -> float:
    """Return the relative error bound of a sum of ``terms`` rounded products.

    Args:
        terms: number of rounding steps along the longest chain.
        roundoff: unit roundoff of the arithmetic.

    Returns:
        ``terms*u / (1 - terms*u)``, or ``inf`` where the bound says nothing.
    """
    chain = terms * roundoff
    return chain / (1.0 - chain) if chain < 1.0 else math.inf


def dot_error(
    dimension: int,
    query_norm: float,
    vector_norm: float,
    *,
    roundoff: float = FLOAT32_ROUNDOFF,
) -> float:
    """Return the largest error of a computed dot product: ``gamma(d) * |q| * |v|``, and underflow.

    Args:
        dimension: length of the vectors.
        query_norm: Euclidean norm of the one.
        vector_norm: of the other.
        roundoff: unit roundoff of the arithmetic.

    Returns:
        An absolute bound; ``inf`` where float32 may overflow.
    """
    magnitude = query_norm * vector_norm
    if roundoff < FLOAT32_ROUNDOFF:
        return gamma(dimension + 2, roundoff) * magnitude
    if not magnitude < _FLOAT32_SAFE:
        return math.inf
    vanished = _vanished(dimension, query_norm, vector_norm)
    return gamma(dimension + 2, roundoff) * magnitude + vanished


def sum_errors(
    terms: int,
    magnitudes: NDArray[np.float64],
    lengths: NDArray[np.float64] | float,
    *,
    roundoff: float = FLOAT32_ROUNDOFF,
) -> NDArray[np.float64]:
    """Return the largest errors of sums of float32 products: :func:`dot_error` for many at once.

    Args:
        terms: how many rounding steps the longest chain of a sum has.
        magnitudes: ``(n,)`` bounds of the sums of the products' absolute values.
        lengths: bounds of the sums of both factors' norms.
        roundoff: unit roundoff of the arithmetic; matrix units that truncate have a larger one.

    Returns:
        ``(n,)`` absolute bounds; ``inf`` where float32 may overflow.
    """
    errors = gamma(terms + 2, roundoff) * magnitudes
    errors = errors + _FLOAT32_TINY * (2.0 * terms + math.sqrt(terms) * lengths)
    return np.where(magnitudes < _FLOAT32_SAFE, errors, np.inf)


def _vanished(dimension: int, one: float, other: float) -> float:
    """Return what underflow takes from a float32 dot product of vectors of these norms, at most.

    A product and a sum may each lose the least normal number; and an engine that takes subnormal
    inputs for zero loses that much of a coordinate, times the other vector's.
    """
    flushed = math.sqrt(dimension) * (one + other)
    return _FLOAT32_TINY * (2.0 * dimension + flushed)


def float32_floor(
    metric: Metric,
    distance: DistanceT,
    *,
    dimension: int,
    query_norm: float,
    largest_norm: float,
    smallest_norm: float = 0.0,
    one_minus: bool = False,
) -> DistanceT:
    """Return a lower bound of the exact distance of what a float32 engine put at a distance.

    A sum of rounded terms may come out of order, but never by more than its bound: a record that
    the engine ranked at or after ``distance``, or lost because its arithmetic overflowed, cannot
    truly be nearer than this.

    The bound holds for every finite query and record, if the engine computes as follows; its
    numbers are turned into distances in float64 by the caller.

    - Every step is rounded to the nearest float32, or kept wider. Sums may be made in any order,
      with or without fused multiply-add, and subnormal numbers may be taken for zero.
    - ``euclidean``: the sum of squared *differences*, or its root. The expanded form
      ``q.q - 2*q.v + v.v`` has no such bound.
    - ``dotproduct``: ``q.v`` or ``-q.v``; ``1 - q.v`` only with ``one_minus``, since that rounds
      by an absolute amount, however short the vectors are.
    - ``cosine``: ``q.v`` over the norms, the square root of either or of the product of their
      squares; or the product of vectors that were normalised first. As similarity or as 1 less it.

    Args:
        metric: the index's metric.
        distance: a distance in the contract's scale, or ``(n,)`` of them.
        dimension: length of the vectors.
        query_norm: Euclidean norm of the query as the engine was sent it.
        largest_norm: an upper bound of the norms of the records that were searched; ``euclidean``
            does without.
        smallest_norm: a lower bound of them; only ``cosine`` needs it. Without it, or with a zero
            vector among the records, a cosine distance is not bounded by what float32 computes.
        one_minus: whether the engine computes a dot product as ``1 - q.v``.

    Returns:
        The bound of each, finite: where float32 decides nothing, the least that the distance can
        be of vectors of these norms.

    Example:
        >>> norms = {"query_norm": 1.0, "largest_norm": 2.0, "smallest_norm": 0.5}
        >>> round(float32_floor("cosine", 0.25, dimension=8, **norms), 5)
        0.25
        >>> float32_floor("euclidean", float("inf"), dimension=8, **norms)
        0.0
    """
    given: Any = distance
    table = np.asarray(given, dtype=np.float64)
    with np.errstate(all="ignore"):
        if metric == "dotproduct":
            least = -query_norm * largest_norm * (1.0 + _SLACK)
            floors = table - dot_error(dimension, query_norm, largest_norm)
            if one_minus:
                floors = floors - FLOAT32_ROUNDOFF * (1.0 + np.abs(table)) * (1.0 + 2.0**-20)
        elif metric == "cosine":
            least = -_SLACK
            floors = table - _cosine_error(dimension, query_norm, smallest_norm, largest_norm)
        else:
            least = 0.0
            vanished = _FLOAT32_TINY * math.sqrt(dimension)
            # The root of what products and sums may have lost, and a term for each difference.
            shrunk = math.sqrt(max(1.0 - gamma(dimension + 8), 0.0)) * (1.0 - _SLACK)
            lost = math.sqrt(2.0 * dimension * _FLOAT32_TINY)
            floors = np.sqrt(np.maximum(table - lost, 0.0)) * np.sqrt(table + lost)
            floors = floors * shrunk - 3.0 * vanished
        least = max(_LOWEST, least)
        floors = np.where(np.isfinite(table) & np.isfinite(floors), floors, least)
        floors = np.maximum(floors, least)
    return cast(DistanceT, floors if isinstance(given, np.ndarray) else float(floors))


def _cosine_error(dimension: int, query: float, smallest: float, largest: float) -> float:
    """Return how far a cosine similarity by float32 may lie from the true one.

    Returns:
        ``inf`` where a step may overflow, or the norms are too short for their squares.
    """
    # Squares of the norms, and their product, must neither overflow nor vanish.
    least, greatest = min(query, smallest, query * smallest), max(query, largest, query * largest)
    safe = least * least > _FLOAT32_TINY and greatest * greatest < _FLOAT32_SAFE
    if not (safe and smallest <= largest):
        return math.inf
    # What each part loses to underflow, relative to what it is at least.
    parts = (
        _vanished(dimension, query, smallest) / (query * smallest),
        _vanished(dimension, query, query) / (query * query),
        _vanished(dimension, smallest, smallest) / (smallest * smallest),
        _FLOAT32_TINY / (query * smallest) ** 2,
        # Of coordinates that were divided by their norm.
        _vanished(dimension, 1.0, 1.0),
    )
    relative = gamma(dimension + 2)
    if not sum(parts) < 2.0**-4 or relative > 2.0**-2:
        return math.inf
    # The product and both norms are rounded sums; a few more steps divide and subtract.
    return gamma(2 * dimension + 16) + 4.0 * sum(parts)


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
    for block in row_blocks(count, queries.shape[1], block_bytes):
        chosen = block if rows is None else rows[block]
        dots: NDArray[np.float64] = wide @ vectors[chosen].astype(np.float64).T
        part = _bounds_of(metric, dots, query_norms, norms[chosen], relative)
        lower[:, block], upper[:, block] = part
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
