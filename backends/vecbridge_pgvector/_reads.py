"""The reads of a table: records by ids, by pages, by chance, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from vecbridge import CorruptStoreError, IdRange, IndexNotFoundError, Records, Scope
from vecbridge.fields import base_of
from vecbridge.remote import NORM, Columns, Page, id_bounds
from vecbridge_pgvector._connection import Session
from vecbridge_pgvector._filters import Condition, holds_time
from vecbridge_pgvector._layout import Layout
from vecbridge_pgvector._wire import vectors_of

_MICROSECONDS = sql.SQL(
    "CASE WHEN {times} THEN (extract(epoch FROM {column}) * 1000000)::bigint "
    "WHEN {column} IS NOT NULL THEN 9223372036854775807 END"
)
_NO_TIME = 2**63 - 1


class TableReads:
    """Reads a table.

    Args:
        layout: of the table.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.info = layout.info

    def get(self, client: Session, ids: Sequence[str], columns: Columns) -> Records:
        """Return the records of ids."""
        return self._records(client, Scope(within=ids), columns)

    def count(self, client: Session, scope: Scope) -> int:
        """Return the number of records in scope."""
        where, values = self.where(client, scope)
        query = self.statement("SELECT count(*) FROM {table} WHERE {where}", where=where)
        return int(client.execute(query, values).fetchall()[0][0])

    def page(
        self,
        client: Session,
        scope: Scope,
        ids: IdRange | None,
        limit: int,
        after: str | None,
        columns: Columns,
    ) -> Page:
        """Return records by the order of their ids: of the column's own, or of code points."""
        # The order of another collation serves as well where none is asked for, and has an index.
        key = self.layout.key if ids is None else self.statement('{key} COLLATE "C"')
        bounds = id_bounds(ids, after)
        records = self._records(client, scope, columns, key, bounds, limit)
        return Page(records, records.ids[-1] if len(records) == limit else None)

    def cuts(self, client: Session, count: int) -> list[str]:
        """Return ids that cut the records into parts of about one size."""
        rows = self.count(client, Scope())
        # Of the row at which each part but the first begins; the half is room for rounding.
        starts = sorted({part * rows // count for part in range(1, count)} - {0})
        shares = [(start + 0.5) / rows for start in starts]
        query = 'SELECT percentile_disc(%s::float8[]) WITHIN GROUP (ORDER BY {key} COLLATE "C")'
        statement = self.statement(
            query + " FROM {table} WHERE {where}", where=self.where(client, Scope())[0]
        )
        found = client.execute(statement, [shares]).fetchall()[0][0]
        return [name for name in found or () if name is not None]

    def sample(self, client: Session, count: int) -> NDArray[np.float32]:
        """Return the vectors of some records."""
        where, values = self.where(client, Scope())
        chosen = self.statement(
            "SELECT {key} FROM {table} WHERE {where} ORDER BY random() LIMIT {count}",
            where=where,
            count=sql.Literal(count),
        )
        statement = self.statement(
            "SELECT {vector} FROM {table} WHERE {key} IN ({chosen})", chosen=chosen
        )
        rows = self.rows(client, statement, values)
        return vectors_of([row[0] for row in rows], self.info.dimension)

    def _records(
        self,
        client: Session,
        scope: Scope,
        columns: Columns,
        key: sql.Composable | None = None,
        bounds: Sequence[tuple[str, str]] = (),
        limit: int | None = None,
    ) -> Records:
        where, values = self.where(client, scope)
        for operator, bound in bounds:
            beyond = "{where} AND {at} " + operator + " %s"
            where = self.statement(beyond, where=where, at=key or self.layout.key)
            values.append(bound)
        wanted = [self.layout.key, *([self.layout.vector] if columns.vectors else [])]
        wanted += [self._read_field(name) for name in columns.fields]
        ordered = sql.SQL("") if key is None else sql.SQL(" ORDER BY {}").format(key)
        statement = self.statement(
            "SELECT {wanted} FROM {table} WHERE {where}{ordered} LIMIT {limit}",
            wanted=sql.SQL(", ").join(wanted),
            where=where,
            ordered=ordered,
            limit=sql.Literal(limit),
        )
        rows = self.rows(client, statement, values)
        found: list[Any] = [*map(list, zip(*rows, strict=True))] or [[] for _ in wanted]
        ids, *rest = found
        vectors = np.empty((len(ids), 0), np.float32)
        if columns.vectors:
            vectors = vectors_of(rest.pop(0), self.info.dimension)
        fields = dict(zip(columns.fields, rest, strict=True))
        for name, column in fields.items():
            if base_of(self.info.fields[name]) == "timestamp" and _NO_TIME in column:
                raise _no_time(name, ids[column.index(_NO_TIME)])
        return Records(tuple(ids), vectors, fields)

    def _read_field(self, name: str) -> sql.Composable:
        column = self.layout.fields[name]
        # As the integer that it is, and one for all that are no times of the contract.
        is_time = base_of(self.info.fields[name]) == "timestamp"
        return _MICROSECONDS.format(times=holds_time(column), column=column) if is_time else column

    def where(self, client: Session, scope: Scope) -> tuple[sql.Composable, list[Any]]:
        """Return the condition of the records in scope, and the values of its placeholders.

        Raises:
            IndexNotFoundError: the table is not the one that was opened.
        """
        self.check(client)
        values: list[Any] = []
        conditions: list[sql.Composable] = [
            self.statement("{column} IS NOT NULL", column=column) for column in self.layout.optional
        ]
        if scope.within is not None:
            conditions.append(self.statement("{key} = ANY(%s::text[])"))
            values.append([*scope.within])
        if scope.where is not None:
            columns = {**self.layout.fields, NORM: self.layout.norm}
            condition = Condition(columns, self.info.fields, scope.where)
            self._refuse_other_times(client, condition.names)
            conditions.append(condition.text)
            values += condition.values
        return sql.SQL(" AND ").join(conditions or [sql.SQL("true")]), values

    def check(self, client: Session) -> None:
        """Look whether the table is the one that was opened.

        Raises:
            IndexNotFoundError: it was dropped, and another one may have its name.
        """
        name = self.layout.table.as_string(client)
        found = client.execute("SELECT to_regclass(%s)::oid", [name]).fetchall()[0][0]
        if found != self.layout.oid:
            raise IndexNotFoundError(
                f"index {self.info.name!r} was dropped after it was opened; open it again, "
                f"if there is another one of its name"
            )

    def _refuse_other_times(self, client: Session, names: set[str]) -> None:
        """Refuse to filter fields of times in which a row holds one that no filter can name.

        The client layer has settled the filter for the years 1 to 9999: a comparison that all of
        them meet asks for no more than a value.
        """
        for name in names.intersection(self.layout.unchecked_times):
            conditions, _ = self.where(client, Scope())
            statement = self.statement(
                "SELECT {key} FROM {table} WHERE {conditions} AND NOT ({times}) LIMIT 1",
                conditions=conditions,
                times=holds_time(self.layout.fields[name]),
            )
            for row in self.rows(client, statement, []):
                raise _no_time(name, row[0])

    def rows(
        self, client: Session, statement: sql.Composed, values: Sequence[Any]
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a statement, in PostgreSQL's binary form."""
        with client.cursor(binary=True) as cursor:
            rows: list[tuple[Any, ...]] = cursor.execute(statement, values).fetchall()
        return rows

    def statement(self, text: str, **parts: sql.Composable) -> sql.Composed:
        """Return a statement over the table; the text is this package's own."""
        layout = self.layout
        named = {"table": layout.table, "key": layout.key, "vector": layout.vector}
        return sql.SQL(text).format(**named, **parts)  # pyright: ignore[reportArgumentType]


def _no_time(name: str, row: str) -> CorruptStoreError:
    return CorruptStoreError(
        f"field {name!r} of record {row!r} holds a time outside of the years 1 to 9999, or "
        f"infinity, which is no value of a timestamp; change it, or set it to NULL",
        backend="pgvector",
        operation="read",
    )
