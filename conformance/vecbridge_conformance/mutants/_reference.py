"""The reference engine: brute force over a list of rows, correct, small, and easy to break.

It is written to be read beside the contract, not to be fast. The mutants override one of its
methods each, so every method does one thing that a real store is known to get wrong.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vecbridge import (
    Candidates,
    Capabilities,
    ClosedError,
    Consistency,
    Fields,
    FieldValue,
    Hits,
    IdRange,
    IndexInfo,
    IndexNotFoundError,
    Metric,
    Records,
    Scope,
)
from vecbridge.fields import FIELD_TYPES
from vecbridge.filters import (
    FILTER_OPERATORS,
    And,
    Comparison,
    Contains,
    ContainsAny,
    Filter,
    IsMissing,
    Not,
    OneOf,
    Or,
)
from vecbridge.ranking import distances
from vecbridge_conformance.mutants._shelf import Row, Shelf, Table, Tables

_SPARE = 8
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Vectors = NDArray[np.float32]
Distances = NDArray[np.float64]
RowChange = Callable[[list[Row]], list[Row]]

Found = tuple[Sequence[Row], Distances]
"""Rows and their distances to one query, nearest first."""


class ReferenceIndex:
    """A :class:`vecbridge.VectorIndex` that keeps the contract.

    Args:
        info: what the index is, as the store has it.
        shelf: where its rows are.
    """

    declared: ClassVar[Mapping[str, Any]] = {}
    """Capabilities that an index of a derived class has in place of the reference's."""

    def __init__(self, info: IndexInfo, shelf: Shelf) -> None:
        self._info = info
        self._shelf = shelf
        table = shelf.read().get(info.name)
        self._token = table.token if table else ""
        self._closed = False

    @property
    def info(self) -> IndexInfo:
        """Return name, dimension, metric and fields."""
        return self._info

    @property
    def capabilities(self) -> Capabilities:
        """Return everything, without limits; durable where the shelf is."""
        general = Capabilities(
            exact=True,
            recall=None,
            range_search=False,
            farthest=False,
            partitions=True,
            max_dimension=32768,
            max_k=None,
            max_within=None,
            max_batch_bytes=None,
            field_types=frozenset(FIELD_TYPES),
            filters=FILTER_OPERATORS,
            filters_except=frozenset(),
            consistency=frozenset({"strong"}),
            durable=self._shelf.durable,
            shared=self._shelf.durable,
        )
        return replace(general, **self.declared)

    def upsert(self, ids: Sequence[str], vectors: Vectors, fields: Fields | None = None) -> None:
        """Insert or replace."""
        columns = fields or {}
        new = [
            Row(name, self.keep(vector), {key: column[at] for key, column in columns.items()})
            for at, (name, vector) in enumerate(zip(ids, vectors, strict=True))
        ]
        self.change(lambda rows: self.merged(rows, new))

    def keep(self, vector: Vectors) -> Vectors:
        """Return what is stored of a vector that the caller owns."""
        return np.array(vector, copy=True)

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        """Return the rows after an upsert."""
        names = {row.id for row in new}
        return [row for row in rows if row.id not in names] + new

    def delete(self, ids: Sequence[str]) -> None:
        """Remove, and ignore what is not there."""
        names = frozenset(ids)
        self.change(lambda rows: self.remaining(rows, names))

    def remaining(self, rows: list[Row], names: frozenset[str]) -> list[Row]:
        """Return the rows after a delete."""
        return [row for row in rows if row.id not in names]

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        """Return records in request order."""
        known = {row.id: row for row in self.rows(consistency)}
        found = [known[name] for name in ids if name in known]
        return self._records(found, tuple(name for name in ids if name not in known))

    def contains(self, ids: Sequence[str], *, consistency: Consistency) -> NDArray[np.bool_]:
        """Return one bool per id."""
        known = {row.id for row in self.rows(consistency)}
        return np.array([name in known for name in ids], dtype=np.bool_)

    def count(self, scope: Scope) -> int:
        """Return how many rows."""
        return len(self.selected(scope, None))

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        """Yield every row in scope once, vectors and all."""
        rows = self.selected(scope, ids)
        for start in range(0, len(rows), batch_size):
            yield self._records(rows[start : start + batch_size])

    def selected(self, scope: Scope, ids: IdRange | None) -> list[Row]:
        """Return the rows that are counted or scanned, in the order of a scan."""
        rows = self.in_scope(self.rows(scope.consistency), scope)
        if ids is None:
            return rows
        return sorted((row for row in rows if row.id in ids), key=lambda row: row.id)

    def partitions(self, count: int, *, consistency: Consistency) -> list[IdRange]:
        """Return ranges with about as many rows each."""
        names = sorted(row.id for row in self.rows(consistency))
        parts = max(1, min(count, len(names)))
        cuts = [names[len(names) * part // parts] for part in range(1, parts)]
        return [IdRange(*edge) for edge in zip([None, *cuts], [*cuts, None], strict=True)]

    def search(self, queries: Vectors, k: int, scope: Scope) -> list[Hits]:
        """Return the k nearest of each query."""
        rows = self.in_scope(self.searched(scope.consistency), scope)
        answers = []
        for query in queries:
            found, table = self.nearest(query, rows)
            answers.append(Hits(tuple(row.id for row in found[:k]), table[:k]))
        return answers

    def candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        """Return a few more than the k nearest; the first one left out is the lower bound."""
        rows = self.in_scope(self.searched(scope.consistency), scope)
        count = k + _SPARE
        answers = []
        for query in queries:
            found, table = self.nearest(query, rows)
            names = tuple(row.id for row in found[:count])
            bound = self.bound(query, found, table, count)
            answers.append(Candidates(names, self._matrix(found[:count]), bound))
        return answers

    def rows(self, consistency: Consistency | None) -> list[Row]:
        """Return the rows that a read sees."""
        return list(self._stored(self._shelf.read()).rows)

    def searched(self, consistency: Consistency | None) -> list[Row]:
        """Return the rows that a search looks at."""
        return self.rows(consistency)

    def in_scope(self, rows: list[Row], scope: Scope) -> list[Row]:
        """Return the rows that a search may return."""
        names, where = None if scope.within is None else set(scope.within), scope.where
        return [
            row
            for row in rows
            if (names is None or row.id in names) and (where is None or self.accepts(where, row))
        ]

    def accepts(self, where: Filter, row: Row) -> bool:
        """Return whether a row passes a filter."""
        match where:
            case And(left, right):
                return self.accepts(left, row) and self.accepts(right, row)
            case Or(left, right):
                return self.accepts(left, row) or self.accepts(right, row)
            case Not(operand):
                return not self.accepts(operand, row)
            case _:
                return self.meets(where, row.fields[where.name])

    def meets(self, condition: Filter, value: Any) -> bool:
        """Return whether a value, ``None`` where it is missing, meets a condition."""
        match condition:
            case IsMissing():
                return value is None
            case OneOf(_, values):
                return value in values
            case _:
                return value is not None and self.holds(condition, value)

    def holds(self, condition: Filter, value: Any) -> bool:
        """Return whether a condition holds of a value that is there."""
        match condition:
            case Comparison(_, word, other):
                return _OPERATORS[word](value, other)
            case Contains(_, part):
                return part in value
            case ContainsAny(_, parts):
                return not set(parts).isdisjoint(value)
        raise TypeError(f"{condition} is not settled")

    def nearest(self, query: Vectors, rows: Sequence[Row]) -> Found:
        """Return the rows of one query, nearest first."""
        table = self.measure(self.info.metric, query, self._matrix(rows))
        order = np.argsort(table, kind="stable")
        return [rows[position] for position in order.tolist()], table[order]

    def measure(self, metric: Metric, query: Vectors, vectors: Vectors) -> Distances:
        """Return distances of one query to ``(n, d)`` vectors."""
        return distances(metric, query, vectors)

    def bound(self, query: Vectors, rows: Sequence[Row], table: Distances, count: int, /) -> float:
        """Return the distance of the first of the rows that is left out, of those sorted so."""
        return float(table[count]) if count < len(table) else math.inf

    def change(self, change: RowChange) -> None:
        """Apply a function to the rows, alone, and keep what it returns."""

        def apply(tables: Tables) -> None:
            table = self._stored(tables)
            tables[self.info.name] = replace(table, rows=change(list(table.rows)))

        self._shelf.change(apply)

    def give(self, vectors: Vectors) -> Vectors:
        """Return what the caller gets of the vectors that it reads."""
        return np.array(vectors, copy=True)

    def close(self) -> None:
        """Refuse everything from now on."""
        self._closed = True

    def is_same(self, table: Table) -> bool:
        """Return whether a table is the one that was opened."""
        return table.token == self._token

    def _records(self, rows: Sequence[Row], missing: tuple[str, ...] = ()) -> Records:
        columns: dict[str, list[FieldValue]] = {
            name: [row.fields[name] for row in rows] for name in self.info.fields
        }
        vectors = self.give(self._matrix(rows))
        return Records(tuple(row.id for row in rows), vectors, columns, missing)

    def _matrix(self, rows: Sequence[Row]) -> Vectors:
        if not rows:
            return np.empty((0, self.info.dimension), dtype=np.float32)
        return np.stack([row.vector for row in rows])

    def _stored(self, tables: Tables) -> Table:
        if self._closed:
            raise ClosedError(
                f"index {self.info.name!r} was closed; open it again",
                backend="reference",
                operation="read or write",
            )
        table = tables.get(self.info.name)
        if table is None or not self.is_same(table):
            raise IndexNotFoundError(f"index {self.info.name!r} is not there: it was dropped")
        return table
