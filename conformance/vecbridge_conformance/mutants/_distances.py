"""Mutants whose distances are wrong, or err by more than their bound says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vecbridge import Metric
from vecbridge.ranking import distances, float32_floor, norms
from vecbridge_conformance.mutants._backend import mutant
from vecbridge_conformance.mutants._reference import Distances, Found, ReferenceIndex, Vectors
from vecbridge_conformance.mutants._shelf import Row


@mutant("squared-l2", "CAND-7", "langchain-ai/langchain/issues/32058")
class SquaredL2(ReferenceIndex):
    """The euclidean distance comes out squared."""

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> Distances:
        table = super().measure(metric, query, vectors)
        return table**2 if metric == "euclidean" else table


@mutant("similarity-for-distance", "CAND-7", "langchain-ai/langchain/issues/22732")
class SimilarityForDistance(ReferenceIndex):
    """Cosine answers hold the similarity, higher is nearer, in the place of the distance."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        found, table = super().nearest(query, rows)
        return found, 1.0 - table if self.info.metric == "cosine" else table


@mutant("farthest-first", "CAND-7", "FalkorDB/GraphRAG-SDK/issues/294")
class FarthestFirst(ReferenceIndex):
    """The engine sorts distances as if they were similarities: the farthest come first."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        found, table = super().nearest(query, rows)
        return found[::-1], table[::-1].copy()


@mutant("score-rescaled", "CAND-7", "datastax/graph-rag/issues/108")
class ScoreRescaled(ReferenceIndex):
    """Distances are squeezed into 0 .. 1, so no two stores agree on what a number means."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        found, table = super().nearest(query, rows)
        return found, 0.5 + np.arctan(table) / np.pi


@mutant("cosine-taken-as-dot", "DIST-6", "milvus-io/milvus/issues/31565")
class CosineTakenAsDot(ReferenceIndex):
    """Ranks a cosine index by the dot product, so long vectors win."""

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> Distances:
        return super().measure("dotproduct" if metric == "cosine" else metric, query, vectors)


@mutant("dot-normalised", "RANK-3", "deepset-ai/haystack/issues/1537")
class DotNormalised(ReferenceIndex):
    """Normalises both sides of a dot product, which makes it a cosine."""

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> Distances:
        if metric != "dotproduct":
            return super().measure(metric, query, vectors)
        return distances("cosine", query, vectors) - 1.0


@mutant("dot-not-negated", "CAND-7", "langchain-ai/langchain/issues/2845")
class DotNotNegated(ReferenceIndex):
    """Gives the dot product itself, which grows as records get nearer."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        found, table = super().nearest(query, rows)
        return found, -table if self.info.metric == "dotproduct" else table


@mutant("zero-vector-is-nan", "DIST-7", "asg017/sqlite-vec/issues/8")
class ZeroVectorIsNan(ReferenceIndex):
    """The cosine distance to a zero vector is 0 / 0."""

    zero_at = np.nan

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> Distances:
        table = super().measure(metric, query, vectors)
        if metric == "cosine":
            table[~vectors.any(axis=1)] = self.zero_at
        return table


@mutant("zero-vector-unfindable", "DIST-7", "qdrant/qdrant/issues/4654")
class ZeroVectorUnfindable(ReferenceIndex):
    """A zero vector is stored, counted and fetched, and no cosine search ever returns it."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        if self.info.metric != "cosine":
            return super().nearest(query, rows)
        return super().nearest(query, [row for row in rows if row.vector.any()])


@mutant("zero-vector-first", "DIST-7", "spiceai/spiceai/pull/11621")
class ZeroVectorFirst(ZeroVectorIsNan):
    """A zero vector is at cosine distance 0 of everything, and floods every answer."""

    zero_at = 0.0


@mutant(
    "always-euclidean",
    "DIST-6",
    "voxel51/fiftyone-brain/blob/v0.25.0/fiftyone/brain/internal/core/pgvector.py",
)
class AlwaysEuclidean(ReferenceIndex):
    """Orders by the euclidean distance, whatever metric the index was made with."""

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> Distances:
        return distances("euclidean", query, vectors)


class Norms(NamedTuple):
    """What a bound knows of a query and of the records."""

    query_norm: float
    largest_norm: float
    smallest_norm: float


class Float32Index(ReferenceIndex):
    """Ranks in float32, and knows how far that can be trusted: no mutant yet."""

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> Distances:
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

    def from_product(self, products: Vectors) -> Distances:
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

    def bound(self, query: Vectors, rows: Sequence[Row], table: Distances, count: int) -> float:
        bound = super().bound(query, rows, table, count)
        if count >= len(rows):
            return bound
        trusted = self.trusted(query, self._matrix(rows))._asdict()
        return float32_floor(self.info.metric, bound, dimension=self.info.dimension, **trusted)


@mutant("product-taken-from-one", "CAND-3", "nmslib/hnswlib/issues/554")
class ProductTakenFromOne(Float32Index):
    """Computes a dot product as 1 - q.v, whose rounding is absolute, and bounds it by the norms."""

    def from_product(self, products: Vectors) -> Distances:
        return np.asarray((np.float32(1.0) - products).astype(np.float64) - 1.0)


@mutant("query-overflows", "CAND-3", "milvus-io/milvus/issues/50408")
class QueryOverflows(Float32Index):
    """Squares a query as it comes: one that is long, or short, collapses every cosine distance."""

    def trusted(self, query: Vectors, vectors: Vectors) -> Norms:
        return super().trusted(query, vectors)._replace(query_norm=1.0)


@mutant("bound-of-vanished-norms", "CAND-3", "unum-cloud/USearch/issues/320")
class BoundOfVanishedNorms(Float32Index):
    """Bounds cosine distances as if the norms cancelled, where their squares are zero or infinite.

    So did ``float32_floor`` before it took the records' least norm.
    """

    def trusted(self, query: Vectors, vectors: Vectors) -> Norms:
        known = super().trusted(query, vectors)
        return Norms(1.0, 1.0, 1.0) if self.info.metric == "cosine" else known


@mutant("short-vectors-not-normalised", "CAND-3", "qdrant/qdrant/issues/10465")
class ShortVectorsNotNormalised(Float32Index):
    """Takes a vector of a norm below 3.45e-4 for one that needs no normalising."""

    def lengths(self, vectors: Vectors) -> Vectors:
        found = super().lengths(vectors)
        return np.where(found * found < np.finfo(np.float32).eps, np.float32(1.0), found)
