"""Keys of pairs from one float32 matrix product, the same for both of a pair, and their error.

In a frame (:class:`vecbridge.ranking.Frame`)

=========== ======================= =======================
metric      key                     distance
=========== ======================= =======================
cosine      ``-u.w``                ``1 + key``
dotproduct  ``-s**2 q.v``           ``key / s**2``
euclidean   ``s**2 |q - v|**2 / 2`` ``sqrt(2 * key) / s``
=========== ======================= =======================

A *sketch* keeps the few directions in which vectors differ most, and of the rest its length alone:
by Cauchy and Schwarz ``x.y <= px.py + |rx| |ry|``, so its keys are lower bounds, and it takes a
fraction of the products.
"""

from __future__ import annotations

import math
from copy import copy

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge.ranking._bounds import FLOAT64_ROUNDOFF, gamma, sum_errors
from vecbridge.ranking._float32 import BLOCK_BYTES, SLACK, Frame, lengths_of
from vecbridge.ranking._kernel import quietly, row_blocks

# Norms of vectors in a frame and of the columns beside them, both sides.
_AUGMENTED = 4.0


class PairKeys:
    """Vectors ready to be multiplied with each other.

    Args:
        frame: of the vectors.
        vectors: ``(n, d)`` float32; not kept.
        norms: ``(n,)`` exact norms of them.
        basis: ``(d, m)`` orthonormal directions of a sketch; all of them, and none, if ``None``.

    Attributes:
        is_sketch: whether keys are lower bounds only.
        is_reversed: whether the smallest keys are of the farthest pairs.
        errors: ``(n,)``: how far the key of a pair with that record may lie from the true one.
    """

    @quietly
    def __init__(
        self,
        frame: Frame,
        vectors: NDArray[np.float32],
        norms: NDArray[np.float64],
        basis: NDArray[np.float64] | None = None,
    ) -> None:
        self._metric: Metric = frame.metric
        self._scale = frame.scale
        self.is_reversed = False
        self.is_sketch = basis is not None
        count, dimension = vectors.shape
        width = dimension if basis is None else basis.shape[1] + 1
        extra = 2 if self._metric == "euclidean" else 0
        self._left = np.empty((count, width + extra), dtype=np.float32)
        lengths = np.empty(count)
        for part in row_blocks(count, dimension, BLOCK_BYTES):
            framed = frame.records(vectors[part], norms[part])
            lengths[part] = lengths_of(framed)
            self._left[part, :width] = _sketched(framed, basis, lengths[part])
        largest = float(lengths.max(initial=0.0))
        size = lengths * largest
        if extra:
            self._left[:, width] = -0.5 * lengths * lengths
            self._left[:, width + 1] = 1.0
            size = 0.5 * (lengths + largest) ** 2
        # The sum itself, the rounding of what is multiplied, and of half the squares.
        self.errors = sum_errors(width + 22, size, _AUGMENTED) + SLACK * size

    def reversed(self) -> PairKeys:
        """Return the same keys the other way round: the smallest are of the farthest pairs."""
        other = copy(self)
        other.is_reversed = not self.is_reversed
        return other

    def columns(self, rows: NDArray[np.intp] | slice) -> NDArray[np.float32]:
        """Return what :meth:`keys` takes on its right for some records: a copy."""
        right = np.array(self._left[rows])
        if not self.is_reversed:
            np.negative(right, out=right)
        if self._metric == "euclidean":
            right[:, [-2, -1]] = right[:, [-1, -2]]
        return right

    @quietly
    def keys(
        self,
        rows: NDArray[np.intp] | slice,
        columns: NDArray[np.float32],
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Return ``(rows, columns)`` float32 keys, in the memory of ``out`` where that is given.

        Args:
            rows: which records.
            columns: others, from :meth:`columns`.
            out: at least as many values as are wanted.
        """
        left = self._left[rows]
        table = None
        if out is not None:
            table = out.ravel()[: len(left) * len(columns)].reshape(len(left), len(columns))
        return np.matmul(left, columns.T, out=table)

    def key_of(self, limit: float) -> float:
        """Return the key of a distance; ``-inf`` where no distance is so small."""
        if math.isinf(limit):
            return limit
        if self._metric == "cosine":
            return limit - 1.0
        if self._metric == "dotproduct":
            return limit * self._scale**2
        # A product that overflows is infinite, where a power raises OverflowError.
        reach = limit * self._scale
        return 0.5 * reach * reach if limit >= 0.0 else -math.inf

    @quietly
    def lower_bounds(self, keys: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the least distances of records whose true keys are no smaller.

        Of keys the other way round, the least of *minus* the distances.
        """
        sign = -1.0 if self.is_reversed else 1.0
        if self._metric == "cosine":
            return sign + keys
        if self._metric == "dotproduct":
            return keys / self._scale**2
        distances = np.sqrt(2.0 * np.maximum(sign * keys, 0.0)) / self._scale
        return np.asarray(sign * (distances * (1.0 - sign * SLACK)))


def _sketched(
    framed: NDArray[np.float64], basis: NDArray[np.float64] | None, lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    if basis is None:
        return framed
    kept = framed @ basis
    squares = lengths * lengths
    # Never shorter than the rest truly is, whatever rounding has done to the difference.
    rest = squares - np.einsum("ij,ij->i", kept, kept)
    astray = float(np.linalg.norm(basis.T @ basis - np.eye(basis.shape[1])))
    astray += gamma(4 * framed.shape[1] + 64, FLOAT64_ROUNDOFF)
    rest = np.maximum(rest, 0.0) + 4.0 * astray * squares
    return np.column_stack([kept, np.sqrt(rest) * (1.0 + 2.0**-23)])
