"""Mutants whose distances are wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge import Metric
from vecbridge.ranking import distances
from vecbridge_conformance.mutants._reference import Found, ReferenceIndex
from vecbridge_conformance.mutants._registry import mutant
from vecbridge_conformance.mutants._shelf import Row

Vectors = NDArray[np.float32]


@mutant(
    "squared-l2",
    link="https://github.com/langchain-ai/langchain/issues/32058",
    clause="CAND-7",
)
class SquaredL2(ReferenceIndex):
    """The euclidean distance comes out squared."""

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> NDArray[np.float64]:
        table = super().measure(metric, query, vectors)
        return table**2 if metric == "euclidean" else table


@mutant(
    "similarity-for-distance",
    link="https://github.com/langchain-ai/langchain/issues/22732",
    clause="CAND-7",
)
class SimilarityForDistance(ReferenceIndex):
    """Cosine answers hold the similarity, higher is nearer, in the place of the distance."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        found, table = super().nearest(query, rows)
        return found, 1.0 - table if self.info.metric == "cosine" else table


@mutant(
    "farthest-first",
    link="https://github.com/FalkorDB/GraphRAG-SDK/issues/294",
    clause="CAND-7",
)
class FarthestFirst(ReferenceIndex):
    """The engine sorts distances as if they were similarities: the farthest come first."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        found, table = super().nearest(query, rows)
        return found[::-1], table[::-1].copy()


@mutant(
    "score-rescaled",
    link="https://github.com/datastax/graph-rag/issues/108",
    clause="CAND-7",
)
class ScoreRescaled(ReferenceIndex):
    """Distances are squeezed into 0 .. 1, so no two stores agree on what a number means."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        found, table = super().nearest(query, rows)
        return found, 0.5 + np.arctan(table) / np.pi


@mutant(
    "cosine-taken-as-dot",
    link="https://github.com/milvus-io/milvus/issues/31565",
    clause="DIST-6",
)
class CosineTakenAsDot(ReferenceIndex):
    """Ranks a cosine index by the dot product, so long vectors win."""

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> NDArray[np.float64]:
        return super().measure("dotproduct" if metric == "cosine" else metric, query, vectors)


@mutant(
    "dot-normalised",
    link="https://github.com/deepset-ai/haystack/issues/1537",
    clause="RANK-3",
)
class DotNormalised(ReferenceIndex):
    """Normalises both sides of a dot product, which makes it a cosine."""

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> NDArray[np.float64]:
        if metric != "dotproduct":
            return super().measure(metric, query, vectors)
        return distances("cosine", query, vectors) - 1.0


@mutant(
    "dot-not-negated",
    link="https://github.com/langchain-ai/langchain/issues/2845",
    clause="CAND-7",
)
class DotNotNegated(ReferenceIndex):
    """Gives the dot product itself, which grows as records get nearer."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        found, table = super().nearest(query, rows)
        return found, -table if self.info.metric == "dotproduct" else table


@mutant(
    "zero-vector-is-nan",
    link="https://github.com/asg017/sqlite-vec/issues/8",
    clause="DIST-7",
)
class ZeroVectorIsNan(ReferenceIndex):
    """The cosine distance to a zero vector is 0 / 0."""

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> NDArray[np.float64]:
        table = super().measure(metric, query, vectors)
        if metric == "cosine":
            table[~vectors.any(axis=1)] = np.nan
        return table


@mutant(
    "zero-vector-unfindable",
    link="https://github.com/qdrant/qdrant/issues/4654",
    clause="DIST-7",
)
class ZeroVectorUnfindable(ReferenceIndex):
    """A zero vector is stored, counted and fetched, and no cosine search ever returns it."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        if self.info.metric != "cosine":
            return super().nearest(query, rows)
        return super().nearest(query, [row for row in rows if row.vector.any()])


@mutant(
    "zero-vector-first",
    link="https://github.com/spiceai/spiceai/pull/11621",
    clause="DIST-7",
)
class ZeroVectorFirst(ReferenceIndex):
    """A zero vector is at cosine distance 0 of everything, and floods every answer."""

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> NDArray[np.float64]:
        table = super().measure(metric, query, vectors)
        if metric == "cosine":
            table[~vectors.any(axis=1)] = 0.0
        return table
