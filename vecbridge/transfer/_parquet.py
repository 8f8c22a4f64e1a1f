"""Records in Parquet, through pyarrow, which importing this needs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute, parquet, types

from vecbridge._client import Index
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._field_types import BaseType, FieldType, as_optional, base_of
from vecbridge._contract._filters import Filter
from vecbridge._contract._records import IndexInfo, Records
from vecbridge.transfer._source import (
    Place,
    Progress,
    Rows,
    Source,
    index_batches,
    metric_said,
    rows_at_once,
    said_of,
)

_MARK = b"vecbridge"
_ID, _VECTOR = "id", "vector"
_TYPES: dict[BaseType, Any] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "strings": pa.list_(pa.string()),
}
_MOST_TEXTS = 4096
"""Read at a time: a dictionary may say a long text once, and every row of it is long in Python."""


class Format:
    """Writes and reads the format.

    Attributes:
        taken: names that no field can have beside it.
    """

    taken: ClassVar[frozenset[str]] = frozenset({_ID, _VECTOR})

    @staticmethod
    def write(
        index: Index,
        path: Path,
        consistency: Consistency,
        progress: Progress,
        where: Filter | None,
    ) -> int:
        """Write every record that matches; return how many."""
        schema = _schema(index.info)
        written = 0
        with parquet.ParquetWriter(path, schema, write_page_checksum=True) as writer:
            for records in index_batches(index, "exporting", progress, consistency, where):
                writer.write_batch(_encoded(schema, records))
                written += len(records)
        return written

    @staticmethod
    @contextmanager
    def opened(path: Path, batch_bytes: int) -> Iterator[Source]:
        """Yield the file, while the block lasts."""
        place = Place(path, "column", _ID, _VECTOR)
        with place.reading("the file"):
            file = parquet.ParquetFile(path, page_checksum_verification=True)
        with file:
            yield _source(file, place, batch_bytes)


def _schema(info: IndexInfo) -> Any:
    columns = [
        (_ID, pa.string()),
        (_VECTOR, pa.list_(pa.float32(), info.dimension)),
        *((name, _TYPES[base_of(kind)]) for name, kind in info.fields.items()),
    ]
    # Every column of Parquet may have nulls; which fields may be missing is said beside them.
    about = {"metric": info.metric, "index": info.name, "fields": dict(info.fields)}
    said = json.dumps(about).encode()
    return pa.schema(columns, metadata={_MARK: said})


def _encoded(schema: Any, records: Records) -> Any:
    flat = pa.array(records.vectors.reshape(-1))
    columns = [
        pa.array(records.ids, pa.string()),
        pa.FixedSizeListArray.from_arrays(flat, records.vectors.shape[1]),
        *(
            pa.array(records.fields[name], schema.field(name).type)
            for name in schema.names
            if name in records.fields
        ),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _source(file: Any, place: Place, batch_bytes: int) -> Source:
    with place.reading("its description"):
        schema = file.schema_arrow
        about = (schema.metadata or {}).get(_MARK, b"")
        groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
        count, size = file.metadata.num_rows, sum(group.total_byte_size for group in groups)
    fields = _fields(schema, place, said_of("fields", about))
    reader = _Reader(file, place, schema.field(_VECTOR).type, fields)
    rows = rows_at_once(max(4 * reader.dimension, size // max(count, 1)), batch_bytes)
    if {"string", "strings"} & set(map(base_of, fields.values())):
        rows = min(rows, _MOST_TEXTS)

    def batches() -> Iterator[Rows]:
        start = 0
        for batch in reader.batches(rows):
            yield reader.decoded(batch, start)
            start += len(batch)

    def ids() -> Iterator[list[Any]]:
        for batch in reader.batches(rows, [_ID]):
            yield reader.listed(batch, _ID)

    return Source(place, count, reader.dimension, metric_said(about), fields, ids, batches)


def _fields(schema: Any, place: Place, said: object) -> dict[str, FieldType]:
    """Return name and type of each field, where all columns are what records are made of.

    Args:
        schema: of the file.
        place: of the file.
        said: what the file says of the types of its fields, if anything.
    """
    names = list(schema.names)
    if twice := sorted(name for name, times in Counter(names).items() if times > 1):
        raise place.unusable(f"it has several columns of one name: {twice}")
    if not {_ID, _VECTOR} <= set(names):
        raise place.unusable(f"it has the columns {sorted(names)}, not {_ID!r} and {_VECTOR!r}")
    kinds = {name: schema.field(name).type for name in names}
    ids, vectors = kinds.pop(_ID), kinds.pop(_VECTOR)
    if _field_type(ids) != "string":
        raise place.unusable(f"column {_ID!r} is of {ids}: ids are strings")
    if not _is_vector(vectors):
        raise place.unusable(f"column {_VECTOR!r} is of {vectors}: vectors are lists of numbers")
    fields: dict[str, FieldType] = {}
    for name, kind in kinds.items():
        known = _field_type(kind)
        if known is None:
            raise place.unusable(f"column {name!r}: a field cannot be of the type {kind}")
        optional = isinstance(said, dict) and said.get(name) == f"{known}?"
        fields[name] = as_optional(known) if optional else known
    return fields


class _Reader:
    """Gives the batches of a file, and decodes them.

    Args:
        file: its ``ParquetFile``.
        place: of the file.
        vectors: type of the vectors.
        fields: name and type of each field.
    """

    def __init__(self, file: Any, place: Place, vectors: Any, fields: dict[str, FieldType]) -> None:
        self._file = file
        self._place = place
        self._fields = fields
        fixed = getattr(vectors, "list_size", None)
        self.dimension: int = self._first_length() if fixed is None else fixed

    def batches(self, rows: int, columns: list[str] | None = None) -> Iterator[Any]:
        """Yield batches of at most some rows."""
        with self._place.reading("the file"):
            batches = self._file.iter_batches(batch_size=rows, columns=columns)
        while True:
            with self._place.reading("the file"):
                batch = next(batches, None)
                if batch is None:
                    return
                # Texts that are not UTF-8, offsets that lead elsewhere.
                batch.validate(full=True)
            yield batch

    def decoded(self, batch: Any, start: int) -> Rows:
        """Return a batch as rows, of which the first is row ``start`` of the file."""
        ids = self.listed(batch, _ID)
        vectors = self._vectors(batch, ids, start)
        return Rows(ids, vectors, {name: self.listed(batch, name) for name in self._fields})

    def listed(self, batch: Any, name: str) -> list[Any]:
        """Return a column as Python has it."""
        with self._place.reading(f"column {name!r}"):
            column = batch.column(name)
            if types.is_dictionary(column.type):
                column = column.dictionary_decode()
            if types.is_timestamp(column.type):
                # Refused where it would lose nanoseconds.
                column = column.cast(_TYPES["timestamp"])
            values: list[Any] = column.to_pylist()
        return values

    def _vectors(self, batch: Any, ids: list[Any], start: int) -> NDArray[Any]:
        column = batch.column(_VECTOR)
        lengths = _lengths(column)
        wrong = lengths != self.dimension
        if wrong.any():
            row = int(np.argmax(wrong))
            raise self._place.refused(_VECTOR, start + row, ids[row], self._fault(lengths[row]))
        with self._place.reading(f"column {_VECTOR!r}"):
            flat = column.flatten()
            absent = np.asarray(flat.is_null())
            if not absent.any():
                values: NDArray[Any] = flat.to_numpy(zero_copy_only=False)
                return values.reshape(len(ids), self.dimension)
        row = int(np.argmax(absent)) // self.dimension
        reason = "of the vector, the value is missing"
        raise self._place.refused(_VECTOR, start + row, ids[row], reason)

    def _fault(self, length: int) -> str:
        if length < 0:
            return "the vector is missing"
        values = "1 value" if length == 1 else f"{length} values"
        return f"the vector has {values}, the first of the file has {self.dimension}"

    def _first_length(self) -> int:
        """Return the length of the first vector, where the type says none."""
        for batch in self.batches(1, [_ID, _VECTOR]):
            length = int(_lengths(batch.column(_VECTOR))[0])
            if length < 1:
                reason = "the vector is missing" if length < 0 else "the vector has 0 values"
                raise self._place.refused(_VECTOR, 0, self.listed(batch, _ID)[0], reason)
            return length
        raise self._place.unusable(
            f"it has no records, and column {_VECTOR!r} is of lists of any length: nothing says "
            f"which dimension an index of it has"
        )


def _lengths(column: Any) -> NDArray[Any]:
    """Return how many values each list has; -1 where the list itself is missing."""
    lengths = compute.fill_null(compute.list_value_length(column), -1)
    return np.where(np.asarray(column.is_null()), -1, np.asarray(lengths))


def _is_vector(kind: Any) -> bool:
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    if not any(is_kind(kind) for is_kind in lists):
        return False
    return bool(types.is_integer(kind.value_type) or types.is_floating(kind.value_type))


def _field_type(kind: Any) -> BaseType | None:
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_timestamp(kind):
        return "timestamp" if kind.tz else None
    if types.is_list(kind) or types.is_large_list(kind):
        return "strings" if _field_type(kind.value_type) == "string" else None
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind):
        return "integer"
    if types.is_floating(kind):
        return "float"
    is_view = getattr(types, "is_string_view", lambda _: False)
    if types.is_string(kind) or types.is_large_string(kind) or is_view(kind):
        return "string"
    return None
