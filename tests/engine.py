"""A small engine in float32 whose limits and honesty a test of the client layer can set."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vecbridge import (
    BackendError,
    Candidates,
    Capabilities,
    Consistency,
    Fields,
    Hits,
    IdRange,
    IndexInfo,
    Metric,
    Records,
    Scope,
)
from vecbridge.ranking import distances

CAPABILITIES = Capabilities(
    exact=True,
    recall=None,
    range_search=False,
    farthest=False,
    partitions=False,
    max_dimension=32768,
    max_k=None,
    max_within=None,
    max_batch_bytes=None,
    field_types=frozenset(),
    filters=frozenset(),
    filters_except=frozenset(),
    consistency=frozenset({"strong"}),
    durable=False,
    shared=False,
)


@dataclass
class Engine:
    """Keeps records in a dict; ``bounds`` says what it promises of what it leaves out."""

    info: IndexInfo
    capabilities: Capabilities = CAPABILITIES
    bounds: str = "exact"
    fail_at_batch: int | None = None
    fault: Exception = field(
        default_factory=lambda: BackendError(
            "the store went away.", backend="test", operation="upsert"
        )
    )
    spare: int = 4
    records: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, int]] = field(default_factory=list)

    def upsert(self, ids: Sequence[str], vectors: Any, fields: Fields | None = None) -> None:
        self.calls.append(("upsert", len(ids)))
        if self.fail_at_batch == len([call for call in self.calls if call[0] == "upsert"]):
            raise self.fault
        self.records.update(zip(ids, np.array(vectors, copy=True), strict=True))

    def delete(self, ids: Sequence[str]) -> None:
        for name in ids:
            self.records.pop(name, None)

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        self.calls.append(("fetch", len(ids)))
        found = [name for name in ids if name in self.records]
        missing = tuple(name for name in ids if name not in self.records)
        return Records(tuple(found), self._matrix(found), missing=missing)

    def contains(self, ids: Sequence[str], *, consistency: Consistency) -> Any:
        return np.array([name in self.records for name in ids], dtype=np.bool_)

    def count(self, scope: Scope) -> int:
        return len(self.records)

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        self.calls.append(("scan", batch_size))
        names = list(self.records)
        for start in range(0, len(names), batch_size):
            part = names[start : start + batch_size]
            yield Records(tuple(part), self._matrix(part))

    def search(self, queries: Any, k: int, scope: Scope) -> list[Hits]:
        found = self.candidates(queries, k, scope)
        return [
            Hits(each.ids[:k], distances(self.info.metric, query, each.vectors)[:k])
            for query, each in zip(queries, found, strict=True)
        ]

    def candidates(self, queries: Any, k: int, scope: Scope) -> list[Candidates]:
        self.calls.append(("candidates", k))
        listed = self.records if scope.within is None else set(scope.within)
        names = [name for name in self.records if name in listed]
        matrix = self._matrix(names)
        return [self._nearest(query, names, matrix, k + self.spare) for query in queries]

    def close(self) -> None:
        self.calls.append(("close", 0))

    def _nearest(self, query: Any, names: list[str], matrix: Any, count: int) -> Candidates:
        table = distances(self.info.metric, query, matrix)
        # Ties in reverse order of insertion, as FAISS's inner product has them.
        order = np.lexsort((-np.arange(len(names)), table))[:count].tolist()
        bound = math.inf if len(order) == len(names) else float(table[order].max())
        if self.bounds == "none":
            bound = -math.inf
        if self.bounds == "useless":
            bound = -1e300 if bound < math.inf else bound
        return Candidates(tuple(names[row] for row in order), matrix[order], bound)

    def _matrix(self, names: Sequence[str]) -> Any:
        rows = [self.records[name] for name in names]
        return np.array(rows, dtype=np.float32).reshape(len(names), self.info.dimension)


def make_engine(dimension: int, metric: Metric = "euclidean", **options: Any) -> Engine:
    """An empty engine; options are fields of :class:`Engine` or of its capabilities."""
    names = set(Capabilities.__dataclass_fields__) & set(options)
    limits = {name: options.pop(name) for name in names}
    capabilities = replace(CAPABILITIES, **limits)
    return Engine(IndexInfo("test", dimension, metric), capabilities, **options)
