"""Dot products, by scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.metrics.pairwise import linear_kernel


def products(queries: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(q, n)`` dot products in float32."""
    if not len(queries) or not len(vectors):
        return np.zeros((len(queries), len(vectors)), dtype=np.float32)
    # The front and the store have made sure that everything is finite.
    with config_context(assume_finite=True, skip_parameter_validation=True):
        scores: Any = linear_kernel(queries, vectors)
    return np.asarray(scores)
