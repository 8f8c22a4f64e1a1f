"""One table: the collection that an index is kept in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from psycopg import errors, sql

from vecbridge import Capabilities, Fields, Metric, Scope
from vecbridge.fields import FIELD_TYPES
from vecbridge.filters import FILTER_OPERATORS
from vecbridge.ranking import ScoreForm
from vecbridge.remote import Nearest
from vecbridge_pgvector._approximate import ApproximateIndex
from vecbridge_pgvector._connection import Session
from vecbridge_pgvector._filters import column_type
from vecbridge_pgvector._layout import Layout
from vecbridge_pgvector._reads import TableReads
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


class Table(TableReads):
    """Implements :class:`vecbridge.remote.Collection` on a table.

    Args:
        layout: of the table.
        settings: how indexes are built.
    """

    form: ScoreForm = "distance"
    exhaustive = True

    def __init__(self, layout: Layout, settings: PgvectorSettings) -> None:
        super().__init__(layout)
        self._index = ApproximateIndex(layout, settings)
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
            self.check(client)
            query = "SELECT FROM {table} WHERE {key} = ANY(%s::text[]) LIMIT 1"
            probed = ids[:: max(1, len(ids) // _PROBED)]
            if self.layout.owned and not client.execute(self.statement(query), [probed]).rowcount:
                # Likely all are new; if one is not, none is copied.
                with suppress(errors.UniqueViolation), client.transaction():
                    self._copy(client, self.layout.table, copied(*records))
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
                *(sql.SQL("{} = DEFAULT").format(each) for each in self.layout.others),
            ]
            client.execute(
                self.statement(
                    "INSERT INTO {table} ({columns}) SELECT {columns} FROM {stage} "
                    'ORDER BY {key} COLLATE "C" ON CONFLICT ({key}) DO UPDATE SET {changes}',
                    columns=sql.SQL(", ").join(self._columns()),
                    stage=stage,
                    changes=sql.SQL(", ").join(changes),
                )
            )

    def remove(self, client: Session, ids: Sequence[str]) -> None:
        """Remove records; a row without a vector is none, and stays."""
        where, values = self.where(client, Scope(within=ids))
        client.execute(self.statement("DELETE FROM {table} WHERE {where}", where=where), values)

    def nearest(
        self,
        client: Session,
        queries: NDArray[np.float32],
        limit: int,
        scope: Scope,
        effort: int | None,
    ) -> list[Nearest]:
        """Return the nearest records of each query, by an index where an effort is named."""
        where, values = self.where(client, scope)
        if effort is not None:
            self._index.use(client, effort)
        statement = self.statement(
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
            rows = self.rows(client, statement, [literal(query), *values])
            ids, vectors, scores = zip(*rows, strict=True) if rows else ((), (), ())
            table = vectors_of(vectors, self.info.dimension)
            answers.append(Nearest(ids, np.array(scores, np.float64), table))
        return answers

    def prepare(self, client: Session, records: int) -> None:
        """Build the approximate index where there is none, or where its lists have become few."""
        self._index.prepare(client, records)

    def _columns(self) -> list[sql.Composable]:
        layout = self.layout
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
