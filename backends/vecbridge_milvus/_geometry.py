"""What float32 arithmetic in the engine can be trusted with, and how its numbers read.

A server drops zero vectors from cosine searches and may lose any record whose distance overflows
or underflows, without a word. So searches keep to a band of norms in which no step of the
engine's arithmetic can leave float32, and the few records outside are ranked here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecbridge import Metric
from vecbridge.ranking import float32_floor, norms

USELESS = -1e300
"""A floor that certifies nothing, but promises that a scan would decide."""

_BANDS: dict[Metric, tuple[float, float]] = {
    # Squares of norms and of differences of vectors stay far inside of 2**-126 to 2**127.
    "cosine": (2.0**-40, 2.0**40),
    "euclidean": (0.0, 2.0**61),
    "dotproduct": (0.0, 2.0**100),
}


@dataclass(frozen=True)
class Query:
    """One query as it is sent.

    Attributes:
        asked: ``(d,)`` float32, as the caller gave it.
        norm: its norm.
        scale: the sent query times this is the one that was asked; a power of two.
    """

    asked: NDArray[np.float32]
    norm: float
    scale: float


class Geometry:
    """A metric at one dimension.

    Args:
        metric: the index's metric.
        dimension: length of the vectors as they are stored.
    """

    def __init__(self, metric: Metric, dimension: int) -> None:
        self._metric: Metric = metric
        self._dimension = dimension

    @property
    def band(self) -> tuple[float, float]:
        """The least and the greatest norm with which the engine's arithmetic is safe."""
        return _BANDS[self._metric]

    def prepare(self, queries: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[Query]]:
        """Return queries as they are to be sent, ``(q, d)``: of norm 1/2 to 1, or as they are."""
        lengths = norms(queries)
        exponents = self._exponents(lengths)
        # A power of two changes the exponents only, so nothing is rounded.
        sent = np.ldexp(queries, -exponents[:, np.newaxis]) if exponents.any() else queries
        scales = np.ldexp(1.0, exponents)
        asked = list(map(Query, queries, lengths.tolist(), scales.tolist()))
        return sent, asked

    def _exponents(self, lengths: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return the power of two by which each query is shortened."""
        exponents: NDArray[np.int32] = np.frexp(lengths)[1]
        if self._metric == "euclidean":
            # Only a query that would overflow is moved; what it finds is then not certified.
            excess = exponents - math.frexp(self.band[1])[1] + 1
            return np.where(lengths > self.band[1], excess, 0)
        return exponents

    def contract(self, raw: NDArray[np.float64], query: Query) -> NDArray[np.float64]:
        """Return Milvus's scores as distances: L2 comes squared, the others upside down.

        What overflowed in the engine is infinitely far.
        """
        if self._metric == "euclidean":
            table = np.sqrt(np.maximum(raw, 0.0)) * query.scale
        elif self._metric == "cosine":
            table = 1.0 - raw
        else:
            table = 0.0 - raw * query.scale
        return np.where(np.isnan(table), np.inf, table)

    def floor(
        self,
        query: Query,
        native: NDArray[np.float64],
        vectors: NDArray[np.float32],
        largest_norm: float,
    ) -> float:
        """Return a lower bound of the exact distance of what the engine ranks after these records.

        Args:
            query: the query.
            native: ``(n,)`` the engine's distances of the records, at least one.
            vectors: ``(n, d)`` the records.
            largest_norm: a bound of the norms of all records that the search saw.

        Returns:
            The bound; :data:`USELESS` where float32 decides nothing, or where the engine is seen
            to be less precise than float32 arithmetic has to be.
        """
        if not self.trusts(query):
            return USELESS
        floors = self._floors(query, native, largest_norm)
        if bool((self._measured(query, vectors) < floors).any()):
            return USELESS
        return max(float(floors[native.argmax()]), USELESS)

    def least_left_out(
        self, query: Query, native: NDArray[np.float64], largest_norm: float
    ) -> float:
        """Return a lower bound of the distance of what a search of everything leaves out.

        Args:
            query: one that the engine's arithmetic is safe with.
            native: ``(n,)`` the engine's distances of its hits, at least one.
            largest_norm: a bound of the norms of the records.
        """
        return float(self._floors(query, native, largest_norm)[native.argmax()])

    def _floors(
        self, query: Query, native: NDArray[np.float64], largest_norm: float
    ) -> NDArray[np.float64]:
        scale = query.scale if self._metric == "dotproduct" else 1.0
        floors = float32_floor(
            self._metric,
            native / scale,
            dimension=self._dimension,
            query_norm=query.norm / query.scale,
            largest_norm=largest_norm,
            smallest_norm=self.band[0],
        )
        return scale * floors

    def _measured(self, query: Query, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return distances in float64, whose error is nothing beside that of float32."""
        asked, wide = query.asked.astype(np.float64), vectors.astype(np.float64)
        if self._metric == "euclidean":
            wide -= asked
            return _lengths(wide)
        products: NDArray[np.float64] = wide @ asked
        if self._metric == "dotproduct":
            return -products
        scale = query.norm * _lengths(wide)
        return 1.0 - np.divide(products, scale, out=np.zeros_like(scale), where=scale > 0.0)

    def trusts(self, query: Query) -> bool:
        """Return whether the engine's arithmetic is safe with a query."""
        if self._metric == "euclidean":
            return query.norm <= self.band[1]
        # Everything is equally far from a zero vector under cosine; then ids alone decide.
        return self._metric == "dotproduct" or query.norm > 0.0


def _lengths(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", vectors, vectors)
    return np.sqrt(squares)
