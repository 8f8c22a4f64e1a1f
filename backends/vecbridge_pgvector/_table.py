"""One table: the collection that an index is kept in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import errors, sql

from vecbridge import Capabilities, CorruptStoreError, Fields, IdRange, Metric, Records, Scope
from vecbridge.fields import FIELD_TYPES, base_of
from vecbridge.filters import FILTER_OPERATORS
from vecbridge.ranking import ScoreForm
from vecbridge.remote import NORM, Columns, Nearest, Page, id_bounds
from vecbridge_pgvector._approximate import ApproximateIndex
from vecbridge_pgvector._connection import Session
from vecbridge_pgvector._filters import Condition, column_type, holds_time
from vecbridge_pgvector._layout import Layout
from vecbridge_pgvector._settings import IndexType, PgvectorSettings
from vecbridge_pgvector._wire import copied, literal, vectors_of

MAX_DIMENSION: dict[IndexType, int] = {"none": 16_000, "hnsw": 2_000, "ivfflat": 2_000}
_OPERATORS: dict[Metric, sql.SQL] = {
    "cosine": sql.SQL("<=>"),
    "dotproduct": sql.SQL("<#>"),
    "euclidean": sql.SQL("<->"),
}
_BATCH_BYTES = 32 << 20
_PROBED = 100
_MICROSECONDS = sql.SQL(
    "CASE WHEN {times} THEN (extract(epoch FROM {column}) * 1000000)::bigint "
    "WHEN {column} IS NOT NULL THEN 9223372036854775807 END"
)
_NO_TIME = 2**63 - 1


class Table:
    """Implements :class:`vecbridge.remote.Collection` on a table.

    Args:
        layout: of the table.
        settings: how indexes are built.
    """

    form: ScoreForm = "distance"
    exhaustive = True

    def __init__(self, layout: Layout, settings: PgvectorSettings) -> None:
        self._layout = layout
        self._settings = settings
        self._index = ApproximateIndex(layout, settings)
        self.info = layout.info
        self.form = "negative" if layout.info.metric == "dotproduct" else "distance"
        self.capabilities = Capabilities(
            exact=layout.index_type == "none",
            recall=None if layout.index_type == "none" else settings.recall,
            range_search=False,
            farthest=False,
            partitions=layout.ordered,
            max_dimension=MAX_DIMENSION[settings.index_type],
            max_k=None,
            max_within=50_000,
            max_batch_bytes=_BATCH_BYTES,
            field_types=frozenset(FIELD_TYPES),
            filters=FILTER_OPERATORS,
            filters_except=frozenset(),
            consistency=frozenset({"eventual"} if layout.standby else {"strong"}),
            durable=True,
            shared=True,
        )

    @property
    def efforts(self) -> Sequence[int]:
        """The values of ``hnsw.ef_search``, or of ``ivfflat.probes``."""
        return self._index.efforts

    def put(
        self,
        client: Session,
        ids: Sequence[str],
        vectors: NDArray[np.float32],
        norms: NDArray[np.float64],
        fields: Fields,
    ) -> None:
        """Copy new records into the table, and the others by way of a temporary one."""
        # In one order, so that writers of the same ids wait for each other and in no circle.
        ids = list(ids)
        order = sorted(range(len(ids)), key=ids.__getitem__)
        if order != [*range(len(ids))]:
            ids = [ids[row] for row in order]
            fields = {name: [column[row] for row in order] for name, column in fields.items()}
            vectors = vectors[order]
        records = ids, vectors, fields, self.info.fields
        with client.transaction():
            query = "SELECT FROM {table} WHERE {key} = ANY(%s::text[]) LIMIT 1"
            probed = ids[:: max(1, len(ids) // _PROBED)]
            if self._layout.owned and not client.execute(self._sql(query), [probed]).rowcount:
                # Likely all are new; if one is not, none is copied.
                with suppress(errors.UniqueViolation), client.transaction():
                    self._copy(client, self._layout.table, copied(*records))
                    return
            # Its columns are of the types of the contract, where the table's may be narrower.
            stage = sql.Identifier("pg_temp", "vecbridge_stage")
            declared = sql.SQL(", ").join(self._declared())
            client.execute(
                sql.SQL("CREATE TEMP TABLE vecbridge_stage ({}) ON COMMIT DROP").format(declared)
            )
            self._copy(client, stage, copied(*records))
            changes = [
                *(sql.SQL("{0} = excluded.{0}").format(each) for each in self._columns()),
                *(sql.SQL("{} = DEFAULT").format(each) for each in self._layout.others),
            ]
            client.execute(
                self._sql(
                    "INSERT INTO {table} ({columns}) SELECT {columns} FROM {stage} "
                    'ORDER BY {key} COLLATE "C" ON CONFLICT ({key}) DO UPDATE SET {changes}',
                    columns=sql.SQL(", ").join(self._columns()),
                    stage=stage,
                    changes=sql.SQL(", ").join(changes),
                )
            )

    def remove(self, client: Session, ids: Sequence[str]) -> None:
        """Remove records; a row without a vector is none, and stays."""
        where, values = self._where(client, Scope(within=ids))
        client.execute(self._sql("DELETE FROM {table} WHERE {where}", where=where), values)

    def get(self, client: Session, ids: Sequence[str], columns: Columns) -> Records:
        """Return the records of ids."""
        return self._records(client, Scope(within=ids), columns)

    def count(self, client: Session, scope: Scope) -> int:
        """Return the number of records in scope."""
        where, values = self._where(client, scope)
        query = self._sql("SELECT count(*) FROM {table} WHERE {where}", where=where)
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
        key = self._layout.key if ids is None else self._sql('{key} COLLATE "C"')
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
        statement = self._sql(
            query + " FROM {table} WHERE {where}", where=self._where(client, Scope())[0]
        )
        found = client.execute(statement, [shares]).fetchall()[0][0]
        return [name for name in found or () if name is not None]

    def nearest(
        self,
        client: Session,
        queries: NDArray[np.float32],
        limit: int,
        scope: Scope,
        effort: int | None,
    ) -> list[Nearest]:
        """Return the nearest records of each query, by an index where an effort is named."""
        where, values = self._where(client, scope)
        if effort is not None:
            self._index.use(client, effort)
        statement = self._sql(
            "SELECT {key}, {vector}, ({vector} {operator} %s::vector){exact} FROM {table} "
            "WHERE {where} ORDER BY 3 LIMIT {limit}",
            operator=_OPERATORS[self.info.metric],
            # No index orders by a sum: every row is looked at, whatever indexes there are.
            exact=sql.SQL(" + 0" if effort is None else ""),
            where=where,
            limit=sql.Literal(limit),
        )
        answers = []
        for query in queries:
            rows = self._rows(client, statement, [literal(query), *values])
            ids, vectors, scores = zip(*rows, strict=True) if rows else ((), (), ())
            table = vectors_of(vectors, self.info.dimension)
            answers.append(Nearest(ids, np.array(scores, np.float64), table))
        return answers

    def sample(self, client: Session, count: int) -> NDArray[np.float32]:
        """Return the vectors of some records."""
        where, values = self._where(client, Scope())
        chosen = self._sql(
            "SELECT {key} FROM {table} WHERE {where} ORDER BY random() LIMIT {count}",
            where=where,
            count=sql.Literal(count),
        )
        statement = self._sql(
            "SELECT {vector} FROM {table} WHERE {key} IN ({chosen})", chosen=chosen
        )
        rows = self._rows(client, statement, values)
        return vectors_of([row[0] for row in rows], self.info.dimension)

    def prepare(self, client: Session, records: int) -> None:
        """Build the approximate index where there is none, or where its lists have become few."""
        self._index.prepare(client, records)

    def _records(
        self,
        client: Session,
        scope: Scope,
        columns: Columns,
        key: sql.Composable | None = None,
        bounds: Sequence[tuple[str, str]] = (),
        limit: int | None = None,
    ) -> Records:
        where, values = self._where(client, scope)
        for operator, bound in bounds:
            beyond = "{where} AND {at} " + operator + " %s"
            where = self._sql(beyond, where=where, at=key or self._layout.key)
            values.append(bound)
        wanted = [self._layout.key, *([self._layout.vector] if columns.vectors else [])]
        wanted += [self._read_field(name) for name in columns.fields]
        ordered = sql.SQL("") if key is None else sql.SQL(" ORDER BY {}").format(key)
        statement = self._sql(
            "SELECT {wanted} FROM {table} WHERE {where}{ordered} LIMIT {limit}",
            wanted=sql.SQL(", ").join(wanted),
            where=where,
            ordered=ordered,
            limit=sql.Literal(limit),
        )
        rows = self._rows(client, statement, values)
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
        column = self._layout.fields[name]
        # As the integer that it is, and one for all that are no times of the contract.
        is_time = base_of(self.info.fields[name]) == "timestamp"
        return _MICROSECONDS.format(times=holds_time(column), column=column) if is_time else column

    def _where(self, client: Session, scope: Scope) -> tuple[sql.Composable, list[Any]]:
        """Return the condition of the records in scope, and the values of its placeholders."""
        values: list[Any] = []
        conditions: list[sql.Composable] = [
            self._sql("{column} IS NOT NULL", column=column) for column in self._layout.optional
        ]
        if scope.within is not None:
            conditions.append(self._sql("{key} = ANY(%s::text[])"))
            values.append([*scope.within])
        if scope.where is not None:
            columns = {**self._layout.fields, NORM: self._layout.norm}
            condition = Condition(columns, self.info.fields, scope.where)
            self._refuse_other_times(client, condition.names)
            conditions.append(condition.text)
            values += condition.values
        return sql.SQL(" AND ").join(conditions or [sql.SQL("true")]), values

    def _refuse_other_times(self, client: Session, names: set[str]) -> None:
        """Refuse to filter fields of times in which a row holds one that no filter can name.

        The client layer has settled the filter for the years 1 to 9999: a comparison that all of
        them meet asks for no more than a value.
        """
        for name in names.intersection(self._layout.unchecked_times):
            conditions, _ = self._where(client, Scope())
            statement = self._sql(
                "SELECT {key} FROM {table} WHERE {conditions} AND NOT ({times}) LIMIT 1",
                conditions=conditions,
                times=holds_time(self._layout.fields[name]),
            )
            for row in self._rows(client, statement, []):
                raise _no_time(name, row[0])

    def _columns(self) -> list[sql.Composable]:
        layout = self._layout
        return [layout.key, layout.vector_column, *layout.fields.values()]

    def _declared(self) -> Iterator[sql.Composed]:
        """Yield the columns with the types that they are copied in."""
        kinds: list[sql.Composable] = [sql.SQL("text"), sql.SQL("vector")]
        kinds += [column_type(kind) for kind in self.info.fields.values()]
        for column, kind in zip(self._columns(), kinds, strict=True):
            yield sql.SQL("{} {}").format(column, kind)

    def _copy(self, client: Session, table: sql.Composable, parts: Iterable[bytes]) -> None:
        columns = sql.SQL(", ").join(self._columns())
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(table, columns)
        with client.cursor() as cursor, cursor.copy(statement) as copy:
            for part in parts:
                copy.write(part)

    def _rows(
        self, client: Session, statement: sql.Composed, values: Sequence[Any]
    ) -> list[tuple[Any, ...]]:
        with client.cursor(binary=True) as cursor:
            rows: list[tuple[Any, ...]] = cursor.execute(statement, values).fetchall()
        return rows

    def _sql(self, text: str, **parts: sql.Composable) -> sql.Composed:
        """Return a statement over the table; the text is this module's own."""
        layout = self._layout
        named = {"table": layout.table, "key": layout.key, "vector": layout.vector}
        return sql.SQL(text).format(**named, **parts)  # pyright: ignore[reportArgumentType]


def _no_time(name: str, row: str) -> CorruptStoreError:
    return CorruptStoreError(
        f"field {name!r} of record {row!r} holds a time outside of the years 1 to 9999, or "
        f"infinity, which is no value of a timestamp; change it, or set it to NULL",
        backend="pgvector",
        operation="read",
    )
