"""Ranking by float32 products, with one error bound for all records.

A *key* orders the records like their distances, needs one pass over the products, and lies within
``error`` of the true key:

=========== =========================== =======================================
metric      key                         distance
=========== =========================== =======================================
dotproduct  ``-q.v``                    the key
cosine      ``-q.v / |v|``              ``1 + key / |q|``
euclidean   ``|v|**2 / 2 - q.v``        ``sqrt(|q|**2 + 2 * key)``
=========== =========================== =======================================
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge.ranking._bounds import FLOAT32_ROUNDOFF, dot_error, gamma
from vecbridge.ranking._quiet import quietly

_LARGEST = 2.0**60
_SMALLEST = 2.0**-60
# What float64 arithmetic on top of the bound, and the contract's own rounding, may add.
_SLACK = 2.0**-40


class Float32Keys:
    """Keys from an engine's float32 dot products.

    Holds what is worth keeping between searches, and no view of the records.

    Args:
        metric: of the index.
        dimension: of its vectors.
        norms: ``(n,)`` float64, exact.

    Attributes:
        per_record: ``(n,)`` float32: ``-1 / |v|`` for cosine, ``|v|**2 / 2`` for euclidean;
            ``None`` for dotproduct, and where nothing is usable.
    """

    @quietly
    def __init__(self, metric: Metric, dimension: int, norms: NDArray[np.float64]) -> None:
        self._metric = metric
        self._dimension = dimension
        self._largest = float(norms.max(initial=0.0))
        positive = norms[norms > 0.0]
        self._smallest = float(positive.min()) if len(positive) else 1.0
        self.per_record = self._scales(norms) if self.usable(1.0) else None

    def usable(self, query_norm: float) -> bool:
        """Whether nothing can overflow or vanish in float32; the bounds below rely on it."""
        if not _SMALLEST < query_norm < _LARGEST or not self._largest < _LARGEST:
            return False
        return self._metric != "cosine" or self._smallest > _SMALLEST

    @quietly
    def keys(self, products: NDArray[np.float32]) -> NDArray[np.float32]:
        """Keys of the records that the norms are of.

        Args:
            products: ``(q, n)`` dot products in float32, overwritten.
        """
        scales = self.per_record
        if self._metric == "dotproduct" or scales is None:
            return np.negative(products, out=products)
        if self._metric == "cosine":
            return np.multiply(products, scales, out=products)
        return np.subtract(scales, products, out=products)

    def error(self, query_norm: float) -> float:
        """How far a key may lie from the true one."""
        if self._metric == "cosine":
            # The dot product over |v|; the reciprocal norm and the product are rounded once each.
            underflow = dot_error(self._dimension, 0.0, 0.0) / self._smallest
            return query_norm * gamma(self._dimension + 8) * (1.0 + _SLACK) + underflow
        error = dot_error(self._dimension, query_norm, self._largest)
        if self._metric == "euclidean":
            # Half the squared norm is rounded, and so is the difference.
            half = 0.5 * self._largest * self._largest
            error += 3.0 * FLOAT32_ROUNDOFF * (half + query_norm * self._largest)
        return error * (1.0 + _SLACK)

    def floor(self, key: float, error: float, query_norm: float) -> float:
        """Lower bound of the distance of a record whose computed key is at least ``key``."""
        key -= error
        if self._metric == "dotproduct":
            return key - _SLACK * query_norm * self._largest
        if self._metric == "cosine":
            return 1.0 + key / query_norm - _SLACK
        squared = query_norm * query_norm + 2.0 * key
        squared -= _SLACK * (query_norm + self._largest) ** 2
        return math.sqrt(squared) * (1.0 - _SLACK) if squared > 0.0 else 0.0

    def ceiling(self, key: float, error: float, query_norm: float) -> float:
        """Upper bound of the distance of a record whose computed key is at most ``key``."""
        key += error
        if self._metric == "dotproduct":
            return key + _SLACK * query_norm * self._largest
        if self._metric == "cosine":
            return 1.0 + key / query_norm + _SLACK
        squared = query_norm * query_norm + 2.0 * key
        squared += _SLACK * (query_norm + self._largest) ** 2
        return math.sqrt(max(squared, 0.0)) * (1.0 + _SLACK)

    @quietly
    def native(self, keys: NDArray[np.float32], query_norm: float) -> NDArray[np.float64]:
        """Keys as distances."""
        wide = keys.astype(np.float64)
        if self._metric == "dotproduct":
            return wide + 0.0
        if self._metric == "cosine":
            return 1.0 + wide / query_norm
        return np.sqrt(np.maximum(query_norm * query_norm + 2.0 * wide, 0.0))

    def _scales(self, norms: NDArray[np.float64]) -> NDArray[np.float32] | None:
        if self._metric == "euclidean":
            return (0.5 * norms * norms).astype(np.float32)
        if self._metric == "cosine":
            # A zero vector's cosine similarity is 0, so its factor is too.
            factors = np.divide(-1.0, norms, out=np.zeros_like(norms), where=norms > 0.0)
            return factors.astype(np.float32)
        return None
