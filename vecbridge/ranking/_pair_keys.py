"""Keys of pairs from one float32 matrix product, the same for both of a pair, and their error.

In a frame (:class:`vecbridge.ranking.Frame`)

=========== ======================= =======================
metric      key                     distance
=========== ======================= =======================
cosine      ``-u.w``                ``1 + key``
dotproduct  ``-s**2 q.v``           ``key / s**2``
euclidean   ``s**2 |q - v|**2 / 2`` ``sqrt(2 * key) / s``
=========== ======================= =======================

A *sketch* keeps the few directions in which vectors differ most, and of the rest its length alone,
so its products take a fraction. Let ``U`` have orthonormal columns and ``r(x) = |x - UU'x|``. The
points ``z(x) = (U'x, r(x))`` are no farther apart than the vectors, since ``|r(x) - r(y)|`` is at
most the length of the rest of ``x - y``; and by Cauchy and Schwarz ``x.y <= z(x).z(y)``, so keys of
points are lower bounds of true keys.

A basis ``Q`` in float64 is not quite orthonormal, and products are rounded. Let ``a`` bound
``|Q'Q - I|`` and the errors of ``Q'x``, relative to ``|x|``, with ``U`` the orthonormal factor of
``Q`` nearest to it, so that ``|Q - U| <= |Q'Q - I|``. Each of the ``m`` coordinates of ``Q'x`` is
off by ``gamma(d)|x|`` at most, and all of them by ``sqrt(m)`` times that; ``|Q'Q - I|`` itself is
computed with an error of ``m gamma(d)``. Then ``|x|**2 - |Q'x|**2`` is off by
``(2 + a) a |x|**2`` and the rounding of two sums, less than ``4 a |x|**2``: added, it makes the
rest never shorter than it is, and longer by ``sqrt(8 a) |x|`` at most. That, ``a |x|`` for the
other coordinates and the rounding to float32 is how far a point may lie from ``z(x)``.
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
from vecbridge.ranking._threads import workers

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
        lengths: ``(n,)``: norms in the frame.
        largest: the largest of them.
        slack: by how much two points may be farther apart than the vectors in the frame.
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
        self.width = dimension if basis is None else basis.shape[1] + 1
        extra = 2 if self._metric == "euclidean" else 0
        self._left = np.empty((count, self.width + extra), dtype=np.float32)
        self.lengths = np.empty(count)
        astray = 0.0 if basis is None else _astray(basis)

        @quietly
        def fill(part: slice) -> None:
            framed = frame.records(vectors[part], norms[part])
            self.lengths[part] = lengths_of(framed)
            if basis is None:
                self._left[part, : self.width] = framed
            else:
                self._left[part, : self.width] = _sketched(
                    framed, basis, self.lengths[part], astray
                )

        with workers() as pool:
            for _ in pool.map(fill, row_blocks(count, dimension, BLOCK_BYTES)):
                pass
        self.largest = float(self.lengths.max(initial=0.0))
        size = self.lengths * self.largest
        if extra:
            self._left[:, self.width] = -0.5 * self.lengths * self.lengths
            self._left[:, self.width + 1] = 1.0
            size = 0.5 * (self.lengths + self.largest) ** 2
        # The sum itself, the rounding of what is multiplied, and of half the squares.
        self.errors = sum_errors(self.width + 22, size, _AUGMENTED) + SLACK * size
        # Of both points; a coordinate may lose what float32 cannot hold.
        moved = 4.0 * math.sqrt(astray) + astray + 2.0**-21
        self.slack = 2.0 * (moved * self.largest + math.sqrt(self.width) * 2.0**-149)

    @property
    def points(self) -> NDArray[np.float32]:
        """``(n, w)``: the points, as far apart as the vectors in the frame, or nearer."""
        return self._left[:, : self.width]

    def reorder(self, rows: NDArray[np.intp]) -> None:
        """Put the records in another order: row ``i`` becomes what row ``rows[i]`` was."""
        self._left = self._left[rows]
        self.errors, self.lengths = self.errors[rows], self.lengths[rows]

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
    def most_of(self, limit: float) -> NDArray[np.float32]:
        """Return what no computed key of a pair within a distance exceeds, by either record."""
        # One float32 step more, since the bound itself is rounded.
        bounds = (self.key_of(limit) + self.errors).astype(np.float32)
        return np.asarray(np.nextafter(bounds, np.float32(np.inf)))

    @quietly
    def least_of(self, limit: float) -> NDArray[np.float32]:
        """Return below what computed key a pair is within a distance for sure; not of a sketch."""
        bounds = (self.key_of(limit) - self.errors).astype(np.float32)
        return np.asarray(np.nextafter(bounds, np.float32(-np.inf)))

    def reach_of(self, limit: float, one: float, other: float) -> float:
        """Return how far apart in the frame two vectors within a distance can be.

        Args:
            limit: the distance.
            one: the largest norm in the frame that the first may have.
            other: that the second may have.
        """
        if self._metric == "cosine":
            squared = 2.0 * (limit + SLACK)
        elif self._metric == "dotproduct":
            # |x - y|**2 = |x|**2 + |y|**2 - 2 x.y
            squared = one * one + other * other + 2.0 * (self.key_of(limit) + SLACK * one * other)
        else:
            squared = 2.0 * self.key_of(limit)
        return math.sqrt(max(squared, 0.0)) * (1.0 + SLACK) + SLACK * (one + other)

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


def _astray(basis: NDArray[np.float64]) -> float:
    """Return the ``a`` of the proof above."""
    dimension, count = basis.shape
    defect = float(np.linalg.norm(basis.T @ basis - np.eye(count)))
    rounded = gamma(dimension + 64, FLOAT64_ROUNDOFF)
    return float(defect + (count + math.sqrt(count) + 4.0) * rounded)


def _sketched(
    framed: NDArray[np.float64],
    basis: NDArray[np.float64],
    lengths: NDArray[np.float64],
    astray: float,
) -> NDArray[np.float64]:
    points = np.empty((len(framed), basis.shape[1] + 1))
    kept = np.matmul(framed, basis, out=points[:, :-1])
    squares = lengths * lengths
    rest = np.maximum(squares - np.einsum("ij,ij->i", kept, kept), 0.0) + 4.0 * astray * squares
    # Rounding to float32 must not make it shorter.
    np.multiply(np.sqrt(rest), 1.0 + 2.0**-23, out=points[:, -1])
    return points
