"""The columns of a Parquet file, as pyarrow reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._field_types import FieldType
from vecbridge.transfer._source import Place, Rows, Source, metric_said, rows_at_once

MARK = b"vecbridge"
ID, VECTOR = "id", "vector"
_MISSING = "the value is missing"
_MOST_TEXTS = 4096
"""Read at a time: a dictionary may say a long text once, and every row of it is long in Python."""


def source(arrow: ModuleType, file: Any, place: Place, batch_bytes: int) -> Source:
    """Return what an open file holds.

    Args:
        arrow: pyarrow.
        file: its ``ParquetFile``.
        place: of the file.
        batch_bytes: most bytes of records that are read at a time.

    Raises:
        InvalidArgumentError: it has other columns than records have.
    """
    with place.reading("its description"):
        schema = file.schema_arrow
        about = (schema.metadata or {}).get(MARK, b"")
        count = file.metadata.num_rows
    fields = _fields(arrow, schema, place)
    reader = _Reader(arrow, file, place, schema.field(VECTOR).type, fields)
    rows = rows_at_once(_row_bytes(file, place, reader.dimension), batch_bytes)
    if "string" in fields.values():
        rows = min(rows, _MOST_TEXTS)

    def batches() -> Iterator[Rows]:
        start = 0
        for batch in reader.batches(rows):
            yield reader.decoded(batch, start)
            start += len(batch)

    def ids() -> Iterator[list[Any]]:
        for batch in reader.batches(rows, [ID]):
            yield reader.listed(batch, ID)

    return Source(place, count, reader.dimension, metric_said(about), fields, ids, batches)


def _fields(arrow: ModuleType, schema: Any, place: Place) -> dict[str, FieldType]:
    """Name and type of each field, where all columns are what records are made of."""
    names = list(schema.names)
    if twice := sorted(name for name, times in Counter(names).items() if times > 1):
        raise place.unusable(f"it has several columns of one name: {twice}")
    if not {ID, VECTOR} <= set(names):
        raise place.unusable(f"it has the columns {sorted(names)}, not {ID!r} and {VECTOR!r}")
    types = {name: schema.field(name).type for name in names}
    ids, vectors = types.pop(ID), types.pop(VECTOR)
    if _field_type(arrow, ids) != "string":
        raise place.unusable(f"column {ID!r} is of {ids}: ids are strings")
    if not _is_vector(arrow, vectors):
        raise place.unusable(f"column {VECTOR!r} is of {vectors}: vectors are lists of numbers")
    fields: dict[str, FieldType] = {}
    for name, kind in types.items():
        known = _field_type(arrow, kind)
        if known is None:
            raise place.unusable(f"column {name!r}: a field cannot be of the type {kind}")
        fields[name] = known
    return fields


class _Reader:
    """Gives the batches of a file, and decodes them.

    Args:
        arrow: pyarrow.
        file: its ``ParquetFile``.
        place: of the file.
        vectors: type of the vectors.
        fields: name and type of each field.
    """

    def __init__(
        self,
        arrow: ModuleType,
        file: Any,
        place: Place,
        vectors: Any,
        fields: dict[str, FieldType],
    ) -> None:
        self._arrow = arrow
        self._file = file
        self._place = place
        self._fields = fields
        self._fixed = getattr(vectors, "list_size", None)
        self.dimension: int = self._first_length() if self._fixed is None else self._fixed

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
        ids = self.listed(batch, ID)
        vectors = self._vectors(batch, ids, start)
        return Rows(ids, vectors, {name: self.listed(batch, name) for name in self._fields})

    def listed(self, batch: Any, name: str) -> list[Any]:
        """Return a column as Python has it."""
        with self._place.reading(f"column {name!r}"):
            column = batch.column(name)
            if self._arrow.types.is_dictionary(column.type):
                column = column.dictionary_decode()
            values: list[Any] = column.to_pylist()
        return values

    def _vectors(self, batch: Any, ids: list[Any], start: int) -> NDArray[Any]:
        column = batch.column(VECTOR)
        lengths = _lengths(column)
        missing = np.asarray(column.is_null())
        wrong = missing | (lengths != self.dimension)
        if wrong.any():
            row = int(np.argmax(wrong))
            reason = "the vector is missing" if missing[row] else self._length_told(lengths[row])
            raise self._place.refused(VECTOR, start + row, ids[row], reason)
        with self._place.reading(f"column {VECTOR!r}"):
            flat = column.flatten()
            absent = np.asarray(flat.is_null())
            if not absent.any():
                values: NDArray[Any] = flat.to_numpy(zero_copy_only=False)
                return values.reshape(len(ids), self.dimension)
        row = int(np.argmax(absent)) // self.dimension
        raise self._place.refused(VECTOR, start + row, ids[row], f"of the vector, {_MISSING}")

    def _length_told(self, length: int) -> str:
        values = "1 value" if length == 1 else f"{length} values"
        return f"the vector has {values}, the first of the file has {self.dimension}"

    def _first_length(self) -> int:
        """Return the length of the first vector, where the type says none."""
        for batch in self.batches(1, [ID, VECTOR]):
            length = int(_lengths(batch.column(VECTOR))[0])
            if length < 1:
                reason = "the vector is missing" if length < 0 else "the vector has 0 values"
                raise self._place.refused(VECTOR, 0, self.listed(batch, ID)[0], reason)
            return length
        raise self._place.unusable(
            f"it has no records, and column {VECTOR!r} is of lists of any length: nothing says "
            f"which dimension an index of it has"
        )


def _lengths(column: Any) -> NDArray[Any]:
    from pyarrow import compute

    return np.asarray(compute.fill_null(compute.list_value_length(column), -1))


def _row_bytes(file: Any, place: Place, dimension: int) -> int:
    """Return the bytes that a record takes, as far as the file says."""
    with place.reading("its description"):
        about = file.metadata
        said = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
    return int(max(4 * dimension, said // max(about.num_rows, 1)))


def _is_vector(arrow: ModuleType, kind: Any) -> bool:
    types = arrow.types
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    if not any(is_kind(kind) for is_kind in lists):
        return False
    return bool(types.is_integer(kind.value_type) or types.is_floating(kind.value_type))


def _field_type(arrow: ModuleType, kind: Any) -> FieldType | None:
    types = arrow.types
    if types.is_dictionary(kind):
        kind = kind.value_type
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
