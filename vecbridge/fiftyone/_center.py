"""The center of a run: what is subtracted from its vectors before they are compared by angle.

FiftyOne's sklearn backend subtracts the mean of all vectors of an index, where it computes all
distances between them. A run that is adopted with that ranking keeps the mean, and its index holds
the vectors without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vecbridge import DimensionError, Metric

CENTERED_AT_MOST = 15_000
"""Vectors of which FiftyOne computes all distances; a larger index it does not center."""


def is_centered_by_fiftyone(metric: Metric, count: int) -> bool:
    """Return whether the neighbours of so many records depend on their mean in FiftyOne.

    A Euclidean distance is the same with and without it.
    """
    return metric == "cosine" and 0 < count <= CENTERED_AT_MOST


def less_center(config: Any, vectors: Any) -> Any:
    """Return vectors, ``(n, d)``, as the index of a run holds and is asked for them.

    Raises:
        DimensionError: they are of another length than the center.
    """
    if config.center is None:
        return vectors
    rows = np.asarray(vectors, dtype=np.float64)
    if rows.shape[-1:] != (len(config.center),):
        raise DimensionError(
            f"the vectors of this run have {len(config.center)} values; got shape {rows.shape}"
        )
    return np.asarray(rows - np.asarray(config.center), dtype=np.float32)


def with_center(config: Any, vectors: Any) -> Any:
    """Return the vectors of an index, ``(n, d)``, as they were given, to within a rounding."""
    if config.center is None or not len(vectors):
        return vectors
    return np.asarray(vectors + np.asarray(config.center), dtype=np.float32)
