"""Writing any number of records, in batches that fit the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vecbridge._client import _field_values as field_values
from vecbridge._client import _validate as validate
from vecbridge._client import _vector_values as vector_values
from vecbridge._client._checked import CheckedEngine
from vecbridge._contract._consistency import strongest_level
from vecbridge._contract._field_types import FieldValue, base_of
from vecbridge._contract._protocols import VectorIndex
from vecbridge._contract._records import Fields
from vecbridge._errors import (
    BackendError,
    InvalidArgumentError,
    InvalidIdError,
    PartialWriteError,
)

_ID_BYTES = 64
_SCALAR_BYTES = 32
ERASED = "An upsert replaces whole records, and would erase it from existing ones"


def upsert_records(
    index: VectorIndex,
    ids: Iterable[str],
    vectors: ArrayLike,
    fields: Fields | None,
    backend: str,
    *,
    dropped: bool,
) -> None:
    """Check records and write them, batch by batch, as :meth:`vecbridge.Index.upsert` says.

    Args:
        index: the engine to write to.
        ids: ids of the records.
        vectors: ``(n, d)``.
        fields: a column of each field.
        backend: its name, for an error that names none.
        dropped: the caller said that what no field type expresses may be erased.

    Raises:
        InvalidInputError: an argument is unusable.
        UnsupportedError: something would be erased, or the store asks for more than records have.
        PartialWriteError: a batch failed, for whatever reason, after others were acknowledged.
        BackendError: the first batch failed.
    """
    info = index.info
    column = validate.ids(ids, unique=True, info=info)
    array = vector_values.vectors(vectors, dimension=info.dimension, ids=column)
    if len(array) != len(column):
        raise InvalidArgumentError(
            f"expected one vector per id; got {len(column)} ids and {len(array)} vectors"
        )
    columns = field_values.fields(fields, info, column)
    validate.refuse_unwritable(info)
    validate.refuse_unsupported(info, ERASED, dropped=dropped or info.kept)
    if info.required and column:
        level = strongest_level(index.capabilities.consistency)
        validate.refuse_new(info, index.contains(column, consistency=level).tolist(), column)
    if column:
        _in_batches(index, column, array, columns, backend)


def update_fields(index: CheckedEngine, ids: Iterable[str], fields: Fields, backend: str) -> None:
    """Replace some fields of records, as :meth:`vecbridge.Index.update_fields` says.

    Args:
        index: the engine to read from and to write to.
        ids: ids of the records.
        fields: a column of each field that changes.
        backend: its name, for an error that names none.

    Raises:
        InvalidInputError: an argument is unusable, or an id has no record.
        UnsupportedError: something would be erased.
        PartialWriteError: a batch failed, for whatever reason, after others were acknowledged.
        BackendError: the first batch failed.
    """
    info, level = index.info, strongest_level(index.capabilities.consistency)
    names = validate.ids(ids, unique=True, info=info)
    columns = field_values.some_fields(fields, info, names)
    validate.refuse_unwritable(info)
    validate.refuse_unsupported(info, ERASED, dropped=info.kept)
    if not names:
        return
    there = index.contains(names, consistency=level)
    if not there.all():
        missing = [name for name, found in zip(names, there.tolist(), strict=True) if not found]
        raise InvalidIdError(
            f"{len(missing)} of {len(names)} ids have no record in index {info.name!r}, "
            f"{missing[0]!r} among them; nothing was written. Upsert them with their vectors"
        )
    for start in range(0, len(names) if columns else 0, index.scan_rows):
        part = names[start : start + index.scan_rows]
        try:
            # A record that is deleted meanwhile stays deleted.
            found = index.fetch(part, vectors=True, consistency=level)
            rows = dict(zip(part, range(start, start + len(part)), strict=True))
            new = {
                name: [column[rows[each]] for each in found.ids] for name, column in columns.items()
            }
            merged = {name: [*column] for name, column in found.fields.items()} | new
            if len(found):
                _in_batches(index, found.ids, found.vectors, merged, backend)
        except Exception as error:
            if not start and not isinstance(error, PartialWriteError):
                raise
            raise _partial(error, names, start, backend) from error


def _in_batches(
    index: VectorIndex,
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    fields: dict[str, list[FieldValue]],
    backend: str,
) -> None:
    size = _batch_size(index, ids, vectors, fields)
    for start in range(0, len(ids), size):
        stop = start + size
        columns = {name: column[start:stop] for name, column in fields.items()}
        try:
            index.upsert(ids[start:stop], vectors[start:stop], columns)
        except Exception as error:
            if not start and not isinstance(error, PartialWriteError):
                raise
            raise _partial(error, ids, start, backend) from error


def _batch_size(
    index: VectorIndex,
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    fields: dict[str, list[FieldValue]],
) -> int:
    budget = index.capabilities.max_batch_bytes
    if budget is None:
        return max(len(ids), 1)
    widest = max(len(each.encode()) for each in ids)
    for name, column in fields.items():
        if base_of(index.info.fields[name]) in ("string", "strings"):
            widest += max(map(_text_bytes, column))
    row = 4 * vectors.shape[1] + _ID_BYTES + widest + _SCALAR_BYTES * len(fields)
    return max(1, budget // int(row))


def _text_bytes(value: FieldValue) -> int:
    """Return the bytes of a string, or of the strings of a list and of what says their lengths."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Sequence):
        return sum(len(each.encode()) + _SCALAR_BYTES for each in value)
    return 0


def _partial(error: Exception, ids: Sequence[str], start: int, backend: str) -> PartialWriteError:
    operation, retryable = "upsert", False
    if isinstance(error, BackendError):
        backend, operation, retryable = error.backend, error.operation, error.retryable
    written = [*ids[:start]]
    if isinstance(error, PartialWriteError):
        written += error.written
    done = set(written)
    unknown = [each for each in ids[start:] if each not in done]
    return PartialWriteError(
        f"{len(written)} of {len(ids)} records were acknowledged before the store failed: "
        f"{str(error).rstrip('.')}. Do the same call again: it is safe, and completes the rest.",
        backend=backend,
        operation=operation,
        written=written,
        unknown=unknown,
        retryable=retryable,
    )
