"""How far a float32 engine's distance may lie from the exact one.

Standard forward error analysis (N. J. Higham, *Accuracy and Stability of Numerical Algorithms*,
2nd ed., section 3.1): a sum of ``n`` rounded products, in whatever order, is off by at most
``gamma(n) * sum(|x_i * y_i|)``, with ``gamma(n) = n*u / (1 - n*u)`` and ``u`` the unit roundoff.
The bounds hold for any order of summation and with or without fused multiply-add, so they hold for
every BLAS and every server.
"""

from __future__ import annotations

import math
from typing import overload

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric

FLOAT32_ROUNDOFF = 2.0**-24
"""Unit roundoff of float32: the largest relative error of one rounding to nearest."""

FLOAT64_ROUNDOFF = 2.0**-53
"""Unit roundoff of float64."""

_FLOAT32_TINY = 2.0**-126
_FLOAT32_SAFE = 2.0**126


def gamma(terms: int, roundoff: float = FLOAT32_ROUNDOFF) -> float:
    """Relative error bound of a sum of ``terms`` rounded products.

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
    """Largest error of a computed dot product: ``gamma(d) * |q| * |v|``, and underflow.

    Returns:
        An absolute bound; ``inf`` where float32 may overflow.
    """
    magnitude = query_norm * vector_norm
    if roundoff == FLOAT32_ROUNDOFF and not magnitude < _FLOAT32_SAFE:
        return math.inf
    underflow = dimension * _FLOAT32_TINY if roundoff == FLOAT32_ROUNDOFF else 0.0
    return gamma(dimension + 2, roundoff) * magnitude + underflow


@overload
def float32_floor(
    metric: Metric, distance: float, *, dimension: int, query_norm: float, largest_norm: float
) -> float: ...
@overload
def float32_floor(
    metric: Metric,
    distance: NDArray[np.float64],
    *,
    dimension: int,
    query_norm: float,
    largest_norm: float,
) -> NDArray[np.float64]: ...
def float32_floor(
    metric: Metric,
    distance: float | NDArray[np.float64],
    *,
    dimension: int,
    query_norm: float,
    largest_norm: float,
) -> float | NDArray[np.float64]:
    """Lower bound of the exact distance of a record that a float32 engine put at ``distance``.

    Rounding is monotone nowhere, but bounded everywhere: a record that the engine ranked at or
    after ``distance`` cannot truly be nearer than this.

    Args:
        metric: the index's metric.
        distance: a distance in the contract's scale, or ``(n,)`` of them, computed by the engine in
            float32 from the definition (for euclidean: a sum of squared *differences*; the expanded
            form ``q.q - 2*q.v + v.v`` has no such bound).
        dimension: length of the vectors.
        query_norm: Euclidean norm of the query.
        largest_norm: an upper bound of the norms of the records; only ``dotproduct`` needs it.

    Returns:
        The bound of each; ``-inf`` where float32 decides nothing.
    """
    table = np.asarray(distance, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if metric == "dotproduct":
            floors = table - dot_error(dimension, query_norm, largest_norm)
        elif metric == "cosine":
            # The product and both norms are rounded sums; a few more steps divide and subtract.
            floors = table - gamma(2 * dimension + 16)
        else:
            squares = table * table * (1.0 - gamma(dimension + 8)) - dimension * _FLOAT32_TINY
            floors = np.sqrt(np.maximum(squares, 0.0))
    floors = np.where(np.isfinite(floors), floors, -math.inf)
    return floors if isinstance(distance, np.ndarray) else float(floors)
