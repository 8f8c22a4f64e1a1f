"""Mutants whose answers hold too many, too few, or the wrong records."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates, Hits, IdRange, Records, Scope
from vecbridge.ranking import distances, rank
from vecbridge_conformance.mutants._backend import mutant
from vecbridge_conformance.mutants._reference import Distances, Found, ReferenceIndex, Vectors
from vecbridge_conformance.mutants._shelf import Row

Chosen = NDArray[np.bool_]


@mutant("k-plus-one", "CAND-7", "typesense/typesense/issues/1008")
class KPlusOne(ReferenceIndex):
    """Returns one hit more than was asked for."""

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        return super().search(queries, k + 1, scope)


@mutant("k-minus-one", "CAND-7", "milvus-io/milvus/issues/25095")
class KMinusOne(ReferenceIndex):
    """Returns fewer than k hits although there are enough records."""

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        found = super().search(queries, k, scope)
        return [Hits(hits.ids[: k - 1], hits.distances[: k - 1]) for hits in found]


@mutant("padded", "CAND-7", "run-llama/llama_index/issues/9882")
class Padded(ReferenceIndex):
    """Pads an answer to k with the id -1 where there are fewer records."""

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        return [_padded(hits, k) for hits in super().search(queries, k, scope)]


def _padded(hits: Hits, k: int) -> Hits:
    extra = max(k - len(hits), 0)
    return Hits(hits.ids + ("-1",) * extra, np.append(hits.distances, [3.4e38] * extra))


@mutant("limit-changes-the-best", "SEARCH-6", "milvus-io/milvus/issues/42848")
class LimitChangesTheBest(ReferenceIndex):
    """A search for one misses the nearest record, which a search for two finds."""

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        found = super().candidates(queries, k, scope)
        return [_without_first(each) for each in found] if k == 1 else found


def _without_first(found: Candidates) -> Candidates:
    return found if len(found.ids) < 2 else found.take(range(1, len(found.ids)))


@mutant("many-queries-short", "SEARCH-5", "milvus-io/milvus/issues/43136")
class ManyQueriesShort(ReferenceIndex):
    """In a batch of queries, those after the first get fewer hits."""

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        found = super().candidates(queries, k, scope)
        return [found[0], *(_without_first(each) for each in found[1:])]


@mutant("answers-swapped", "SEARCH-5", "vearch/vearch/issues/570")
class AnswersSwapped(ReferenceIndex):
    """The answers of a batch come in the order in which they were ready."""

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        return super().candidates(queries, k, scope)[::-1]

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        return super().search(queries, k, scope)[::-1]


@mutant("duplicate-hits", "CAND-1", "milvus-io/milvus/issues/37677")
class DuplicateHits(ReferenceIndex):
    """The nearest record is listed twice, from a sealed and from a growing segment."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        found, table = super().nearest(query, rows)
        return [*found[:1], *found], np.concatenate([table[:1], table])


@mutant("within-ignored", "SEARCH-7", "qdrant/qdrant-client/pull/1233")
class WithinIgnored(ReferenceIndex):
    """Takes the allow-list and searches everything."""

    def in_scope(self, rows: list[Row], scope: Scope) -> list[Row]:
        return super().in_scope(rows, replace(scope, within=None))


@mutant("within-cut-off", "SEARCH-7", "milvus-io/milvus/issues/15513")
class WithinCutOff(ReferenceIndex):
    """A long allow-list loses its tail."""

    def in_scope(self, rows: list[Row], scope: Scope) -> list[Row]:
        listed = None if scope.within is None else scope.within[:8]
        return super().in_scope(rows, replace(scope, within=listed))


@mutant("filter-matches-everything", "SEARCH-8", "run-llama/llama_index/pull/20246")
class FilterMatchesEverything(ReferenceIndex):
    """A filter that the store cannot translate is dropped."""

    def in_scope(self, rows: list[Row], scope: Scope) -> list[Row]:
        return super().in_scope(rows, replace(scope, where=None))


@mutant("filter-after-search", "SEARCH-8", "pgvector/pgvector/issues/671")
class FilterAfterSearch(ReferenceIndex):
    """Filters what the search has found, so fewer than k are left although more would match."""

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        found = super().candidates(queries, k, replace(scope, where=None))
        if scope.where is None:
            return found
        allowed = {row.id for row in self.in_scope(self.rows(None), scope)}
        kept = [[row for row, name in enumerate(each.ids) if name in allowed] for each in found]
        return [
            replace(each.take(rows), lower_bound=math.inf)
            for each, rows in zip(found, kept, strict=True)
        ]


@mutant("dishonest-bound", "CAND-3")
class DishonestBound(ReferenceIndex):
    """Says that nothing is left out, whatever is."""

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        found = super().candidates(queries, k, scope)
        return [Candidates(each.ids[:k], each.vectors[:k], math.inf) for each in found]


@mutant("modest-bound", "CAND-4")
class ModestBound(ReferenceIndex):
    """Never says that nothing is left out, so that an index of few records is always scanned."""

    def bound(self, query: Vectors, rows: Sequence[Row], table: Distances, count: int) -> float:
        return min(super().bound(query, rows, table, count), sys.float_info.max)


@mutant("ties-cut-by-insertion", "CAND-3", "facebookresearch/faiss/issues/813")
class TiesCutByInsertion(ReferenceIndex):
    """Cuts equal distances in the order of insertion, and calls the cut decided."""

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        found = super().candidates(queries, k, scope)
        return [
            Candidates(
                each.ids[:k], each.vectors[:k], float(np.nextafter(each.lower_bound, math.inf))
            )
            for each in found
        ]


@mutant("approximate-called-exact", "RANK-3", "milvus-io/milvus/issues/40018")
class ApproximateCalledExact(ReferenceIndex):
    """Looks into some of the cells of its index only, and declares to be exact."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        found, table = super().nearest(query, rows)
        kept = [position for position in range(len(found)) if position % 5 != 3]
        return [found[position] for position in kept], table[kept]


@mutant("recall-overstated", "RANK-8", "EverMind-AI/EverOS/pull/332")
class RecallOverstated(ApproximateCalledExact):
    """Drops the effort that an approximate search needs, and finds less than it declares."""

    declared: ClassVar = {"exact": False, "recall": 0.95}

    def bound(self, *_: object) -> float:
        return -math.inf


@mutant("scan-by-the-index", "RANK-9", "milvus-io/milvus/issues/46966")
class ScanByTheIndex(ReferenceIndex):
    """Scans by an iterator over its approximate index, which skips what the index misses."""

    declared: ClassVar = {"exact": False}

    def bound(self, *_: object) -> float:
        return -math.inf

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        for records in super().scan(batch_size, scope, ids, vectors=vectors):
            kept = [position for position in range(len(records)) if position % 5 != 3]
            fields = {name: [column[at] for at in kept] for name, column in records.fields.items()}
            yield Records(tuple(records.ids[at] for at in kept), records.vectors[kept], fields)


@mutant(
    "query-normalised-in-place",
    "REC-7",
    "voxel51/fiftyone-brain/blob/v0.25.0/fiftyone/brain/internal/core/elasticsearch.py",
)
class QueryNormalisedInPlace(ReferenceIndex):
    """Divides the caller's query by its norm, in the caller's own array."""

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        queries /= np.maximum(np.abs(queries).max(axis=1, keepdims=True), np.float32(1e-30))
        return super().search(queries, k, scope)


@mutant("candidates-from-codes", "CAND-2")
class CandidatesFromCodes(ReferenceIndex):
    """Gives the vectors that its compressed index can rebuild, not those that were stored."""

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        return [
            replace(found, vectors=found.vectors.astype(np.float16).astype(np.float32))
            for found in super().candidates(queries, k, scope)
        ]


class RangedReferenceIndex(ReferenceIndex):
    """Finds by distance natively: no mutant yet."""

    declared: ClassVar = {"range_search": True}

    def in_range(self, queries: Vectors, radius: float, scope: Scope) -> list[Candidates]:
        """Return every record within the radius."""
        found = self.candidates(queries, 1 << 30, scope)
        return [
            self._listed(query, each, radius) for query, each in zip(queries, found, strict=True)
        ]

    def _listed(self, query: Vectors, found: Candidates, radius: float) -> Candidates:
        inside = self._inside(distances(self.info.metric, query, found.vectors), radius)
        return found.take(np.flatnonzero(inside))

    def _inside(self, table: Distances, radius: float) -> Chosen:
        return np.asarray(table <= radius)


@mutant("radius-open", "NEAR-1")
class RadiusOpen(RangedReferenceIndex):
    """Leaves out the records at the radius itself."""

    def _inside(self, table: Distances, radius: float) -> Chosen:
        return np.asarray(table < radius)


@mutant("radius-squared", "NEAR-1", "facebookresearch/faiss/issues/413")
class RadiusSquared(RangedReferenceIndex):
    """Compares the squares of distances with the radius."""

    def _inside(self, table: Distances, radius: float) -> Chosen:
        return np.asarray(table * np.abs(table) <= radius)


@mutant("radius-cut-off", "NEAR-1")
class RadiusCutOff(RangedReferenceIndex):
    """Lists at most sixteen records within a radius, and does not say that there are more."""

    def _listed(self, query: Vectors, found: Candidates, radius: float) -> Candidates:
        listed = super()._listed(query, found, radius)
        return Candidates(listed.ids[:16], listed.vectors[:16], listed.lower_bound)


@mutant("radius-half-precision", "CAND-8")
class RadiusHalfPrecision(RangedReferenceIndex):
    """Lists the records within a radius with vectors that went through half precision."""

    def _listed(self, query: Vectors, found: Candidates, radius: float) -> Candidates:
        listed = super()._listed(query, found, radius)
        with np.errstate(over="ignore"):
            return replace(listed, vectors=listed.vectors.astype(np.float16).astype(np.float32))


@mutant("radius-shrunk", "CAND-8")
class RadiusShrunk(RangedReferenceIndex):
    """Compares with the radius less a rounding error, so that the farthest within is lost."""

    def _inside(self, table: Distances, radius: float) -> Chosen:
        return np.asarray(table * (1.0 + 1e-6) <= radius * (1.0 - 1e-6))


class FarReferenceIndex(ReferenceIndex):
    """Lists the farthest records natively: no mutant yet."""

    declared: ClassVar = {"farthest": True}

    def far_candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        """Return the k farthest; minus the distance of the next one is the lower bound."""
        found = self.candidates(queries, 1 << 30, scope)
        return [self._far(query, each, k) for query, each in zip(queries, found, strict=True)]

    def _far(self, query: Vectors, found: Candidates, k: int) -> Candidates:
        keys = -distances(self.info.metric, query, found.vectors)
        order = rank(found.ids, keys)
        listed = found.take(order[:k])
        return replace(listed, lower_bound=self._bound(keys[order[k:]]))

    def _bound(self, others: Distances) -> float:
        return float(others.min()) if len(others) else math.inf


@mutant("far-bound-of-the-distance", "CAND-9")
class FarBoundOfTheDistance(FarReferenceIndex):
    """Bounds the distance of the records that it leaves out, and not minus the distance."""

    def _bound(self, others: Distances) -> float:
        return -super()._bound(others) if len(others) else math.inf


@mutant("radius-without-filter", "SEARCH-8")
class RadiusWithoutFilter(RangedReferenceIndex):
    """Filters searches, and forgets to filter what is within a radius."""

    def in_range(self, queries: Vectors, radius: float, scope: Scope) -> list[Candidates]:
        return super().in_range(queries, radius, replace(scope, where=None))
