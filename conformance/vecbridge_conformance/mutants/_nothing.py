"""Mutants that divide by the number of records, and so fail where there is nothing to find."""

from __future__ import annotations

from typing import ClassVar

from vecbridge import Candidates, Hits, Scope
from vecbridge_conformance.mutants._answers import FarReferenceIndex, RangedReferenceIndex
from vecbridge_conformance.mutants._backend import mutant
from vecbridge_conformance.mutants._reference import ReferenceIndex, Vectors


@mutant("empty-index-raises", "SEARCH-3", "milvus-io/milvus-sdk-go/issues/10")
class EmptyIndexRaises(ReferenceIndex):
    """Is approximate, divides by the number of records, and so fails where there is none."""

    declared: ClassVar = {"exact": False}

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        count = self.count(Scope())
        return super().search(queries, k * count // count, scope)


@mutant("nothing-matched-raises", "SEARCH-3", "milvus-io/milvus-sdk-java/issues/64")
class NothingMatchedRaises(ReferenceIndex):
    """Divides by the number of records that a filter leaves, and so fails where that is none."""

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        count = 1 if scope.where is None else len(self.in_scope(self.rows(None), scope))
        return super().search(queries, k * count // count, scope)


@mutant("nothing-within-raises", "NEAR-1")
class NothingWithinRaises(RangedReferenceIndex):
    """Divides by the number of records among which it looks within a radius."""

    def in_range(self, queries: Vectors, radius: float, scope: Scope) -> list[Candidates]:
        count = len(self.in_scope(self.rows(None), scope))
        return super().in_range(queries, radius * (count / count), scope)


@mutant("nothing-far-raises", "SEARCH-10")
class NothingFarRaises(FarReferenceIndex):
    """Divides by the number of records of which it lists the farthest."""

    def far_candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        count = len(self.in_scope(self.rows(None), scope))
        return super().far_candidates(queries, k * count // count, scope)
