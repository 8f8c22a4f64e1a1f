"""Tables that another program made, read as indexes."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple, cast

from psycopg import sql

from vecbridge import FieldLimits, FieldType, IndexInfo, Metric, SchemaMismatchError
from vecbridge.fields import base_of
from vecbridge.remote import is_name
from vecbridge_pgvector._connection import Session
from vecbridge_pgvector._layout import Layout
from vecbridge_pgvector._settings import IndexType, PgvectorSettings

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
_FIELDS: dict[str, tuple[FieldType, FieldLimits]] = {
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
    rows = client.execute(_COLUMNS, [table.as_string(client)]).fetchall()
    columns = {row[0]: _Column(*row) for row in rows}
    vector = _vector(columns, settings, name)
    key = _key(columns, settings, name)
    metric, index_type = _searched(vector, settings, name)
    fields: dict[str, FieldType] = {}
    limits: dict[str, FieldLimits] = {}
    unsupported: dict[str, str] = {}
    for column in columns.values():
        if column in (vector, key):
            continue
        if column.kind not in _FIELDS or not is_name(column.name):
            unsupported[column.name] = column.kind
            continue
        if not column.deterministic:
            unsupported[column.name] = f"{column.kind}, in a nondeterministic collation"
            continue
        if column.kind == "timestamptz" and 0 <= column.modifier < _DIGITS:
            unsupported[column.name] = f"timestamptz({column.modifier}), which would round"
            continue
        kind, held = _FIELDS[column.kind]
        fields[column.name] = cast(FieldType, kind if column.filled else f"{kind}?")
        if column.kind == "varchar" and column.modifier > 0:
            held = FieldLimits(max_bytes=column.modifier - _HEADER_BYTES)
        if held != FieldLimits():
            limits[column.name] = held
    required = {each for each in unsupported if not columns[each].dispensable}
    if vector.kind == "halfvec":
        unsupported[vector.name] = "halfvec, which would round what is written"
        required.add(vector.name)
    longest = key.modifier - _HEADER_BYTES if key.modifier > 0 else _ID_BYTES
    info = IndexInfo(
        name,
        vector.modifier,
        metric,
        MappingProxyType(fields),
        unsupported=MappingProxyType(unsupported),
        required=frozenset(required),
        limits=MappingProxyType(limits),
        max_id_bytes=min(longest, _ID_BYTES),
    )
    column_name = sql.Identifier(vector.name)
    read = column_name if vector.kind == "vector" else sql.SQL("{}::vector").format(column_name)
    return Layout(
        info,
        table,
        key=sql.Identifier(key.name),
        vector=read,
        vector_column=column_name,
        norm=sql.SQL("vector_norm({})").format(read),
        fields={field: sql.Identifier(field) for field in fields},
        optional=tuple(sql.Identifier(each.name) for each in (key, vector) if not each.filled),
        unchecked_times=tuple(each for each in fields if base_of(fields[each]) == "timestamp"),
        others=[sql.Identifier(each) for each in unsupported if each != vector.name],
        index_type=index_type,
        ordered=key.collation in ("C", "POSIX", "ucs_basic"),
        owned=False,
    )


def _vector(columns: dict[str, _Column], settings: PgvectorSettings, name: str) -> _Column:
    found = [each for each in columns.values() if each.kind in _VECTORS and each.modifier > 0]
    if settings.vector_column is not None:
        found = [each for each in found if each.name == settings.vector_column]
    if len(found) != 1:
        raise SchemaMismatchError(
            f"the table of index {name!r} has {len(found)} columns of vectors of a fixed dimension"
            f"{_named(found)}; name one, with the setting vector_column"
        )
    return found[0]


def _key(columns: dict[str, _Column], settings: PgvectorSettings, name: str) -> _Column:
    # What a collation takes for equal would be one id.
    chosen = columns.get(settings.id_column or "")
    if chosen is not None and chosen.kind not in _TEXTS:
        raise SchemaMismatchError(
            f"ids are text, and the column {chosen.name!r} of the table of index {name!r} is of "
            f"type {chosen.kind}: name another one, with the setting id_column"
        )
    texts = [each for each in columns.values() if each.kind in _TEXTS and each.deterministic]
    found = [each for each in texts if each.unique]
    if settings.id_column is not None:
        found = [each for each in found if each.name == settings.id_column]
    primary = [each for each in found if each.unique == 3]
    if len(primary or found) != 1:
        raise SchemaMismatchError(
            f"the table of index {name!r} has {len(found)} columns of text that are unique"
            f"{_named(found)}; ids are kept in one: name it, with the setting id_column"
        )
    return (primary or found)[0]


def _searched(vector: _Column, settings: PgvectorSettings, name: str) -> tuple[Metric, IndexType]:
    """Return the metric, and the index that is used."""
    known: dict[Metric, set[str]] = {}
    for index in vector.indexes or []:
        method, _, operators = index.partition(" ")
        metric = _METRICS.get(operators.removeprefix(f"{vector.kind}_").removesuffix("_ops"))
        if metric is not None:
            known.setdefault(metric, set()).add(method)
    metric = settings.metric or (next(iter(known)) if len(known) == 1 else None)
    if metric is None:
        raise SchemaMismatchError(
            f"the table of index {name!r} does not say how distance is measured in it: name the "
            f"metric, with the setting metric"
        )
    usable = settings.index_type in known.get(metric, ()) and vector.kind == "vector"
    return metric, settings.index_type if usable else "none"


def _named(columns: list[_Column]) -> str:
    return f" ({', '.join(each.name for each in columns)})" if columns else ""
