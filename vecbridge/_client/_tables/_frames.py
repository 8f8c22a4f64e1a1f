"""Data frames, Arrow tables and records, as record batches that can be read several times.

Importing this needs pyarrow.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, Any, cast

import pyarrow as pa

from vecbridge._client._tables import _objects
from vecbridge._client._tables._arrow import Batches, metric_of, said_of
from vecbridge._client._tables._source import Fault, Place
from vecbridge._client._tables._unions import Firsts, note_firsts
from vecbridge._errors import InvalidArgumentError

_CHUNK_RECORDS = 1024
_CHUNK_VALUES = 1 << 20
_IN_MEMORY = 32 << 20
_ID, _VECTOR = "id", "vector"


@contextmanager
def batches_of(table: Any) -> Iterator[Batches]:
    """Yield a table in memory, or what gives one, as record batches.

    Args:
        table: a data frame of pandas or polars, an Arrow table, record batch or dataset, what has
            ``__arrow_c_stream__`` or ``__arrow_c_array__``, or an iterable of records, which are
            mappings of names to values.

    Raises:
        InvalidArgumentError: it is nothing of these, or cannot be converted.
    """
    kind = type(table)
    place = Place(
        f"the {kind.__module__.partition('.')[0]} {kind.__name__}", "column", _ID, _VECTOR
    )
    if _is_dataset(table):
        yield _of_dataset(table, place)
    elif isinstance(table, pa.Table):
        yield _of_table(table, place)
    elif _is_of_pandas(kind) and hasattr(table, "to_parquet"):
        with place.reading("it"):
            held, firsts = _of_pandas(table)
        yield replace(_of_table(held, place), firsts=firsts)
    elif isinstance(table, pa.RecordBatch) or hasattr(table, "__arrow_c_array__"):
        with place.reading("it"):
            held = pa.Table.from_batches([pa.record_batch(table)])
        yield _of_table(held, place)
    elif hasattr(table, "__arrow_c_stream__"):
        with place.reading("it"):
            reader = pa.RecordBatchReader.from_stream(table)
        if kind.__module__.startswith("polars."):
            yield _of_table(reader.read_all(), place)
            return
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
            yield _of_stream(reader, cast("IO[bytes]", file), place)
    elif isinstance(table, Iterable) and not isinstance(table, (str, bytes, Mapping)):
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
            place = Place("the records", "key", _ID, _VECTOR)
            yield of_records(table, cast("IO[bytes]", file), place)
    else:
        raise InvalidArgumentError(
            f"a table is a data frame, an Arrow table or dataset, what has __arrow_c_stream__, or "
            f"an iterable of records such as {{'id': 'a', 'vector': [1.0, 0.0]}}; got "
            f"{kind.__module__}.{kind.__qualname__}{_advice(table)}"
        )


def _is_of_pandas(kind: type) -> bool:
    # pandas 3 says of its classes that they are of "pandas"; before, they named a module in it.
    return kind.__module__.partition(".")[0] == "pandas"


def _of_pandas(frame: Any) -> tuple[Any, Firsts]:
    """Return a frame as Arrow has it, and where its objects are of which kind."""
    firsts: Firsts = {}
    # Of columns of one name, pyarrow says which.
    unique = frame.columns.is_unique
    objects = [at for at, kind in enumerate(frame.dtypes) if unique and _is_of_objects(kind)]
    if not objects:
        return pa.Table.from_pandas(frame), firsts
    rest = frame.iloc[:, [at for at in range(frame.shape[1]) if at not in objects]]
    held = pa.Table.from_pandas(rest)
    names, columns = list(held.schema.names), list(held.columns)
    for at in objects:
        series = frame.iloc[:, at].astype(object)
        # What pandas has for a missing value is NaN, NaT or NA.
        pairs = zip(series.tolist(), series.isna(), strict=True)
        column = _objects.column([None if absent else value for value, absent in pairs])
        names.insert(at, str(frame.columns[at]))
        columns.insert(at, column)
        if isinstance(column, pa.Array):
            note_firsts(column, names[at], 0, firsts)
    return pa.Table.from_arrays(columns, names, metadata=held.schema.metadata), firsts


def _is_of_objects(kind: Any) -> bool:
    """Tell columns of objects, and categories of objects other than strings."""
    categories = getattr(kind, "categories", None)
    if categories is None or categories.dtype != object:
        return getattr(kind, "kind", "") == "O" and not hasattr(kind, "construct_array_type")
    return any(type(each) is not str for each in categories)


def _advice(table: Any) -> str:
    """Return how to get a table of what may give one."""
    for method in ("toArrow", "collect"):
        if hasattr(table, method):
            return f". Give its .{method}()"
    return ""


def _is_dataset(table: Any) -> bool:
    # Not imported for this: what has not been loaded has made no object.
    loaded = sys.modules.get("pyarrow.dataset")
    return loaded is not None and isinstance(table, loaded.Dataset)


def _of_table(table: Any, place: Place) -> Batches:
    def read(rows: int, columns: Sequence[str]) -> Iterator[Any]:
        return iter(table.select(list(columns)).to_batches(max_chunksize=rows))

    size = table.nbytes // max(len(table), 1)
    return _whole(table.schema, len(table), size, read, place)


def _of_dataset(dataset: Any, place: Place) -> Batches:
    def read(rows: int, columns: Sequence[str]) -> Iterator[Any]:
        return iter(dataset.to_batches(columns=list(columns), batch_size=rows))

    with place.reading("it"):
        return _whole(dataset.schema, dataset.count_rows(), 0, read, place)


def _whole(schema: Any, records: int, row_bytes: int, read: Any, place: Place) -> Batches:
    return Batches(
        place,
        [(str(place.path), schema)],
        records,
        row_bytes,
        read,
        metric=metric_of(schema),
        said=said_of(schema),
    )


def _of_stream(reader: Any, file: IO[bytes], place: Place) -> Batches:
    """Return a stream that can be read once, kept on disk."""
    spool = _Spool(file)
    with place.reading("it"):
        for batch in reader:
            for start in range(0, len(batch), _CHUNK_RECORDS):
                spool.add(batch.slice(start, _CHUNK_RECORDS))
    return _whole(reader.schema, spool.records, spool.row_bytes, spool.read, place)


def of_records(records: Iterable[Any], file: IO[bytes], place: Place) -> Batches:
    """Return records, which can be read once, kept on disk as Arrow has them.

    Args:
        records: mappings of names to values; or what is wrong with one that could not be read.
        file: where they are kept.
        place: of them.

    Raises:
        InvalidArgumentError: something is no record, or values of one name are of several kinds.
    """
    spool = _Spool(file)
    schemas: dict[Any, str] = {}
    faults: dict[int, Fault] = {}
    firsts: Firsts = {}
    for chunk in _chunks(records, place, faults):
        names = list(dict.fromkeys(name for record in chunk for name in record))
        for name in names:
            if not isinstance(name, str):
                raise place.unusable(f"names of values are strings; got {name!r}")
        columns = [_objects.column([record.get(name) for record in chunk]) for name in names]
        for name, column in zip(names, columns, strict=True):
            note_firsts(column, name, spool.records, firsts)
        batch = pa.RecordBatch.from_arrays(columns, names)
        where = f"records {spool.records} to {spool.records + len(chunk) - 1}"
        schemas.setdefault(batch.schema, where)
        # A batch without columns has no length.
        spool.add(batch, len(chunk))
    if faults and len(faults) == spool.records:
        raise place.unusable(faults[min(faults)].reason)
    return Batches(
        place,
        [(where, schema) for schema, where in schemas.items()],
        spool.records,
        spool.row_bytes,
        spool.read,
        sparse=True,
        faults=faults,
        firsts=firsts,
    )


def _chunks(
    records: Iterable[Any], place: Place, faults: dict[int, Fault]
) -> Iterator[list[Mapping[str, Any]]]:
    chunk: list[Mapping[str, Any]] = []
    values = 0
    for row, record in enumerate(records):
        if isinstance(record, Fault):
            faults[row] = record
            chunk.append({})
        elif isinstance(record, Mapping):
            chunk.append(record)
            values += sum(len(each) for each in record.values() if hasattr(each, "__len__"))
        else:
            raise place.unusable(
                f"a record is a mapping of names to values; number {row} (counted from 0) is a "
                f"{type(record).__name__}"
            )
        if len(chunk) == _CHUNK_RECORDS or values > _CHUNK_VALUES:
            yield chunk
            chunk, values = [], 0
    if chunk:
        yield chunk


class _Spool:
    """Record batches in a file, each with its own schema."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: list[tuple[int, int, int]] = []
        self.records = 0

    @property
    def row_bytes(self) -> int:
        """Return about how large a record is."""
        size = sum(size for _, size, _ in self._places)
        return size // max(self.records, 1)

    def add(self, batch: Any, rows: int | None = None) -> None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        data = sink.getvalue()
        start = self._file.seek(0, 2) or self._file.tell()
        self._file.write(data)
        count = len(batch) if rows is None else rows
        self._places.append((start, data.size, count))
        self.records += count

    def read(self, rows: int, columns: Sequence[str]) -> Iterator[Any]:
        """Yield batches of at most some rows, of those of the columns that they have."""
        for start, size, count in self._places:
            self._file.seek(start)
            # Read whole before the next one is looked for: several readers share the file.
            batch = pa.ipc.open_stream(self._file.read(size)).read_next_batch()
            there = [name for name in columns if name in batch.schema.names]
            if not there:
                batch, there = pa.RecordBatch.from_arrays([pa.nulls(count)], [""]), [""]
            for first in range(0, count, rows):
                yield batch.select(there).slice(first, rows)
