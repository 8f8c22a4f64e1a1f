"""Dot products, by scikit-learn."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.metrics.pairwise import linear_kernel

Float = TypeVar("Float", np.float32, np.float64)


def products(queries: NDArray[Float], vectors: NDArray[Float]) -> NDArray[Float]:
    """``(q, n)`` dot products, in the precision of what is given."""
    if not len(queries) or not len(vectors):
        return np.zeros((len(queries), len(vectors)), dtype=vectors.dtype)
    # The front and the store have made sure that everything is finite.
    with config_context(assume_finite=True, skip_parameter_validation=True):
        scores: Any = linear_kernel(queries, vectors)
    return np.asarray(scores)
