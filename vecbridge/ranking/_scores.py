"""Keys of pairs from one float32 matrix product, the same for both of a pair, and their error.

A *frame* changes no ranking: cosine looks at unit vectors, dot products at vectors times a power of
two, euclidean distances at vectors less their mean, times a power of two. In it

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

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge.ranking._bounds import FLOAT64_ROUNDOFF, gamma
from vecbridge.ranking._quiet import quietly

_BLOCK_BYTES = 4 << 20
_SAMPLE = 1024
_ROUNDS = 3
# What float64 arithmetic on top of the bound, and the contract's own rounding, may add.
_SLACK = 2.0**-40
_TINY = 2.0**-100


class Frame:
    """Vectors in a range that float32 products are safe in.

    Args:
        metric: of the index.
        vectors: ``(n, d)`` float32.
        norms: ``(n,)`` exact norms of them.
    """

    @quietly
    def __init__(
        self, metric: Metric, vectors: NDArray[np.float32], norms: NDArray[np.float64]
    ) -> None:
        self.metric: Metric = metric
        self._vectors, self._norms = vectors, norms
        self._centre = np.zeros(vectors.shape[1])
        self.scale = 1.0
        if metric == "cosine" or not len(vectors):
            return
        if metric == "euclidean":
            total = np.zeros(vectors.shape[1])
            for start, stop in self.blocks():
                total += vectors[start:stop].sum(axis=0, dtype=np.float64)
            self._centre = total / len(vectors)
        longest = max(float(lengths_of(self.part(slice(*ends))).max()) for ends in self.blocks())
        # A power of two that brings the longest vector near 1.
        self.scale = math.ldexp(1.0, -math.frexp(longest)[1]) if longest > 0.0 else 1.0

    @property
    def shape(self) -> tuple[int, int]:
        """How many vectors of how many dimensions."""
        return len(self._vectors), self._vectors.shape[1]

    def part(self, rows: NDArray[np.intp] | slice) -> NDArray[np.float64]:
        """Some of the vectors in the frame."""
        part = self._vectors[rows].astype(np.float64)
        if self.metric == "cosine":
            lengths = self._norms[rows, np.newaxis]
            return np.divide(part, lengths, out=part, where=lengths > 0.0)
        part -= self._centre
        part *= self.scale
        return part

    @quietly
    def directions(self, most: int) -> NDArray[np.float64]:
        """``(d, m)`` orthonormal directions in which a sample has the most length, ``m <= most``.

        By subspace iteration: a few small products, and no decomposition of the sample.
        """
        chosen = np.linspace(0, len(self._vectors) - 1, _SAMPLE).astype(np.intp)
        sample = self.part(chosen)
        found = np.random.default_rng(0).standard_normal((sample.shape[1], most))
        for _ in range(_ROUNDS):
            found = _orthonormal(sample.T @ (sample @ found))
        kept = sample @ found
        _, mixtures = np.linalg.eigh(kept.T @ kept)
        return np.ascontiguousarray((found @ mixtures)[:, ::-1])

    def blocks(self) -> list[tuple[int, int]]:
        """Ranges of rows whose float64 copies are small."""
        rows = max(1, _BLOCK_BYTES // (8 * max(self._vectors.shape[1], 1)))
        count = len(self._vectors)
        return [(start, min(start + rows, count)) for start in range(0, count, rows)]


class PairKeys:
    """Vectors ready to be multiplied with each other.

    Args:
        frame: the vectors.
        basis: ``(d, m)`` orthonormal directions of a sketch; all of them, and none, if ``None``.

    Attributes:
        is_sketch: whether keys are lower bounds only.
        errors: ``(n,)``: how far the key of a pair with that record may lie from the true one.
    """

    @quietly
    def __init__(self, frame: Frame, basis: NDArray[np.float64] | None = None) -> None:
        self._metric: Metric = frame.metric
        self._scale = frame.scale
        self.is_sketch = basis is not None
        count, dimension = frame.shape
        width = dimension if basis is None else basis.shape[1] + 1
        extra = 2 if self._metric == "euclidean" else 0
        self._left = np.empty((count, width + extra), dtype=np.float32)
        lengths = np.empty(count)
        for start, stop in frame.blocks():
            framed = frame.part(slice(start, stop))
            lengths[start:stop] = lengths_of(framed)
            self._left[start:stop, :width] = _sketched(framed, basis, lengths[start:stop])
        largest = float(lengths.max(initial=0.0))
        size = lengths * largest
        if extra:
            self._left[:, width] = -0.5 * lengths * lengths
            self._left[:, width + 1] = 1.0
            size = 0.5 * (lengths + largest) ** 2
        # The sum itself, the rounding of what is multiplied, and of half the squares.
        self.errors = (gamma(width + 24) + _SLACK) * size + _TINY

    def columns(self, rows: NDArray[np.intp] | slice) -> NDArray[np.float32]:
        """What :meth:`keys` takes on its right for some records: a copy."""
        right = -self._left[rows]
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
        """``(rows, columns)`` float32 keys; over those in ``out``, whose pages are there already.

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
        """The key of a distance; ``-inf`` where no distance is so small."""
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
    def floors(self, keys: NDArray[np.float64]) -> NDArray[np.float64]:
        """The least distances of records whose true keys are no smaller."""
        if self._metric == "cosine":
            return 1.0 + keys
        if self._metric == "dotproduct":
            return keys / self._scale**2
        return np.sqrt(2.0 * np.maximum(keys, 0.0)) / self._scale * (1.0 - _SLACK)

    @quietly
    def ceilings(self, keys: NDArray[np.float64]) -> NDArray[np.float64]:
        """The greatest distances of records whose true keys are no greater."""
        if self._metric == "euclidean":
            return np.sqrt(2.0 * np.maximum(keys, 0.0)) / self._scale * (1.0 + _SLACK)
        return self.floors(keys)


class FarKeys:
    """The same keys the other way round: the smallest are of the farthest pairs.

    Args:
        near: the keys.

    Attributes:
        errors: as of :class:`PairKeys`.
    """

    def __init__(self, near: PairKeys) -> None:
        self._near = near
        self.errors = near.errors

    def columns(self, rows: NDArray[np.intp] | slice) -> NDArray[np.float32]:
        """What :meth:`keys` takes on its right for some records: a copy."""
        right = self._near.columns(rows)
        return np.negative(right, out=right)

    def keys(
        self,
        rows: NDArray[np.intp] | slice,
        columns: NDArray[np.float32],
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """As of :class:`PairKeys`, of these columns."""
        return self._near.keys(rows, columns, out)

    def floors(self, keys: NDArray[np.float64]) -> NDArray[np.float64]:
        """Under minus the distances of records whose true keys here are no smaller."""
        return -self._near.ceilings(-keys)


def _orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the same span; twice, since once leaves what squaring has lost."""
    for _ in range(2):
        squares, mixtures = np.linalg.eigh(columns.T @ columns)
        firm = squares > squares[-1] * 2.0**-40
        columns = columns @ (mixtures[:, firm] / np.sqrt(squares[firm]))
    return columns


def lengths_of(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Norms, as float64 sums them."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))


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
