"""Exact ranking: the definition of distance and order, and the error bounds that prove it.

For authors of backends, and for anybody who wants to check a ranking by hand.
"""

from __future__ import annotations

from vecbridge.ranking._bounds import (
    FLOAT32_ROUNDOFF,
    FLOAT64_ROUNDOFF,
    dot_error,
    float32_floor,
    gamma,
)
from vecbridge.ranking._kernel import distance_matrix, distances, norms
from vecbridge.ranking._order import rank
from vecbridge.ranking._select import smallest_columns

__all__ = [
    "FLOAT32_ROUNDOFF",
    "FLOAT64_ROUNDOFF",
    "distance_matrix",
    "distances",
    "dot_error",
    "float32_floor",
    "gamma",
    "norms",
    "rank",
    "smallest_columns",
]
