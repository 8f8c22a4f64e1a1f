"""What a store's float32 engine can be trusted with, and how its scores read.

An engine may drop zero vectors from cosine searches, and lose any record whose score overflows or
vanishes in float32, without a word. So a backend sends queries of a safe norm, keeps searches to a
band of the records' norms, and ranks the few records outside of it itself; this module says what
is safe, turns scores into distances, and bounds the distances of the records that were left out.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge.ranking._bounds import FLOAT32_ROUNDOFF, float32_floor, gamma
from vecbridge.ranking._float32 import lengths_of
from vecbridge.ranking._kernel import norms, quietly

ScoreForm: TypeAlias = Literal["distance", "squared", "similarity", "negative", "one-minus"]
"""How a store gives its scores: the distance itself; its square; a similarity or inner product, of
which a larger one is nearer; minus that; or 1 less it."""

UNCERTIFIED = -1e300
"""A lower bound that certifies nothing, and is still finite: looking at everything would decide."""

_TINY = 2.0**-120
# What a cache of the processor holds while differences are squared.
_BLOCK_BYTES = 1 << 18
_BANDS: dict[Metric, tuple[float, float]] = {
    # Squares of norms and of differences of vectors stay far inside of 2**-126 to 2**127.
    "cosine": (2.0**-40, 2.0**40),
    "euclidean": (0.0, 2.0**61),
    "dotproduct": (0.0, 2.0**100),
}


class SentQuery(NamedTuple):
    """One query as it is sent.

    Attributes:
        asked: ``(d,)`` float32, as the caller gave it.
        norm: its norm.
        scale: the sent query times this is the one that was asked; a power of two.
    """

    asked: NDArray[np.float32]
    norm: float
    scale: float


class EngineGeometry:
    """A metric at one dimension, as a float32 engine computes it.

    Args:
        metric: the index's metric.
        dimension: length of the vectors as they are stored.
        form: how the store gives its scores.

    Example:
        >>> geometry = EngineGeometry("dotproduct", 2, "similarity")
        >>> sent, (query,) = geometry.prepare(np.float32([[3, 4]]))
        >>> sent.tolist(), query.scale
        ([[0.375, 0.5]], 8.0)
        >>> geometry.distances(np.array([0.5]), query).tolist()
        [-4.0]
    """

    def __init__(self, metric: Metric, dimension: int, form: ScoreForm) -> None:
        self._metric: Metric = metric
        self._dimension = dimension
        self._form: ScoreForm = form

    @property
    def band(self) -> tuple[float, float]:
        """The least and the greatest norm of a record that the engine's arithmetic is safe with."""
        return _BANDS[self._metric]

    def prepare(self, queries: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[SentQuery]]:
        """Return queries as they are to be sent, ``(q, d)``, and what was done to each.

        Where only the direction decides the order, they are brought to norm 1/2 to 1.
        """
        lengths = norms(queries)
        exponents = self._exponents(lengths)
        # A power of two changes the exponents only, so nothing is rounded.
        sent = np.ldexp(queries, -exponents[:, np.newaxis]) if exponents.any() else queries
        scales = np.ldexp(1.0, exponents)
        return sent, list(map(SentQuery, queries, lengths.tolist(), scales.tolist()))

    def trusts(self, query: SentQuery) -> bool:
        """Tell whether the engine's arithmetic is safe with a query."""
        if self._metric == "euclidean":
            return query.norm <= self.band[1]
        # Everything is equally far from a zero vector under cosine; then ids alone decide.
        return self._metric == "dotproduct" or query.norm > 0.0

    @quietly
    def distances(self, scores: NDArray[np.float64], query: SentQuery) -> NDArray[np.float64]:
        """Return the engine's scores as distances; what overflowed there is infinitely far."""
        table = scores
        if self._form == "squared":
            table = np.sqrt(np.maximum(scores, 0.0))
        elif self._form == "similarity":
            table = 1.0 - scores if self._metric == "cosine" else 0.0 - scores
        elif self._form == "negative":
            table = 1.0 + scores if self._metric == "cosine" else scores
        elif self._form == "one-minus" and self._metric == "dotproduct":
            table = scores - 1.0
        if self._metric != "cosine":
            table = table * query.scale
        return np.where(np.isnan(table), np.inf, table)

    def lower_bounds(
        self, distances: NDArray[np.float64], query: SentQuery, largest_norm: float
    ) -> NDArray[np.float64]:
        """Return lower bounds of the exact distances of what the engine put at these or beyond.

        Args:
            distances: ``(n,)``, from :meth:`distances`.
            query: one that the engine's arithmetic is safe with.
            largest_norm: a bound of the norms of all records that the search saw.
        """
        scale = query.scale if self._metric == "dotproduct" else 1.0
        return scale * float32_floor(
            self._metric,
            distances / scale,
            dimension=self._dimension,
            query_norm=query.norm / query.scale,
            largest_norm=largest_norm,
            smallest_norm=self.band[0],
            one_minus=self._form == "one-minus" and self._metric == "dotproduct",
        )

    def lower_bound(
        self,
        distances: NDArray[np.float64],
        query: SentQuery,
        vectors: NDArray[np.float32],
        largest_norm: float,
    ) -> float:
        """Return a lower bound of the exact distance of what the engine ranks after its hits.

        Args:
            distances: ``(n,)`` the engine's distances of its hits, at least one.
            query: the query.
            vectors: ``(n, d)`` of the hits.
            largest_norm: a bound of the norms of all records that the search saw.

        Returns:
            The bound; :data:`UNCERTIFIED` where float32 decides nothing, or where the engine is
            seen to be less precise than float32 arithmetic has to be.
        """
        if not self.trusts(query):
            return UNCERTIFIED
        bounds = self.lower_bounds(distances, query, largest_norm)
        if bool((self._measured(query, vectors) < bounds).any()):
            return UNCERTIFIED
        return max(float(bounds[distances.argmax()]), UNCERTIFIED)

    def _exponents(self, lengths: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return by which power of two each query is shortened."""
        exponents: NDArray[np.int32] = np.frexp(lengths)[1]
        if self._metric == "euclidean":
            # Only a query that would overflow is moved; what it finds is then not certified.
            excess = exponents - math.frexp(self.band[1])[1] + 1
            return np.where(lengths > self.band[1], excess, 0)
        return exponents

    def _measured(self, query: SentQuery, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return distances in float64, whose error is nothing beside that of float32."""
        asked, wide = query.asked.astype(np.float64), vectors.astype(np.float64)
        if self._metric == "euclidean":
            return lengths_of(wide - asked)
        products: NDArray[np.float64] = wide @ asked
        if self._metric == "dotproduct":
            return -products
        scale = query.norm * lengths_of(wide)
        return 1.0 - np.divide(products, scale, out=np.zeros_like(scale), where=scale > 0.0)


@quietly
def difference_bounds(
    query: NDArray[np.float32], vectors: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what Euclidean distances lie between, from differences squared in float32.

    Args:
        query: ``(d,)`` float32.
        vectors: ``(n, d)`` float32.

    Returns:
        ``(n,)`` lower and upper bounds; 0 and infinity where float32 overflows.
    """
    count, dimension = vectors.shape
    squared = np.empty(count)
    rows = max(1, _BLOCK_BYTES // (4 * max(dimension, 1)))
    for start in range(0, count, rows):
        apart = vectors[start : start + rows] - query
        squared[start : start + rows] = np.einsum("ij,ij->i", apart, apart)
    # Twice what the roots, the differences and the sums may be off by.
    relative = 2.0 * (gamma(dimension + 8) + FLOAT32_ROUNDOFF)
    tiny = dimension * _TINY
    overflowed = ~np.isfinite(squared)
    upper = np.sqrt(squared * (1.0 + relative) + tiny)
    lower = np.sqrt(np.maximum(squared * (1.0 - relative) - tiny, 0.0))
    return np.where(overflowed, 0.0, lower), np.where(overflowed, np.inf, upper)
