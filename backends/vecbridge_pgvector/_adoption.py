"""Tables that another program made, read as indexes."""

from __future__ import annotations

from operator import attrgetter
from typing import NamedTuple

from psycopg import sql

from vecbridge import FieldLimits, FieldType, IndexInfo, Metric, SchemaMismatchError
from vecbridge.fields import BaseType, as_optional, base_of
from vecbridge.remote import ForeignSchema
from vecbridge_pgvector._connection import Session
from vecbridge_pgvector._layout import Layout
from vecbridge_pgvector._settings import PgvectorSettings

_COLUMNS = """
    SELECT a.attname, t.typname, a.atttypmod, a.attnotnull,
           NOT a.attnotnull OR a.atthasdef OR a.attidentity <> '', coalesce(c.collname, ''),
           coalesce(c.collisdeterministic, true),
           (SELECT max(2 * i.indisprimary::int + 1) FROM pg_index i
            WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
              AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum),
           (SELECT array_agg(m.amname || ' ' || o.opcname) FROM pg_index i
            JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
            JOIN pg_opclass o ON o.oid = i.indclass[0]
            WHERE i.indrelid = a.attrelid AND i.indisvalid AND i.indkey[0] = a.attnum)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_collation c ON c.oid = a.attcollation
    WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_VECTORS = ("vector", "halfvec")
_TEXTS = ("text", "varchar")
_METRICS: dict[str, Metric] = {"cosine": "cosine", "ip": "dotproduct", "l2": "euclidean"}
_FIELDS: dict[str, tuple[BaseType, FieldLimits]] = {
    "text": ("string", FieldLimits()),
    "varchar": ("string", FieldLimits()),
    "int2": ("integer", FieldLimits(smallest=-(2**15), largest=2**15 - 1)),
    "int4": ("integer", FieldLimits(smallest=-(2**31), largest=2**31 - 1)),
    "int8": ("integer", FieldLimits()),
    # NaN is a value here, and equals itself: such fields are compared by the client layer.
    "float4": ("float", FieldLimits(single_precision=True, pushable=False)),
    "float8": ("float", FieldLimits(pushable=False)),
    "bool": ("boolean", FieldLimits()),
    "timestamptz": ("timestamp", FieldLimits()),
    "_text": ("strings", FieldLimits()),
}
_NAMED = attrgetter("name")
_HEADER_BYTES = 4
_ID_BYTES = IndexInfo.max_id_bytes
_DIGITS = 6  # of a second, in a time of the contract


class _Column(NamedTuple):
    name: str
    kind: str
    modifier: int
    filled: bool
    dispensable: bool
    collation: str
    deterministic: bool
    unique: int | None
    indexes: list[str] | None


def adopted(
    client: Session, settings: PgvectorSettings, name: str, table: sql.Identifier
) -> Layout:
    """Return how an index is kept in a table that another program made.

    Raises:
        SchemaMismatchError: it is not laid out in a way that an index can be kept in.
    """
    schema = ForeignSchema(name)
    rows = client.execute(_COLUMNS, [table.as_string(client)]).fetchall()
    columns = {row[0]: _Column(*row) for row in rows}
    vector = schema.only(
        [
            each
            for each in columns.values()
            if each.kind in _VECTORS and each.modifier > 0
            if settings.vector_column in (None, each.name)
        ],
        "columns of vectors of a fixed dimension",
        "vector_column",
        _NAMED,
    )
    key = _key(schema, columns, settings, name)
    known = _searched(vector)
    metric = schema.metric(known, settings.metric)
    for column in columns.values():
        if column in (vector, key):
            continue
        kind, told, held = _field(column)
        schema.add(column.name, kind, told, limits=held, required=not column.dispensable)
    if vector.kind == "halfvec":
        rounded = "halfvec, which would round what is written"
        schema.add(vector.name, None, rounded, required=True)
    longest = key.modifier - _HEADER_BYTES if key.modifier > 0 else _ID_BYTES
    info = schema.info(vector.modifier, metric, max_id_bytes=min(longest, _ID_BYTES))
    usable = settings.index_type in known.get(metric, ()) and vector.kind == "vector"
    column_name = sql.Identifier(vector.name)
    read = column_name if vector.kind == "vector" else sql.SQL("{}::vector").format(column_name)
    return Layout(
        info,
        table,
        key=sql.Identifier(key.name),
        vector=read,
        vector_column=column_name,
        norm=sql.SQL("vector_norm({})").format(read),
        fields={field: sql.Identifier(field) for field in info.fields},
        optional=tuple(sql.Identifier(each.name) for each in (key, vector) if not each.filled),
        unchecked_times=tuple(
            each for each, kind in info.fields.items() if base_of(kind) == "timestamp"
        ),
        others=[sql.Identifier(each) for each in info.unsupported if each != vector.name],
        index_type=settings.index_type if usable else "none",
        ordered=key.collation in ("C", "POSIX", "ucs_basic"),
        owned=False,
    )


def _field(column: _Column) -> tuple[FieldType | None, str, FieldLimits]:
    """Return the field that a column can be, what it is otherwise, and what it holds."""
    kind, held = _FIELDS.get(column.kind, (None, FieldLimits()))
    told = column.kind
    if kind is not None and not column.deterministic:
        kind, told = None, f"{column.kind}, in a nondeterministic collation"
    elif column.kind == "timestamptz" and 0 <= column.modifier < _DIGITS:
        kind, told = None, f"timestamptz({column.modifier}), which would round"
    elif column.kind == "varchar" and column.modifier > 0:
        held = FieldLimits(max_bytes=column.modifier - _HEADER_BYTES)
    if kind is None or column.filled:
        return kind, told, held
    return as_optional(kind), told, held


def _key(
    schema: ForeignSchema, columns: dict[str, _Column], settings: PgvectorSettings, name: str
) -> _Column:
    # What a collation takes for equal would be one id.
    chosen = columns.get(settings.id_column or "")
    if chosen is not None and chosen.kind not in _TEXTS:
        raise SchemaMismatchError(
            f"ids are text, and the column {chosen.name!r} of the table of index {name!r} is of "
            f"type {chosen.kind}: name another one, with the setting id_column"
        )
    texts = [each for each in columns.values() if each.kind in _TEXTS and each.deterministic]
    found = [each for each in texts if each.unique and settings.id_column in (None, each.name)]
    primary = [each for each in found if each.unique == 3]
    return schema.only(primary or found, "columns of text that are unique", "id_column", _NAMED)


def _searched(vector: _Column) -> dict[Metric, set[str]]:
    """Return the kinds of indexes that search by each metric."""
    known: dict[Metric, set[str]] = {}
    for index in vector.indexes or []:
        method, _, operators = index.partition(" ")
        metric = _METRICS.get(operators.removeprefix(f"{vector.kind}_").removesuffix("_ops"))
        if metric is not None:
            known.setdefault(metric, set()).add(method)
    return known
