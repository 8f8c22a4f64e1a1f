"""Exact ranking: the definition of distance and order, and the error bounds that prove it.

For authors of backends, and for checking a ranking by hand.
"""

from __future__ import annotations

from vecbridge.ranking._blocked import PairBudgets, PairWork
from vecbridge.ranking._bounds import (
    FLOAT32_ROUNDOFF,
    FLOAT64_ROUNDOFF,
    Bounds,
    dot_error,
    float32_floor,
    float64_bounds,
    gamma,
    sum_errors,
)
from vecbridge.ranking._engine import (
    UNCERTIFIED,
    EngineGeometry,
    ScoreForm,
    SentQuery,
    difference_bounds,
)
from vecbridge.ranking._float32 import Float32Keys, Frame, FramedQueries
from vecbridge.ranking._kernel import distance_matrix, distances, norms, pair_distances
from vecbridge.ranking._pairs import Pairs
from vecbridge.ranking._recall import meets_recall, queries_beside, shares_found
from vecbridge.ranking._topk import (
    SPARE,
    Pick,
    ids_at,
    pick_by_bounds,
    pick_by_keys,
    rank,
    smallest_columns,
)

__all__ = [
    "FLOAT32_ROUNDOFF",
    "FLOAT64_ROUNDOFF",
    "SPARE",
    "UNCERTIFIED",
    "Bounds",
    "EngineGeometry",
    "Float32Keys",
    "Frame",
    "FramedQueries",
    "PairBudgets",
    "PairWork",
    "Pairs",
    "Pick",
    "ScoreForm",
    "SentQuery",
    "difference_bounds",
    "distance_matrix",
    "distances",
    "dot_error",
    "float32_floor",
    "float64_bounds",
    "gamma",
    "ids_at",
    "meets_recall",
    "norms",
    "pair_distances",
    "pick_by_bounds",
    "pick_by_keys",
    "queries_beside",
    "rank",
    "shares_found",
    "smallest_columns",
    "sum_errors",
]
