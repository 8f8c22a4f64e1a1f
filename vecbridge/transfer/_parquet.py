"""Records in Parquet, through pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from vecbridge._contract._consistency import Consistency
from vecbridge._contract._records import FieldType, IndexInfo, Records
from vecbridge._errors import MissingDependencyError
from vecbridge._front._index import Index
from vecbridge.transfer._progress import Progress
from vecbridge.transfer._source import BATCH_IDS, Source, batch_rows, metric_said, unusable

_MARK = b"vecbridge"
_ID, _VECTOR = "id", "vector"


class Format:
    """Writes and reads the format.

    Attributes:
        taken: names that no field can have beside it.
    """

    taken: ClassVar[frozenset[str]] = frozenset({_ID, _VECTOR})

    @staticmethod
    def write(index: Index, path: Path, consistency: Consistency, progress: Progress) -> int:
        """Writes every record; returns how many."""
        arrow, parquet = _pyarrow()
        info = index.info
        schema = _schema(arrow, info)
        total, written = index.count(consistency=consistency), 0
        with parquet.ParquetWriter(path, schema, write_page_checksum=True) as writer:
            for records in index.scan(consistency=consistency):
                writer.write_batch(_encoded(arrow, schema, records))
                written += len(records)
                progress("exporting", written, total)
        return written

    @staticmethod
    @contextmanager
    def opened(path: Path) -> Iterator[Source]:
        """The file, while the block lasts."""
        arrow, parquet = _pyarrow()
        try:
            file = parquet.ParquetFile(path, page_checksum_verification=True)
        except (OSError, arrow.ArrowException) as error:
            raise unusable(path, error) from error
        with file:
            yield _source(arrow, file, path)


def _source(arrow: ModuleType, file: Any, path: Path) -> Source:
    schema = file.schema_arrow
    names = set(schema.names)
    if not {_ID, _VECTOR} <= names:
        raise unusable(path, f"it has the columns {sorted(names)}, not {_ID!r} and {_VECTOR!r}")
    _check_types(arrow, schema, path)
    fields: dict[str, FieldType] = {
        name: _field_type(arrow, schema.field(name).type, path)
        for name in schema.names
        if name not in {_ID, _VECTOR}
    }
    try:
        dimension = getattr(schema.field(_VECTOR).type, "list_size", None) or _first_length(file)
    except (OSError, arrow.ArrowException) as error:
        raise unusable(path, error) from error

    def batches() -> Iterator[Records]:
        try:
            for batch in file.iter_batches(batch_size=batch_rows(dimension)):
                yield _decoded(batch, dimension, list(fields), path)
        except (OSError, arrow.ArrowException) as error:
            raise unusable(path, error) from error

    def ids() -> Iterator[list[str | None]]:
        try:
            for batch in file.iter_batches(batch_size=BATCH_IDS, columns=[_ID]):
                yield batch.column(_ID).to_pylist()
        except (OSError, arrow.ArrowException) as error:
            raise unusable(path, error) from error

    metric = metric_said((schema.metadata or {}).get(_MARK, b""))
    return Source(file.metadata.num_rows, dimension, metric, fields, ids, batches)


def _check_types(arrow: ModuleType, schema: Any, path: Path) -> None:
    types = arrow.types
    ids, vectors = schema.field(_ID).type, schema.field(_VECTOR).type
    text = ids.value_type if types.is_dictionary(ids) else ids
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    number = (types.is_integer, types.is_floating)
    if (
        not (types.is_string(text) or types.is_large_string(text))
        or not any(is_kind(vectors) for is_kind in lists)
        or not any(is_kind(vectors.value_type) for is_kind in number)
    ):
        raise unusable(path, f"ids are {ids}, vectors {vectors}")


def _schema(arrow: ModuleType, info: IndexInfo) -> Any:
    kinds = {
        "string": arrow.string(),
        "integer": arrow.int64(),
        "float": arrow.float64(),
        "boolean": arrow.bool_(),
    }
    columns = [
        (_ID, arrow.string()),
        (_VECTOR, arrow.list_(arrow.float32(), info.dimension)),
        *((name, kinds[kind]) for name, kind in info.fields.items()),
    ]
    said = json.dumps({"metric": info.metric, "index": info.name}).encode()
    return arrow.schema(columns, metadata={_MARK: said})


def _encoded(arrow: ModuleType, schema: Any, records: Records) -> Any:
    flat = arrow.array(records.vectors.reshape(-1))
    width = records.vectors.shape[1]
    columns = [
        arrow.array(records.ids, arrow.string()),
        arrow.FixedSizeListArray.from_arrays(flat, width),
        *(
            arrow.array(records.fields[name], schema.field(name).type)
            for name in schema.names
            if name in records.fields
        ),
    ]
    return arrow.RecordBatch.from_arrays(columns, schema=schema)


def _decoded(batch: Any, dimension: int, fields: list[str], path: Path) -> Records:
    column = batch.column(_VECTOR)
    # A list of any length: the sum of the lengths says nothing about each.
    if column.null_count or (np.asarray(_lengths(column)) != dimension).any():
        raise unusable(path, f"a vector is missing, or is not of {dimension} values")
    return Records(
        tuple(batch.column(_ID).to_pylist()),
        np.asarray(column.flatten()).reshape(-1, dimension),
        {name: batch.column(name).to_pylist() for name in fields},
    )


def _lengths(column: Any) -> Any:
    from pyarrow import compute

    return compute.list_value_length(column)


def _first_length(file: Any) -> int:
    """Length of the first vector of a list column of any length; 1 where there is none."""
    for batch in file.iter_batches(batch_size=1, columns=[_VECTOR]):
        first = batch.column(_VECTOR)[0].as_py()
        return len(first or ()) or 1
    return 1


def _field_type(arrow: ModuleType, kind: Any, path: Path) -> FieldType:
    types = arrow.types
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind):
        return "integer"
    if types.is_floating(kind):
        return "float"
    if types.is_string(kind) or types.is_large_string(kind):
        return "string"
    raise unusable(path, f"a field cannot be of the type {kind}")


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "Parquet needs pyarrow, which is not installed: pip install 'vecbridge[parquet]'",
            name="pyarrow",
        ) from error
    return pa, parquet
