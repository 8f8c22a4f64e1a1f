"""An independent oracle: the contract's ranking in twenty lines of numpy, sharing no code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def fold(terms: Any) -> Any:
    """Sums rows in the fixed order: pad to a power of two, add the second half to the first."""
    width = 1
    while width < terms.shape[1]:
        width *= 2
    terms = np.pad(terms, [(0, 0), (0, width - terms.shape[1])])
    while width > 1:
        width //= 2
        terms = terms[:, :width] + terms[:, width : 2 * width]
    return terms[:, 0]


def oracle_distances(metric: str, query: Any, vectors: Any) -> Any:
    """Distances of one query to all vectors, in float64."""
    q, v = np.asarray(query, np.float64)[None, :], np.asarray(vectors, np.float64)
    if metric == "euclidean":
        return np.sqrt(fold((q - v) ** 2))
    dots = fold(q * v)
    if metric == "dotproduct":
        return np.where(dots == 0, 0.0, -dots)
    scale = np.sqrt(fold(q * q)) * np.sqrt(fold(v * v))
    return np.array([1.0 - d / s if s > 0 else 1.0 for d, s in zip(dots, scale, strict=True)])


def oracle(
    metric: str, ids: Sequence[str], vectors: Any, query: Any, k: int, *, farthest: bool = False
) -> tuple[tuple[str, ...], list[float]]:
    """The ``k`` best ids and distances, ordered by (distance, id)."""
    sign = -1.0 if farthest else 1.0
    table = oracle_distances(metric, query, vectors).tolist()
    ranked = sorted(zip(table, ids, strict=True), key=lambda pair: (sign * pair[0], pair[1]))[:k]
    return tuple(name for _, name in ranked), [distance for distance, _ in ranked]
