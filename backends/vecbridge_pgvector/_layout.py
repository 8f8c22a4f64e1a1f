"""How an index is kept in a table, and the statements that make one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from vecbridge import IndexInfo
from vecbridge.fields import base_of
from vecbridge.ranking import EngineGeometry
from vecbridge.remote import storage_name, to_document
from vecbridge_pgvector._filters import column_type, holds_time
from vecbridge_pgvector._settings import IndexType

LONGEST = 63
"""Characters of a name."""

# All but the first three are PostgreSQL's own, in every table.
_TAKEN = ("id", "embedding", "norm", "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid")


@dataclass(frozen=True)
class Layout:
    """How an index is kept in a table.

    Attributes:
        info: the schema of the index.
        table: the table's name, with its schema.
        key: column of the ids.
        vector: the vectors, as expression of type ``vector``.
        vector_column: column of the vectors.
        norm: their norms, as expression.
        fields: column of each field.
        optional: columns of the id and the vector that rows may lack, and are then no records.
        unchecked_times: fields that may hold times which are none of the contract.
        others: columns that no field stands for.
        ordered: the ids are kept in the order of code points.
        index_type: how it is searched.
        owned: the role may build indexes.
        standby: the server only reads, and lags.
        oid: PostgreSQL's own number of the table, which no later one of its name has.
    """

    info: IndexInfo
    table: sql.Composable
    key: sql.Composable
    vector: sql.Composable
    vector_column: sql.Composable
    norm: sql.Composable
    fields: Mapping[str, sql.Composable]
    optional: Sequence[sql.Composable] = ()
    unchecked_times: Sequence[str] = ()
    others: Sequence[sql.Composable] = ()
    ordered: bool = True
    index_type: IndexType = "none"
    owned: bool = True
    standby: bool = False
    oid: int = 0


def own_layout(
    info: IndexInfo, table: sql.Composable, index_type: IndexType, *, owned: bool
) -> Layout:
    """Return the layout of a table that vecbridge makes."""
    return Layout(
        info,
        table,
        key=sql.Identifier("id"),
        vector=sql.Identifier("embedding"),
        vector_column=sql.Identifier("embedding"),
        norm=sql.Identifier("norm"),
        fields={
            name: sql.Identifier(storage_name(name, longest=LONGEST, taken=_TAKEN))
            for name in info.fields
        },
        index_type=index_type,
        owned=owned,
    )


def creation(layout: Layout) -> Iterator[sql.Composed]:
    """Yield the statements that make a table, with the schema of the index in its comment."""
    info = layout.info
    columns = [
        sql.SQL('{} text COLLATE "C" PRIMARY KEY').format(layout.key),
        sql.SQL("{} vector({}) NOT NULL").format(layout.vector, sql.Literal(info.dimension)),
        # Generated, so that no program can change a vector and leave its norm behind.
        sql.SQL("{} double precision GENERATED ALWAYS AS (vector_norm({})) STORED").format(
            layout.norm, layout.vector
        ),
    ]
    for name, kind in info.fields.items():
        columns.append(sql.SQL("{} {}").format(layout.fields[name], column_type(kind)))
        if base_of(kind) == "timestamp":
            columns.append(sql.SQL("CHECK ({})").format(holds_time(layout.fields[name])))
    yield sql.SQL("CREATE TABLE {} ({})").format(layout.table, sql.SQL(", ").join(columns))
    yield _norm_index(layout)
    yield sql.SQL("COMMENT ON TABLE {} IS {}").format(layout.table, sql.Literal(to_document(info)))


def _norm_index(layout: Layout) -> sql.Composed:
    """Return what makes records quick to find on which float32 is no good."""
    create = sql.SQL("CREATE INDEX ON {} ({})").format(layout.table, layout.norm)
    if layout.info.metric == "dotproduct":
        return create
    low, high = EngineGeometry(layout.info.metric, layout.info.dimension, "distance").band
    outside = sql.SQL(" WHERE {0} < {1}::double precision OR {0} > {2}::double precision")
    return create + outside.format(layout.norm, sql.Literal(low), sql.Literal(high))
