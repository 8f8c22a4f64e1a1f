"""The metrics in FAISS: the vectors that it is given, and the values that it gives back.

For cosine, FAISS is given unit vectors and takes inner products; for euclidean it gives squares.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecbridge import Metric

_LARGEST = 2.0**60
_SMALLEST = 2.0**-40
_BLOCK_BYTES = 8 << 20


def usable(metric: Metric, query_norms: NDArray[np.float64], largest: float) -> NDArray[np.bool_]:
    """Tell for each query whether float32 neither overflows nor loses everything.

    Args:
        metric: of the index.
        query_norms: ``(q,)`` exact norms.
        largest: norm of the records.
    """
    if metric == "cosine":
        return (query_norms > _SMALLEST) & (query_norms < _LARGEST)
    scale = query_norms * largest
    if metric == "euclidean":
        scale = (query_norms + largest) ** 2
    return (query_norms < _LARGEST) & (largest < _LARGEST) & (scale > _SMALLEST**2)


def distances_of(
    metric: Metric, values: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return FAISS's values as distances.

    Args:
        metric: of the index.
        values: squares or inner products.
        scale: for cosine, what the inner products are of the cosines.
    """
    if metric == "euclidean":
        return np.sqrt(np.maximum(values, 0.0))
    return 0.0 - values if metric == "dotproduct" else 1.0 - values / scale


def unit_vectors(vectors: NDArray[np.float32], norms: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return vectors over their norms, each component rounded once; zero vectors stay zero."""
    units = np.empty(vectors.shape, dtype=np.float32)
    factors = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0.0)
    rows = max(1, _BLOCK_BYTES // (8 * vectors.shape[1]))
    for start in range(0, len(vectors), rows):
        part = slice(start, start + rows)
        units[part] = vectors[part] * factors[part, np.newaxis]
    return units
