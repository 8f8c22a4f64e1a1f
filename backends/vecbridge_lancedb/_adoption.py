"""Tables that another program made, read as indexes."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from vecbridge import FieldLimits, FieldType, IndexInfo, Metric, SchemaMismatchError
from vecbridge_lancedb._layout import Layout, norm_of, quoted
from vecbridge_lancedb._settings import LancedbSettings

NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,254}")
"""What the contract takes for a name."""

_METRICS: dict[str, Metric] = {"cosine": "cosine", "dot": "dotproduct", "l2": "euclidean"}


def adopted(table: Any, settings: LancedbSettings, name: str) -> Layout:
    """Return how an index is kept in a table that another program made.

    Raises:
        SchemaMismatchError: it is not laid out in a way that an index can be kept in.
    """
    columns = {field.name: field for field in table.schema}
    vector = _vector(columns, settings, name)
    key = columns.get(settings.id_column)
    if key is None or not _is_text(key.type):
        raise SchemaMismatchError(
            f"the table of index {name!r} has no column {settings.id_column!r} of strings; ids are "
            f"kept in one: name it, with the setting id_column"
        )
    _refuse_twins(table, key.name, name)
    fields: dict[str, FieldType] = {}
    limits: dict[str, FieldLimits] = {}
    unsupported: dict[str, str] = {}
    for field in columns.values():
        if field in (vector, key):
            continue
        found = _field(field.type) if NAME.fullmatch(field.name) else None
        if found is None:
            unsupported[field.name] = str(field.type)
            continue
        kind, held = found
        fields[field.name] = cast(FieldType, f"{kind}?" if field.nullable else kind)
        if held != FieldLimits():
            limits[field.name] = held
    info = IndexInfo(
        name,
        vector.type.list_size,
        _metric(table, settings, vector.name, name),
        MappingProxyType(fields),
        unsupported=MappingProxyType(unsupported),
        required=frozenset(each for each in unsupported if not columns[each].nullable),
        limits=MappingProxyType(limits),
    )
    return Layout(
        info,
        table.name,
        {each: each for each in fields},
        key=key.name,
        vector=vector.name,
        norm=norm_of(vector.name, info.dimension),
        optional=[each.name for each in (key, vector) if each.nullable],
        owned=False,
    )


def _vector(columns: dict[str, Any], settings: LancedbSettings, name: str) -> Any:
    found = [each for each in columns.values() if _is_vector(each.type)]
    if settings.vector_column is not None:
        found = [each for each in found if each.name == settings.vector_column]
    if len(found) != 1:
        named = f" ({', '.join(each.name for each in found)})" if found else ""
        raise SchemaMismatchError(
            f"the table of index {name!r} has {len(found)} columns of float32 vectors of a fixed "
            f"dimension{named}; name one, with the setting vector_column"
        )
    return found[0]


def _metric(table: Any, settings: LancedbSettings, vector: str, name: str) -> Metric:
    known: set[Metric] = {
        _METRICS[stats.distance_type]
        for each in table.list_indices()
        if each.columns == [vector] and (stats := table.index_stats(each.name)) is not None
        if stats.distance_type in _METRICS
    }
    metric = settings.metric or (next(iter(known)) if len(known) == 1 else None)
    if metric is None:
        raise SchemaMismatchError(
            f"the table of index {name!r} does not say how distance is measured in it: name the "
            f"metric, with the setting metric"
        )
    return metric


def _refuse_twins(table: Any, key: str, name: str) -> None:
    ids = table.search().where(f"{quoted(key)} IS NOT NULL").select([key]).to_arrow()[key]
    more = len(ids) - pc.count_distinct(ids).as_py()
    if more:
        raise SchemaMismatchError(
            f"the table of index {name!r} has {more} rows whose id another row has, too: delete "
            f"them, or name another column, with the setting id_column"
        )


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_vector(kind: Any) -> bool:
    return bool(pa.types.is_fixed_size_list(kind) and pa.types.is_float32(kind.value_type))


def _field(kind: Any) -> tuple[str, FieldLimits] | None:
    """Return the type of a field that a column can be, and what it holds."""
    if _is_text(kind):
        return "string", FieldLimits()
    if pa.types.is_signed_integer(kind):
        most = 2 ** (kind.bit_width - 1)
        return "integer", FieldLimits(smallest=-most, largest=most - 1)
    # NaN is a value here, and equals itself: such fields are compared by the client layer.
    if pa.types.is_float32(kind):
        return "float", FieldLimits(single_precision=True, pushable=False)
    if pa.types.is_float64(kind):
        return "float", FieldLimits(pushable=False)
    if pa.types.is_boolean(kind):
        return "boolean", FieldLimits()
    if pa.types.is_list(kind) and _is_text(kind.value_type):
        return "strings", FieldLimits(pushable=False)
    return None
