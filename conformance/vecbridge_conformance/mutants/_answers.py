"""Mutants whose answers hold too many, too few, or the wrong records."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates, Capabilities, Consistency, Hits, Records, Scope
from vecbridge_conformance.mutants._reference import Found, ReferenceIndex
from vecbridge_conformance.mutants._registry import mutant
from vecbridge_conformance.mutants._shelf import Row

Vectors = NDArray[np.float32]


@mutant("k-plus-one", link="https://github.com/typesense/typesense/issues/1008", clause="CAND-7")
class KPlusOne(ReferenceIndex):
    """Returns one hit more than was asked for."""

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        return super().search(queries, k + 1, scope)


@mutant("k-minus-one", link="https://github.com/milvus-io/milvus/issues/25095", clause="CAND-7")
class KMinusOne(ReferenceIndex):
    """Returns fewer than k hits although there are enough records."""

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        found = super().search(queries, k, scope)
        return [Hits(hits.ids[: k - 1], hits.distances[: k - 1]) for hits in found]


@mutant("padded", link="https://github.com/run-llama/llama_index/issues/9882", clause="CAND-7")
class Padded(ReferenceIndex):
    """Pads an answer to k with the id -1 where there are fewer records."""

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        return [_padded(hits, k) for hits in super().search(queries, k, scope)]


def _padded(hits: Hits, k: int) -> Hits:
    extra = max(k - len(hits), 0)
    return Hits(hits.ids + ("-1",) * extra, np.append(hits.distances, [3.4e38] * extra))


@mutant(
    "limit-changes-the-best",
    link="https://github.com/milvus-io/milvus/issues/42848",
    clause="SEARCH-6",
)
class LimitChangesTheBest(ReferenceIndex):
    """A search for one misses the nearest record, which a search for two finds."""

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        found = super().candidates(queries, k, scope)
        return [_without_first(each) for each in found] if k == 1 else found


def _without_first(found: Candidates) -> Candidates:
    if len(found.ids) < 2:
        return found
    return Candidates(found.ids[1:], found.vectors[1:], found.lower_bound)


@mutant(
    "many-queries-short",
    link="https://github.com/milvus-io/milvus/issues/43136",
    clause="SEARCH-5",
)
class ManyQueriesShort(ReferenceIndex):
    """In a batch of queries, those after the first get fewer hits."""

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        found = super().candidates(queries, k, scope)
        return [found[0], *(_without_first(each) for each in found[1:])]


@mutant(
    "answers-swapped",
    link="https://github.com/vearch/vearch/issues/570",
    clause="SEARCH-5",
)
class AnswersSwapped(ReferenceIndex):
    """The answers of a batch come in the order in which they were ready."""

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        return super().candidates(queries, k, scope)[::-1]

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        return super().search(queries, k, scope)[::-1]


@mutant(
    "duplicate-hits",
    link="https://github.com/milvus-io/milvus/issues/37677",
    clause="CAND-1",
)
class DuplicateHits(ReferenceIndex):
    """The nearest record is listed twice, from a sealed and from a growing segment."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        found, table = super().nearest(query, rows)
        return [*found[:1], *found], np.concatenate([table[:1], table])


@mutant(
    "within-ignored",
    link="https://github.com/qdrant/qdrant-client/pull/1233",
    clause="SEARCH-7",
)
class WithinIgnored(ReferenceIndex):
    """Takes the allow-list and searches everything."""

    def in_scope(self, rows: list[Row], scope: Scope) -> list[Row]:
        return super().in_scope(rows, replace(scope, within=None))


@mutant(
    "within-cut-off",
    link="https://github.com/milvus-io/milvus/issues/15513",
    clause="SEARCH-7",
)
class WithinCutOff(ReferenceIndex):
    """A long allow-list loses its tail."""

    def in_scope(self, rows: list[Row], scope: Scope) -> list[Row]:
        listed = None if scope.within is None else scope.within[:8]
        return super().in_scope(rows, replace(scope, within=listed))


@mutant(
    "filter-matches-everything",
    link="https://github.com/run-llama/llama_index/pull/20246",
    clause="SEARCH-8",
)
class FilterMatchesEverything(ReferenceIndex):
    """A filter that the store cannot translate is dropped."""

    def in_scope(self, rows: list[Row], scope: Scope) -> list[Row]:
        return super().in_scope(rows, replace(scope, where=None))


@mutant(
    "filter-after-search",
    link="https://github.com/pgvector/pgvector/issues/671",
    clause="SEARCH-8",
)
class FilterAfterSearch(ReferenceIndex):
    """Filters what the search has found, so fewer than k are left although more would match."""

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        found = super().candidates(queries, k, replace(scope, where=None))
        if scope.where is None:
            return found
        allowed = {row.id for row in self.in_scope(self.rows(None), scope)}
        return [_only(each, allowed) for each in found]


def _only(found: Candidates, allowed: set[str]) -> Candidates:
    kept = [position for position, name in enumerate(found.ids) if name in allowed]
    names = tuple(found.ids[position] for position in kept)
    return Candidates(names, found.vectors[kept], math.inf)


@mutant(
    "dishonest-bound",
    clause="CAND-3",
)
class DishonestFloor(ReferenceIndex):
    """Says that nothing is left out, whatever is."""

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        found = super().candidates(queries, k, scope)
        return [Candidates(each.ids[:k], each.vectors[:k], math.inf) for each in found]


@mutant("modest-bound", clause="CAND-4")
class ModestFloor(ReferenceIndex):
    """Never says that nothing is left out, so that an index of few records is always scanned."""

    def bound(self, table: NDArray[np.float64], count: int) -> float:
        return min(super().bound(table, count), sys.float_info.max)


@mutant(
    "ties-cut-by-insertion",
    link="https://github.com/facebookresearch/faiss/issues/813",
    clause="CAND-3",
)
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


@mutant(
    "approximate-called-exact",
    link="https://github.com/milvus-io/milvus/issues/40018",
    clause="RANK-3",
)
class ApproximateCalledExact(ReferenceIndex):
    """Looks into some of the cells of its index only, and declares to be exact."""

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        found, table = super().nearest(query, rows)
        kept = [position for position in range(len(found)) if position % 5 != 3]
        return [found[position] for position in kept], table[kept]


@mutant(
    "recall-overstated",
    link="https://github.com/EverMind-AI/EverOS/pull/332",
    clause="RANK-8",
)
class RecallOverstated(ReferenceIndex):
    """Drops the effort that an approximate search needs, and finds less than it declares."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, exact=False, recall=0.95)

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        found, table = super().nearest(query, rows)
        kept = [position for position in range(len(found)) if position % 5 != 3]
        return [found[position] for position in kept], table[kept]

    def bound(self, table: NDArray[np.float64], count: int) -> float:
        return -math.inf


@mutant(
    "scan-by-the-index",
    link="https://github.com/milvus-io/milvus/issues/46966",
    clause="RANK-9",
)
class ScanByTheIndex(ReferenceIndex):
    """Scans by an iterator over its approximate index, which skips what the index misses."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, exact=False)

    def bound(self, table: NDArray[np.float64], count: int) -> float:
        return -math.inf

    def scan(self, batch_size: int, *, consistency: Consistency | None = None) -> Iterator[Records]:
        for records in super().scan(batch_size, consistency=consistency):
            kept = [position for position in range(len(records)) if position % 5 != 3]
            fields = {
                name: [column[position] for position in kept]
                for name, column in records.fields.items()
            }
            names = tuple(records.ids[position] for position in kept)
            yield Records(names, records.vectors[kept], fields)


@mutant(
    "query-normalised-in-place",
    link="https://github.com/voxel51/fiftyone-brain/blob/v0.25.0/fiftyone/brain/internal/core/elasticsearch.py",
    clause="REC-7",
)
class QueryNormalisedInPlace(ReferenceIndex):
    """Divides the caller's query by its norm, in the caller's own array."""

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        queries /= np.maximum(np.abs(queries).max(axis=1, keepdims=True), np.float32(1e-30))
        return super().search(queries, k, scope)
