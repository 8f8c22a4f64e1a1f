"""Records and hits as Arrow has them. Importing this needs pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from vecbridge._contract._field_types import BaseType, FieldType, FieldValue, base_of
from vecbridge._contract._hits import Hits
from vecbridge._contract._records import IndexInfo, Records
from vecbridge._errors import InvalidArgumentError

MARK = b"vecbridge"
"""Key of what a table says of itself, in the metadata of its schema."""

ID, VECTOR, DISTANCE = "id", "vector", "distance"
_TYPES: dict[BaseType, Any] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "strings": pa.list_(pa.string()),
}


def schema_of(info: IndexInfo, fields: Sequence[str] | None = None, *, vectors: bool = True) -> Any:
    """Return the schema of an index's records.

    Args:
        info: of the index.
        fields: names of some fields; all by default.
        vectors: whether the vectors are a column.
    """
    names = info.fields if fields is None else fields
    kinds: dict[str, FieldType] = {name: info.fields[name] for name in names}
    columns = [
        (ID, pa.string()),
        *([(VECTOR, pa.list_(pa.float32(), info.dimension))] if vectors else []),
        *((name, _TYPES[base_of(kind)]) for name, kind in kinds.items()),
    ]
    # Every column may have nulls; which fields may be missing is said beside them.
    about = {"metric": info.metric, "index": info.name, "fields": kinds}
    return pa.schema(columns, metadata={MARK: json.dumps(about).encode()})


def reader_of(
    batches: Iterable[Records], info: IndexInfo, fields: Sequence[str], *, vectors: bool
) -> Any:
    """Return batches of records as a reader of record batches."""
    _refuse_names(fields, ID, VECTOR)
    schema = schema_of(info, fields, vectors=vectors)
    return pa.RecordBatchReader.from_batches(
        schema, (record_batch(records, schema) for records in batches)
    )


def record_batch(records: Records, schema: Any) -> Any:
    """Return records as a batch of a schema that :func:`schema_of` gave."""
    columns = [_column(records, each) for each in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(records: Records, field: Any) -> Any:
    if field.name == ID:
        return pa.array(records.ids, pa.string())
    if field.name == VECTOR:
        return _vectors(records)
    return pa.array(records.fields[field.name], field.type)


def records_table(records: Records) -> Any:
    """Return records as a table of ids, vectors and fields, of the types that they are known by."""
    _refuse_names(records.fields, ID, VECTOR)
    vectors = {VECTOR: _vectors(records)} if records.vectors.shape[1] else {}
    ids = pa.array(records.ids, pa.string())
    return pa.table({ID: ids, **vectors, **_arrays(records)})


def hits_table(hits: Hits) -> Any:
    """Return hits as a table of ids, distances and fields, with types as of records."""
    _refuse_names(hits.fields, ID, DISTANCE)
    ids = pa.array(hits.ids, pa.string())
    return pa.table({ID: ids, DISTANCE: pa.array(hits.distances), **_arrays(hits)})


def _refuse_names(fields: Iterable[str], *kept: str) -> None:
    if clash := sorted(set(kept) & set(fields)):
        raise InvalidArgumentError(
            f"a table has {' and '.join(kept)} as columns of their own, and there are fields of "
            f"these names: {clash}; request the other fields with fields=[...]"
        )


def data_frame(table: Any) -> Any:
    """Return a table as a data frame of pandas, every value as it is.

    Integers and booleans of which some are missing become pandas' own nullable types: as numbers
    with NaN, large integers would be rounded.
    """
    import pandas as pd

    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    sparse = [name for name in table.column_names if table[name].null_count]
    kinds = {name: nullable.get(table.schema.field(name).type) for name in sparse}
    frame = table.to_pandas()
    for name, kind in kinds.items():
        if kind is not None:
            frame[name] = pd.array(table[name].to_pylist(), dtype=kind)
    return frame


def _vectors(records: Records) -> Any:
    flat = pa.array(records.vectors.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, records.vectors.shape[1])


def _arrays(answer: Records | Hits) -> dict[str, Any]:
    return {
        name: pa.array(values, _TYPES[base_of(answer.types[name])])
        if name in answer.types
        else _array(values)
        for name, values in answer.fields.items()
    }


def _array(values: Sequence[FieldValue]) -> Any:
    first = next((value for value in values if value is not None), None)
    if isinstance(first, datetime):
        return pa.array(values, _TYPES["timestamp"])
    if first is not None and not isinstance(first, (str, int, float)):
        return pa.array(values, _TYPES["strings"])
    return pa.array(values)
