"""The geometry of float32 products: keys with one error bound for all records, and frames.

A *key* orders the records like their distances, needs one pass over the products, and lies within
``error`` of the true key:

=========== =========================== =======================================
metric      key                         distance
=========== =========================== =======================================
dotproduct  ``-q.v``                    the key
cosine      ``-q.v / |v|``              ``1 + key / |q|``
euclidean   ``|v|**2 / 2 - q.v``        ``sqrt(|q|**2 + 2 * key)``
=========== =========================== =======================================

A *frame* brings vectors into the range that narrow numbers hold, and changes no ranking: cosine
looks at unit vectors, dot products at vectors times a power of two, euclidean distances at vectors
less a common centre, times a power of two.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge.ranking._bounds import FLOAT32_ROUNDOFF, dot_error, gamma
from vecbridge.ranking._kernel import norms as exact_norms
from vecbridge.ranking._kernel import quietly, row_blocks

_LARGEST = 2.0**60
_SMALLEST = 2.0**-60
# What float64 arithmetic on top of the bound, and the contract's own rounding, may add.
SLACK = 2.0**-40
BLOCK_BYTES = 4 << 20
_EXPONENT_LIMIT = 300


class FramedQueries(NamedTuple):
    """Queries in a frame.

    Attributes:
        values: ``(q, d)`` float64.
        lengths: ``(q,)`` norms of ``values``.
        factors: ``(q,)``: by what a score is larger than in the contract's scale.
    """

    values: NDArray[np.float64]
    lengths: NDArray[np.float64]
    factors: NDArray[np.float64]


class Frame:
    """A change of coordinates, made for some records; records that come later may share it.

    Args:
        metric: of the index.
        vectors: ``(n, d)`` float32; not kept.
        norms: ``(n,)`` exact norms of them.

    Attributes:
        metric: of the index.
        scale: by what vectors are multiplied, a power of two; 1 for cosine.
    """

    @quietly
    def __init__(
        self, metric: Metric, vectors: NDArray[np.float32], norms: NDArray[np.float64]
    ) -> None:
        self.metric: Metric = metric
        self.scale = 1.0
        self._centre: NDArray[np.float64] | None = None
        if metric == "cosine" or not len(vectors):
            return
        longest = float(norms.max())
        if metric == "euclidean":
            total = np.zeros(vectors.shape[1])
            parts = row_blocks(len(vectors), vectors.shape[1], BLOCK_BYTES)
            for part in parts:
                total += vectors[part].sum(axis=0, dtype=np.float64)
            self._centre = total / len(vectors)
            framed = (self.records(vectors[part], norms[part]) for part in parts)
            longest = max(float(lengths_of(values).max()) for values in framed)
        self.scale = power_of_two_for(longest)

    def records(
        self, vectors: NDArray[np.float32], norms: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return records in the frame: ``(n, d)``. A zero vector stays what it is under cosine.

        Args:
            vectors: ``(n, d)`` float32.
            norms: ``(n,)`` exact norms of them.
        """
        values = vectors.astype(np.float64)
        if self.metric == "cosine":
            lengths = norms[:, np.newaxis]
            return np.divide(values, lengths, out=values, where=lengths > 0.0)
        if self._centre is not None:
            values -= self._centre
        values *= self.scale
        return values

    @quietly
    def queries(self, queries: NDArray[np.float32]) -> FramedQueries:
        """Return queries in the frame; a dot product's are brought to length 1/2 to 1, too."""
        values = queries.astype(np.float64)
        if self.metric == "euclidean":
            if self._centre is not None:
                values -= self._centre
            values *= self.scale
            return FramedQueries(values, lengths_of(values), np.full(len(values), self.scale))
        lengths = exact_norms(queries)
        if self.metric == "cosine":
            values /= np.where(lengths > 0.0, lengths, 1.0)[:, np.newaxis]
            return FramedQueries(values, lengths_of(values), np.ones(len(values)))
        scales = np.array([power_of_two_for(length) for length in lengths.tolist()])
        values *= scales[:, np.newaxis]
        return FramedQueries(values, lengths_of(values), scales * self.scale)

    @quietly
    def lower_bounds(
        self, scores: NDArray[np.float64], framed: FramedQueries, largest: float
    ) -> NDArray[np.float64]:
        """Return the least distances of records whose true scores are no larger.

        Args:
            scores: ``(q,)`` of dot products in the frame, less half the squared norm of the record
                for euclidean: a larger one is nearer.
            framed: the queries.
            largest: norm of any record in the frame.
        """
        if self.metric == "cosine":
            return 1.0 - scores - SLACK
        if self.metric == "dotproduct":
            return (-scores - SLACK * framed.lengths * largest) / framed.factors
        squares = framed.lengths**2 - 2.0 * scores
        squares -= SLACK * (framed.lengths + largest) ** 2
        found = np.sqrt(np.maximum(squares, 0.0)) / framed.factors
        return np.asarray(found * (1.0 - SLACK))


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
        """Tell whether nothing can overflow or vanish in float32; the bounds below rely on it."""
        if not _SMALLEST < query_norm < _LARGEST or not self._largest < _LARGEST:
            return False
        return self._metric != "cosine" or self._smallest > _SMALLEST

    @quietly
    def keys(self, products: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the keys of the records that the norms are of.

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
        """Return how far a key may lie from the true one."""
        if self._metric == "cosine":
            # The dot product over |v|; the reciprocal norm and the product are rounded once each.
            underflow = dot_error(self._dimension, 0.0, 0.0) / self._smallest
            return query_norm * gamma(self._dimension + 8) * (1.0 + SLACK) + underflow
        error = dot_error(self._dimension, query_norm, self._largest)
        if self._metric == "euclidean":
            # Half the squared norm is rounded, and so is the difference.
            half = 0.5 * self._largest * self._largest
            error += 3.0 * FLOAT32_ROUNDOFF * (half + query_norm * self._largest)
        return error * (1.0 + SLACK)

    def lower_bound(self, key: float, error: float, query_norm: float) -> float:
        """Return a lower bound of the distance of a record whose key is at least ``key``."""
        key -= error
        if self._metric == "dotproduct":
            return key - SLACK * query_norm * self._largest
        if self._metric == "cosine":
            return 1.0 + key / query_norm - SLACK
        squared = query_norm * query_norm + 2.0 * key
        squared -= SLACK * (query_norm + self._largest) ** 2
        return math.sqrt(squared) * (1.0 - SLACK) if squared > 0.0 else 0.0

    def upper_bound(self, key: float, error: float, query_norm: float) -> float:
        """Return an upper bound of the distance of a record whose key is at most ``key``."""
        key += error
        if self._metric == "dotproduct":
            return key + SLACK * query_norm * self._largest
        if self._metric == "cosine":
            return 1.0 + key / query_norm + SLACK
        squared = query_norm * query_norm + 2.0 * key
        squared += SLACK * (query_norm + self._largest) ** 2
        return math.sqrt(max(squared, 0.0)) * (1.0 + SLACK)

    @quietly
    def key_within(self, radius: float, query_norm: float) -> np.float32:
        """Return a key that no computed key of a record within the distance exceeds."""
        error = self.error(query_norm)
        if self._metric == "dotproduct":
            limit = radius + error + SLACK * query_norm * self._largest
        elif self._metric == "cosine":
            limit = (radius - 1.0 + SLACK) * query_norm + error
        else:
            # A product that overflows is infinite, where a power raises OverflowError.
            reach = max(radius, 0.0) * (1.0 + SLACK)
            slack = SLACK * (query_norm + self._largest) ** 2
            limit = 0.5 * (reach * reach - query_norm * query_norm + slack) + error
        # One float32 step up: the limit itself is rounded.
        key: np.float32 = np.nextafter(np.float32(limit), np.float32(np.inf))
        return key

    @quietly
    def native(self, keys: NDArray[np.float32], query_norm: float) -> NDArray[np.float64]:
        """Return keys as distances."""
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


def lengths_of(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return norms, as float64 sums them."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))


def power_of_two_for(length: float) -> float:
    """Return the power of two that brings a length between 1/2 and 1."""
    if not length > 0.0:
        return 1.0
    _, exponent = math.frexp(length)
    return math.ldexp(1.0, -max(-_EXPONENT_LIMIT, min(exponent, _EXPONENT_LIMIT)))
