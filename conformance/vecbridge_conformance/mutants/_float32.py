"""Mutants in float32, whose arithmetic errs by more than their bound of it says."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates, Metric, Scope
from vecbridge.ranking import float32_floor, norms
from vecbridge_conformance.mutants._reference import ReferenceIndex
from vecbridge_conformance.mutants._registry import mutant

Vectors = NDArray[np.float32]

_SPARE = 8


class Norms(NamedTuple):
    """What a bound knows of a query and of the records."""

    query_norm: float
    largest_norm: float
    smallest_norm: float


class Float32Index(ReferenceIndex):
    """Ranks in float32, and knows how far that can be trusted: no mutant yet."""

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> NDArray[np.float64]:
        with np.errstate(all="ignore"):
            if metric == "euclidean":
                squares = ((vectors - query) ** 2).sum(axis=1, dtype=np.float32)
                return np.asarray(np.sqrt(squares.astype(np.float64)))
            if metric == "dotproduct":
                return self.from_product(vectors @ query)
            scale = self.lengths(vectors) * self.lengths(query[np.newaxis])
            cosines = (vectors @ query) / scale
            # A zero vector has no direction.
            return np.asarray(1.0 - np.where(np.isnan(cosines), 0.0, cosines.astype(np.float64)))

    def from_product(self, products: Vectors) -> NDArray[np.float64]:
        """Return distances of dot products."""
        return 0.0 - products.astype(np.float64)

    def lengths(self, vectors: Vectors) -> Vectors:
        """Return norms in float32."""
        return np.asarray(np.sqrt((vectors * vectors).sum(axis=1, dtype=np.float32)))

    def trusted(self, query: Vectors, vectors: Vectors) -> Norms:
        """Return what the bound may assume of the norms."""
        lengths = norms(vectors)
        return Norms(
            float(norms(query[np.newaxis])[0]),
            float(lengths.max(initial=0.0)),
            float(lengths.min(initial=math.inf)),
        )

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        rows = self.in_scope(self.searched(scope.consistency), scope)
        vectors, count = self._matrix(rows), k + _SPARE
        answers = []
        for query in queries:
            found, table = self.nearest(query, rows)
            names = tuple(row.id for row in found[:count])
            bound = math.inf
            if count < len(found):
                bound = float32_floor(
                    self.info.metric,
                    float(table[count]),
                    dimension=self.info.dimension,
                    **self.trusted(query, vectors)._asdict(),
                )
            answers.append(Candidates(names, self._matrix(found[:count]), bound))
        return answers


@mutant(
    "product-taken-from-one",
    link="https://github.com/nmslib/hnswlib/issues/554",
    clause="CAND-3",
)
class ProductTakenFromOne(Float32Index):
    """Computes a dot product as 1 - q.v, whose rounding is absolute, and bounds it by the norms."""

    def from_product(self, products: Vectors) -> NDArray[np.float64]:
        return np.asarray((np.float32(1.0) - products).astype(np.float64) - 1.0)


@mutant(
    "query-overflows",
    link="https://github.com/milvus-io/milvus/issues/50408",
    clause="CAND-3",
)
class QueryOverflows(Float32Index):
    """Squares a query as it comes: one that is long, or short, collapses every cosine distance."""

    def trusted(self, query: Vectors, vectors: Vectors) -> Norms:
        return super().trusted(query, vectors)._replace(query_norm=1.0)


@mutant(
    "bound-of-vanished-norms",
    link="https://github.com/unum-cloud/USearch/issues/320",
    clause="CAND-3",
)
class BoundOfVanishedNorms(Float32Index):
    """Bounds cosine distances as if the norms cancelled, where their squares are zero or infinite.

    So did ``float32_floor`` before it was told the records' least norm.
    """

    def trusted(self, query: Vectors, vectors: Vectors) -> Norms:
        known = super().trusted(query, vectors)
        return Norms(1.0, 1.0, 1.0) if self.info.metric == "cosine" else known


@mutant(
    "short-vectors-not-normalised",
    link="https://github.com/qdrant/qdrant/issues/10465",
    clause="CAND-3",
)
class ShortVectorsNotNormalised(Float32Index):
    """Takes a vector of a norm below 3.45e-4 for one that needs no normalising."""

    def lengths(self, vectors: Vectors) -> Vectors:
        found = super().lengths(vectors)
        return np.where(found * found < np.finfo(np.float32).eps, np.float32(1.0), found)
