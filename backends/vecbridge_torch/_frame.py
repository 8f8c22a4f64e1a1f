"""How records and queries are brought into the range of narrow floating-point types.

In exact arithmetic a frame changes no ranking: cosine looks at unit vectors, dot products at
vectors times a power of two, euclidean distances at vectors less a common centre, times a power
of two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vecbridge import Metric
from vecbridge.local import Snapshot
from vecbridge.ranking import norms
from vecbridge_torch._scoring import ROUNDINGS

_EXPONENT_LIMIT = 300
_BLOCK_BYTES = 16 << 20


@dataclass(frozen=True)
class Framed:
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
    """Fixed when an index is first looked at; records that come later share it.

    Args:
        metric: of the index.
        snapshot: its records then.
    """

    def __init__(self, metric: Metric, snapshot: Snapshot) -> None:
        self._metric = metric
        self._centre = _centre(snapshot.vectors) if metric == "euclidean" else None
        self._scale = 1.0
        if metric == "dotproduct":
            self._scale = _power_below(float(snapshot.norms.max(initial=0.0)))
        elif self._centre is not None and len(snapshot):
            spread = float(np.mean(snapshot.norms**2)) - float(self._centre @ self._centre)
            self._scale = _power_below(math.sqrt(max(spread, 0.0)))

    def records(self, vectors: NDArray[np.float32], lengths: NDArray[np.float64]) -> Tensor:
        """``(n, d)`` float64 on the host: what the narrow type is to hold.

        Args:
            vectors: ``(n, d)`` float32.
            lengths: ``(n,)`` exact norms of them.
        """
        values = torch.from_numpy(vectors.astype(np.float64))
        if self._metric == "cosine":
            # A zero vector stays what it is, and scores 0: its cosine distance is 1.
            divisors = torch.from_numpy(np.where(lengths > 0.0, lengths, 1.0))
            return values.div_(divisors[:, None])
        if self._centre is not None:
            values.sub_(torch.from_numpy(self._centre))
        return values.mul_(self._scale)

    def queries(self, queries: NDArray[np.float32]) -> Framed:
        """Queries as the scores want them."""
        values, lengths = queries.astype(np.float64), norms(queries)
        if self._metric == "euclidean":
            if self._centre is not None:
                values -= self._centre
            values *= self._scale
            return Framed(values, _lengths(values), np.full(len(values), self._scale))
        if self._metric == "cosine":
            values /= np.where(lengths > 0.0, lengths, 1.0)[:, np.newaxis]
            return Framed(values, _lengths(values), np.ones(len(values)))
        scales = np.array([_power_below(length) for length in lengths.tolist()])
        values *= scales[:, np.newaxis]
        return Framed(values, _lengths(values), scales * self._scale)

    def floors(
        self, scores: NDArray[np.float64], framed: Framed, largest: float
    ) -> NDArray[np.float64]:
        """The least distances of records whose true scores are no larger.

        Args:
            scores: ``(q,)``.
            framed: the queries.
            largest: norm of any record in the frame.
        """
        if self._metric == "cosine":
            return 1.0 - scores - ROUNDINGS
        if self._metric == "dotproduct":
            return (-scores - ROUNDINGS * framed.lengths * largest) / framed.factors
        squares = framed.lengths**2 - 2.0 * scores
        squares -= ROUNDINGS * (framed.lengths + largest) ** 2
        found = np.sqrt(np.maximum(squares, 0.0)) / framed.factors
        return np.asarray(found * (1.0 - ROUNDINGS))


def _centre(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of the records; any point serves, but one amid them keeps the numbers small."""
    total = np.zeros(vectors.shape[1])
    rows = max(1, _BLOCK_BYTES // (8 * vectors.shape[1]))
    for start in range(0, len(vectors), rows):
        total += vectors[start : start + rows].sum(axis=0, dtype=np.float64)
    # As float32, so that a difference is rounded relative to itself and no more.
    return (total / max(len(vectors), 1)).astype(np.float32).astype(np.float64)


def _power_below(size: float) -> float:
    """The power of two that brings a size between 1/2 and 1."""
    if not size > 0.0:
        return 1.0
    _, exponent = math.frexp(size)
    return math.ldexp(1.0, -max(-_EXPONENT_LIMIT, min(exponent, _EXPONENT_LIMIT)))


def _lengths(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", values, values)))
