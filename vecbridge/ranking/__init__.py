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
from vecbridge.ranking._double import Bounds, float64_bounds
from vecbridge.ranking._kernel import distance_matrix, distances, norms
from vecbridge.ranking._order import rank
from vecbridge.ranking._pairs import Pairs, Shortlists
from vecbridge.ranking._pick import SPARE, Pick, pick_by_bounds, pick_by_keys
from vecbridge.ranking._select import smallest_columns
from vecbridge.ranking._single import Float32Keys

__all__ = [
    "FLOAT32_ROUNDOFF",
    "FLOAT64_ROUNDOFF",
    "SPARE",
    "Bounds",
    "Float32Keys",
    "Pairs",
    "Pick",
    "Shortlists",
    "distance_matrix",
    "distances",
    "dot_error",
    "float32_floor",
    "float64_bounds",
    "gamma",
    "norms",
    "pick_by_bounds",
    "pick_by_keys",
    "rank",
    "smallest_columns",
]
